#include "slipway/flow/build_plan.h"

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/flow/datasets.h"
#include "slipway/project/plan.h"

namespace slipway {
namespace {

FlowBuild ToFlowBuild(const BuildRecord& record) {
  FlowBuild build;
  build.recipe = record.recipe;
  build.recipe_hash = record.recipe_hash;
  for (const BuildInput& input : record.inputs) build.inputs[input.name] = input.fingerprint;
  build.model_version = static_cast<int>(record.model_version);
  return build;
}

Result<FlowModel> StateOfModel(Registry& registry, const std::string& project,
                               const std::string& name) {
  FlowModel state;
  ASSIGN_OR_RETURN(std::optional<ModelRecord> model, registry.models().Find(project, name));
  if (!model) return state;
  state.active_version = static_cast<int>(model->active);
  ASSIGN_OR_RETURN(std::vector<VersionRecord> versions, registry.models().Versions(project, name));
  for (const VersionRecord& version : versions) {
    state.versions.insert(static_cast<int>(version.number));
    if (version.origin == "train") state.trained = ToFlowBuild(version.build);
  }
  return state;
}

// `wanted`: the datasets whose fingerprints matter; empty: all. A dataset that cannot be read
// counts as absent; the build of what needs it says why.
Result<FlowState> ReadState(Registry& registry, const ProjectDefinition& project,
                            const std::set<std::string>* wanted, bool persist,
                            const FileCheck& check) {
  FlowState state;
  for (const auto& [name, definition] : project.datasets) {
    FlowDataset dataset;
    if (definition.type == DatasetType::kManaged) {
      ASSIGN_OR_RETURN(std::optional<DatasetState> known,
                       registry.datasets().Find(project.name, name));
      if (known) {
        dataset.exists = true;
        dataset.fingerprint = known->fingerprint;
        dataset.built = ToFlowBuild(known->build);
      }
    } else if (wanted == nullptr || wanted->count(name) != 0) {
      auto data = ResolveDataset(registry, project, name,
                                 {.fingerprint = true, .persist = persist, .check = check});
      if (data.ok()) {
        dataset.exists = true;
        dataset.fingerprint = data->fingerprint;
      } else if (wanted != nullptr) {
        return data.error();
      }
    }
    state.datasets[name] = std::move(dataset);
  }
  for (const auto& [name, definition] : project.models) {
    ASSIGN_OR_RETURN(FlowModel model, StateOfModel(registry, project.name, name));
    state.models[name] = std::move(model);
  }
  return state;
}

// Files datasets that a build of the targets may read.
std::set<std::string> DatasetsUpstream(const ProjectDefinition& project,
                                       const std::vector<std::string>& targets) {
  const FlowGraph graph = BuildGraph(project);
  std::vector<int> nodes;
  for (const std::string& target : targets) {
    for (NodeKind kind : {NodeKind::kDataset, NodeKind::kModel, NodeKind::kRecipe}) {
      if (const int at = graph.Find(kind, target); at >= 0) nodes.push_back(at);
    }
  }
  std::set<std::string> out;
  for (int at : Upstream(graph, nodes)) {
    const FlowNode& node = graph.nodes[static_cast<size_t>(at)];
    if (node.kind == NodeKind::kDataset) out.insert(node.name);
  }
  return out;
}

}  // namespace

Result<BuildPlan> MakeBuildPlan(Registry& registry, const ProjectDefinition& project,
                                const std::vector<std::string>& targets, const std::string& mode,
                                bool persist, const FileCheck& check) {
  const std::optional<BuildMode> parsed = BuildModeFromName(mode);
  if (!parsed) {
    const std::vector<std::string> known = {"this", "upstream", "all", "missing"};
    return InvalidArgument("unknown build mode '" + mode + "'", "one of " + QuotedList(known));
  }
  const std::set<std::string> wanted = DatasetsUpstream(project, targets);
  ASSIGN_OR_RETURN(FlowState state, ReadState(registry, project, &wanted, persist, check));
  ASSIGN_OR_RETURN(FlowPlan flow, MakePlan(project, state, targets, *parsed));
  BuildPlan plan;
  plan.project = project;
  plan.targets = targets;
  plan.mode = mode;
  plan.check = check;
  for (const PlanStep& step : flow.steps) {
    BuildStep out;
    out.recipe = step.recipe;
    out.output = step.output;
    out.run = step.run;
    out.reason = step.reason;
    out.after.assign(step.after.begin(), step.after.end());
    plan.steps.push_back(std::move(out));
  }
  return plan;
}

Json BuildPlanToJson(const BuildPlan& plan) {
  Json steps = Json::array();
  for (const BuildStep& step : plan.steps) {
    Json after = Json::array();
    for (size_t before : step.after) after.push_back(plan.steps[before].recipe);
    steps.push_back({{"recipe", step.recipe},
                     {"output", step.output},
                     {"action", step.run ? "run" : "skip"},
                     {"reason", step.reason},
                     {"after", std::move(after)}});
  }
  return {{"project", plan.project.name},
          {"targets", plan.targets},
          {"mode", plan.mode},
          {"steps", std::move(steps)}};
}

Result<FlowStates> DescribeFlow(Registry& registry, const ProjectDefinition& project,
                                const FileCheck& check) {
  ASSIGN_OR_RETURN(FlowState state, ReadState(registry, project, nullptr, false, check));
  return DescribeFlow(project, state);
}

}  // namespace slipway
