#include "slipway/project/plan.h"

#include "slipway/base/json.h"
#include "slipway/project/diff.h"
#include "slipway/project/load.h"
#include "slipway/project/schema.h"

namespace slipway {
namespace {

ProjectDefinition Project() {
  auto project = LoadProjectText(R"(project: p
datasets:
  raw: {type: files, path: a.csv}
  clean: {type: managed}
  scored: {type: managed}
models: {fare: {}}
recipes:
  tidy: {type: sync, input: raw, output: clean}
  train: {type: train, input: clean, output: fare, target: y, prediction: regression}
  score: {type: score, inputs: {model: fare, data: clean}, output: scored}
)",
                                 "/p.yaml");
  EXPECT_TRUE(project.ok()) << project.error().message;
  return *project;
}

FlowBuild Record(const ProjectDefinition& project, const std::string& recipe,
                 std::map<std::string, std::string> inputs, int version = 0) {
  return {recipe, RecipeHash(project.recipes.at(recipe)), std::move(inputs), version};
}

FlowState Built(const ProjectDefinition& project) {
  FlowState state;
  state.datasets["raw"] = {true, "r1", {}};
  state.datasets["clean"] = {true, "c1", Record(project, "tidy", {{"raw", "r1"}})};
  state.datasets["scored"] = {true, "s1", Record(project, "score", {{"clean", "c1"}}, 1)};
  state.models["fare"] = {1, {1}, Record(project, "train", {{"clean", "c1"}})};
  return state;
}

std::string Text(const Result<FlowPlan>& plan) {
  if (!plan.ok()) return "error: " + plan.error().message;
  std::string out;
  for (const PlanStep& step : plan->steps)
    out += (step.run ? "run " : "skip ") + step.recipe + ": " + step.reason + "\n";
  return out;
}

TEST(MakePlan, SkipsWhatIsUpToDateAndSaysWhyForTheRest) {
  const ProjectDefinition project = Project();
  FlowState state = Built(project);
  EXPECT_EQ(Text(MakePlan(project, state, {"scored"}, BuildMode::kUpstream)),
            "skip tidy: up to date\nskip score: up to date\n");
  state.datasets["raw"].fingerprint = "r2";
  EXPECT_EQ(Text(MakePlan(project, state, {"scored"}, BuildMode::kUpstream)),
            "run tidy: input 'raw' changed\nrun score: upstream 'clean' is rebuilt\n");
  EXPECT_EQ(Text(MakePlan(project, state, {"scored"}, BuildMode::kMissing)),
            "skip score: exists\n");
  EXPECT_EQ(Text(MakePlan(project, state, {"fare", "scored"}, BuildMode::kUpstream)),
            "run tidy: input 'raw' changed\nrun train: upstream 'clean' is rebuilt\nrun score: "
            "upstream 'clean' is rebuilt\n");
}

TEST(MakePlan, TheActiveVersionDecidesWhetherScoresAreOutOfDate) {
  const ProjectDefinition project = Project();
  FlowState state = Built(project);
  state.models["fare"].versions = {1, 2, 3};
  state.models["fare"].active_version = 3;
  EXPECT_EQ(Text(MakePlan(project, state, {"score"}, BuildMode::kUpstream)),
            "skip tidy: up to date\nrun score: model 'fare' active version is now 3, was 1\n");
}

TEST(MakePlan, AModelIsNeverTrainedOnTheWay) {
  const ProjectDefinition project = Project();
  FlowState state;
  state.datasets["raw"] = {true, "r1", {}};
  EXPECT_EQ(Text(MakePlan(project, state, {"scored"}, BuildMode::kUpstream)),
            "error: recipe 'score' needs model 'fare', which has no version yet");
  auto plan = MakePlan(project, state, {"scored", "fare"}, BuildMode::kUpstream);
  EXPECT_EQ(Text(plan), "run tidy: never built\nrun train: never built\nrun score: never built\n");
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->steps[2].after, (std::vector<int>{0, 1}));
  EXPECT_EQ(Text(MakePlan(project, state, {"fare"}, BuildMode::kThis)),
            "error: recipe 'train' reads dataset 'clean', which has not been built");
  EXPECT_EQ(Text(MakePlan(project, state, {"raw"}, BuildMode::kUpstream)),
            "error: 'raw' is a dataset of type files: there is nothing to build");
}

TEST(RenderTree, DrawsEveryItemOnceWithItsState) {
  const ProjectDefinition project = Project();
  FlowState state = Built(project);
  state.datasets["raw"].fingerprint = "r2";
  EXPECT_EQ(
      RenderTree(BuildGraph(project), DescribeFlow(project, state), {.unicode = false}),
      "[#] raw  files dataset - ready\n"
      "`- (o) tidy  sync recipe\n"
      "   `- [#] clean  managed dataset - out of date: input 'raw' changed\n"
      "      |- (o) score  score recipe (also reads fare)\n"
      "      |  `- [#] scored  managed dataset - out of date: upstream 'clean' is out of date\n"
      "      `- (o) train  train recipe\n"
      "         `- <*> fare  saved model - version 1 active: upstream 'clean' is out of date\n"
      "            `- (o) score  ^ shown above\n");
}

TEST(Diff, TellsWhatChangesLeafByLeaf) {
  ProjectDefinition before = Project();
  ProjectDefinition after = before;
  after.models["fare"].keep_versions = 5;
  after.datasets.erase("scored");
  after.recipes.erase("score");
  EXPECT_EQ(ChangesText(Diff(before, after)),
            "- dataset scored\n~ model fare\n    keep_versions: (none) -> 5\n- recipe score\n");
  EXPECT_TRUE(Diff(before, before).empty());
  EXPECT_EQ(Diff(std::nullopt, before).size(), 8u);
}

TEST(ProjectJsonSchema, DescribesTheKeysThatValidationTakes) {
  const Json schema = ProjectJsonSchema();
  EXPECT_EQ(schema["properties"]["recipes"]["additionalProperties"]["oneOf"].size(), 4u);
  EXPECT_EQ(schema["additionalProperties"], false);
}

}  // namespace
}  // namespace slipway
