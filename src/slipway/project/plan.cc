#include "slipway/project/plan.h"

#include <algorithm>
#include <utility>

#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

template <typename Map>
const typename Map::mapped_type& StateOf(const Map& map, const std::string& name) {
  static const typename Map::mapped_type none;
  auto it = map.find(name);
  return it == map.end() ? none : it->second;
}

bool OutputExists(const RecipeDefinition& recipe, const FlowState& state) {
  if (recipe.type == RecipeType::kTrain)
    return !StateOf(state.models, recipe.output).versions.empty();
  return StateOf(state.datasets, recipe.output).exists;
}

// Why the output is out of date by itself; "" when it is up to date.
std::string OwnReason(const std::string& name, const RecipeDefinition& recipe,
                      const FlowState& state) {
  if (!OutputExists(recipe, state)) return "never built";
  const std::optional<FlowBuild>& record = recipe.type == RecipeType::kTrain
                                               ? StateOf(state.models, recipe.output).trained
                                               : StateOf(state.datasets, recipe.output).built;
  if (!record) return "not made by a recipe so far";
  if (record->recipe != name) return "made by recipe '" + record->recipe + "' before";
  if (record->recipe_hash != RecipeHash(recipe)) return "recipe changed";
  for (const std::string& input : recipe.inputs) {
    auto read = record->inputs.find(input);
    if (read == record->inputs.end() ||
        read->second != StateOf(state.datasets, input).fingerprint) {
      return "input '" + input + "' changed";
    }
  }
  if (recipe.type != RecipeType::kScore) return "";
  const int version = ReferencedVersion(recipe.model, state);
  if (version == record->model_version) return "";
  const ModelReference reference = ParseModelReference(recipe.model);
  const char* which =
      reference.version == "latest" ? "' latest version is now " : "' active version is now ";
  return "model '" + reference.name + which + (version == 0 ? "none" : std::to_string(version)) +
         ", was " + std::to_string(record->model_version);
}

std::string OwnReasonAt(const ProjectDefinition& project, const std::string& recipe,
                        const FlowState& state) {
  return OwnReason(recipe, project.recipes.at(recipe), state);
}

class Planner {
 public:
  Planner(const ProjectDefinition& project, const FlowState& state, BuildMode mode)
      : project_(project), state_(state), mode_(mode) {
    for (const auto& [name, recipe] : project.recipes) {
      makers_[{recipe.type == RecipeType::kTrain, recipe.output}] = name;
    }
  }

  Result<FlowPlan> Plan(const std::vector<std::string>& targets) {
    if (targets.empty())
      return InvalidArgument("nothing to build", "name datasets, models or recipes");
    for (const std::string& target : targets) {
      ASSIGN_OR_RETURN(std::string recipe, TargetRecipe(target));
      targets_.insert(std::move(recipe));
    }
    for (const std::string& recipe : targets_) Collect(recipe);
    const FlowGraph graph = BuildGraph(project_);
    for (int index : TopologicalOrder(graph)) {
      const FlowNode& node = graph.nodes[static_cast<size_t>(index)];
      if (node.kind == NodeKind::kRecipe && wanted_.contains(node.name)) {
        RETURN_IF_ERROR(AddStep(node.name));
      }
    }
    if (plan_.steps.size() != wanted_.size()) return InvalidArgument("the Flow has a cycle");
    return std::move(plan_);
  }

 private:
  Result<std::string> TargetRecipe(const std::string& target) const {
    const bool is_model = project_.models.contains(target);
    auto dataset = project_.datasets.find(target);
    if (is_model || dataset != project_.datasets.end()) {
      auto maker = makers_.find({is_model, target});
      if (maker != makers_.end()) return maker->second;
      if (is_model)
        return InvalidArgument("no recipe trains the model '" + target + "'",
                               "there is nothing to build; add a train recipe with that output");
      return InvalidArgument(
          std::string(dataset->second.type == DatasetType::kFiles
                          ? "'" + target + "' is a dataset of type files: there is nothing to build"
                          : "no recipe writes the dataset '" + target + "'"),
          "targets are the outputs of recipes");
    }
    if (project_.recipes.contains(target)) return target;
    std::vector<std::string> known;
    for (const auto& [key, name] : makers_) known.push_back(key.second);
    for (const auto& [name, recipe] : project_.recipes) known.push_back(name);
    return NotFound(
        "project '" + project_.name + "' has no dataset, model or recipe '" + target + "'",
        DidYouMean(target, known));
  }

  // The recipe and those upstream that the mode looks at. Models are never rebuilt on the way.
  void Collect(const std::string& name) {
    if (!wanted_.insert(name).second || mode_ == BuildMode::kThis) return;
    const RecipeDefinition& recipe = project_.recipes.at(name);
    if (mode_ == BuildMode::kMissing && OutputExists(recipe, state_)) return;
    for (const std::string& input : recipe.inputs) {
      auto maker = makers_.find({false, input});
      if (maker == makers_.end()) continue;
      if (mode_ == BuildMode::kMissing && StateOf(state_.datasets, input).exists) continue;
      Collect(maker->second);
    }
  }

  const PlanStep* StepOf(bool model, const std::string& output, PlanStep* step) const {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      if (plan_.steps[i].trains != model || plan_.steps[i].output != output) continue;
      step->after.push_back(static_cast<int>(i));
      return &plan_.steps[i];
    }
    return nullptr;
  }

  Status AddStep(const std::string& name) {
    const RecipeDefinition& recipe = project_.recipes.at(name);
    PlanStep step{name, recipe.output, recipe.type == RecipeType::kTrain, false, "", {}};
    std::string rebuilt;
    std::string absent;
    for (const std::string& input : recipe.inputs) {
      const PlanStep* before = StepOf(false, input, &step);
      if (before != nullptr && before->run) {
        if (rebuilt.empty()) rebuilt = "upstream '" + input + "' is rebuilt";
      } else if (!StateOf(state_.datasets, input).exists && absent.empty()) {
        absent = input;
      }
    }
    bool model_rebuilt = false;
    if (recipe.type == RecipeType::kScore) {
      const ModelReference reference = ParseModelReference(recipe.model);
      const bool pinned = ParseInt64(reference.version).has_value();
      const PlanStep* before = pinned ? nullptr : StepOf(true, reference.name, &step);
      model_rebuilt = before != nullptr && before->run;
      if (model_rebuilt && rebuilt.empty()) rebuilt = "model '" + reference.name + "' is retrained";
    }
    Decide(name, recipe, rebuilt, &step);
    if (step.run) RETURN_IF_ERROR(CheckInputs(name, recipe, absent, model_rebuilt));
    plan_.steps.push_back(std::move(step));
    return {};
  }

  void Decide(const std::string& name, const RecipeDefinition& recipe, const std::string& rebuilt,
              PlanStep* step) const {
    const std::string own = OwnReason(name, recipe, state_);
    // What the recipe's own state says comes first, but for changes that the rebuild will overtake
    // anyway.
    const bool first = own == "never built" || own == "recipe changed";
    const std::string reason = first || rebuilt.empty() ? own : rebuilt;
    switch (mode_) {
      case BuildMode::kThis:
        step->run = true;
        step->reason = reason.empty() ? "asked for" : reason;
        break;
      case BuildMode::kAll:
        step->run = true;
        step->reason = reason.empty() ? "all upstream asked for" : reason;
        break;
      case BuildMode::kUpstream:
        step->run = !reason.empty();
        step->reason = reason.empty() ? "up to date" : reason;
        break;
      case BuildMode::kMissing:
        step->run = !OutputExists(recipe, state_);
        step->reason = step->run ? "never built" : "exists";
        break;
    }
  }

  Status CheckInputs(const std::string& name, const RecipeDefinition& recipe,
                     const std::string& absent, bool model_rebuilt) const {
    if (!absent.empty()) {
      auto dataset = project_.datasets.find(absent);
      if (dataset != project_.datasets.end() && dataset->second.type == DatasetType::kFiles) {
        return NotFound("recipe '" + name + "' reads dataset '" + absent +
                        "', but no file matches its path");
      }
      const bool made = makers_.contains({false, absent});
      return InvalidArgument(
          "recipe '" + name + "' reads dataset '" + absent + "', which has not been built",
          made ? "build '" + absent + "' first, or use --mode upstream"
               : "no recipe writes it: fill it or add a recipe");
    }
    if (recipe.type != RecipeType::kScore || model_rebuilt ||
        ReferencedVersion(recipe.model, state_) != 0)
      return {};
    const ModelReference reference = ParseModelReference(recipe.model);
    if (!StateOf(state_.models, reference.name).versions.empty()) {
      const bool number = ParseInt64(reference.version).has_value();
      return NotFound("recipe '" + name + "' needs model '" + recipe.model + "', but " +
                          (number ? "it has no version " + reference.version
                                  : "none of its versions is active"),
                      number ? "" : "activate a version first");
    }
    return InvalidArgument(
        "recipe '" + name + "' needs model '" + reference.name + "', which has no version yet",
        "models are built only when asked for: build '" + reference.name +
            "' first, or name both as targets");
  }

  const ProjectDefinition& project_;
  const FlowState& state_;
  BuildMode mode_;
  std::map<std::pair<bool, std::string>, std::string> makers_;  // (is a model, output) -> recipe
  std::set<std::string> targets_;
  std::set<std::string> wanted_;
  FlowPlan plan_;
};

}  // namespace

std::optional<BuildMode> BuildModeFromName(std::string_view name) {
  if (name == "this") return BuildMode::kThis;
  if (name == "upstream") return BuildMode::kUpstream;
  if (name == "all") return BuildMode::kAll;
  if (name == "missing") return BuildMode::kMissing;
  return std::nullopt;
}

int ReferencedVersion(const std::string& model_reference, const FlowState& state) {
  const ModelReference reference = ParseModelReference(model_reference);
  const FlowModel& model = StateOf(state.models, reference.name);
  if (reference.version.empty() || reference.version == "active") return model.active_version;
  if (reference.version == "latest") return model.versions.empty() ? 0 : *model.versions.rbegin();
  auto number = ParseInt64(reference.version);
  if (!number || *number < 1 || *number > 1'000'000'000) return 0;
  const int version = static_cast<int>(*number);
  return model.versions.contains(version) ? version : 0;
}

Result<FlowPlan> MakePlan(const ProjectDefinition& project, const FlowState& state,
                          const std::vector<std::string>& targets, BuildMode mode) {
  return Planner(project, state, mode).Plan(targets);
}

Json PlanToJson(const FlowPlan& plan) {
  Json out = Json::array();
  for (const PlanStep& step : plan.steps) {
    Json after = Json::array();
    for (int index : step.after) after.push_back(plan.steps[static_cast<size_t>(index)].recipe);
    out.push_back({{"recipe", step.recipe},
                   {"output", step.output},
                   {"action", step.run ? "run" : "skip"},
                   {"reason", step.reason},
                   {"after", std::move(after)}});
  }
  return out;
}

FlowStates DescribeFlow(const ProjectDefinition& project, const FlowState& state) {
  FlowStates out;
  const FlowGraph graph = BuildGraph(project);
  for (int index : TopologicalOrder(graph)) {
    const FlowNode& node = graph.nodes[static_cast<size_t>(index)];
    ItemState item;
    const std::string maker = node.kind != NodeKind::kRecipe && !node.inputs.empty()
                                  ? graph.nodes[static_cast<size_t>(node.inputs[0])].name
                                  : "";
    std::string reason = maker.empty() ? "" : OwnReasonAt(project, maker, state);
    if (reason.empty() && !maker.empty()) {
      for (const std::string& input : project.recipes.at(maker).inputs) {
        const std::string& above = out[{NodeKind::kDataset, input}].state;
        if (above == "out of date" || above == "not built")
          reason = "upstream '" + input + "' is " + above;
      }
    }
    if (node.kind == NodeKind::kModel) {
      const FlowModel& model = StateOf(state.models, node.name);
      item.state = model.versions.empty() ? "no version"
                   : model.active_version == 0
                       ? "no active version"
                       : "version " + std::to_string(model.active_version) + " active";
      item.reason = model.versions.empty() ? "" : reason;
    } else if (node.kind == NodeKind::kDataset) {
      const FlowDataset& dataset = StateOf(state.datasets, node.name);
      if (node.type == "files") {
        item.state = dataset.exists ? "ready" : "no files";
      } else if (!dataset.exists) {
        item.state = "not built";
      } else {
        item.state = reason.empty() ? "up to date" : "out of date";
        item.reason = reason;
      }
    }
    if (node.kind != NodeKind::kRecipe) out[{node.kind, node.name}] = std::move(item);
  }
  return out;
}

}  // namespace slipway
