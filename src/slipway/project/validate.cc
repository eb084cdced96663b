#include "slipway/project/validate.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/project/graph.h"
#include "slipway/project/service.h"

namespace slipway {
namespace {

template <typename Map>
std::vector<std::string> Names(const Map& map) {
  std::vector<std::string> names;
  for (const auto& [name, value] : map) names.push_back(name);
  return names;
}

// "; did you mean 'x'?", or what exists when nothing is near.
std::string Suggestion(const std::string& word, const std::vector<std::string>& known,
                       const char* plural) {
  if (std::string near = DidYouMean(word, known); !near.empty()) return "; " + near;
  if (known.empty()) return std::string("; the project has no ") + plural;
  return std::string("; ") + plural + " are " + QuotedList(known);
}

class ReferenceChecker {
 public:
  explicit ReferenceChecker(const ProjectDefinition& project)
      : project_(project),
        problems_(&project.positions),
        datasets_(Names(project.datasets)),
        models_(Names(project.models)) {}

  Status Check() {
    CheckNames();
    for (const auto& [name, recipe] : project_.recipes) CheckRecipe(name, recipe);
    CheckOutputs();
    CheckServices();
    if (problems_.empty()) CheckCycles();
    return problems_.ToStatus();
  }

 private:
  // The two would be the same PROJECT/NAME.
  void CheckNames() {
    for (const auto& [name, model] : project_.models) {
      auto dataset = project_.datasets.find(name);
      if (dataset == project_.datasets.end()) continue;
      problems_.AddAtKey(PointerJoin("/models", name),
                         "a model and a dataset are both named '" + name + "'" +
                             Also("dataset", dataset->second.position));
    }
  }

  static std::string Also(const std::string& what, const SourcePosition& position) {
    std::string text = PositionText(position);
    return text.empty() ? "" : "; the " + what + " is at " + text;
  }

  // Where input `index` of a recipe stands: as an item of `inputs`, or as `input`, or below score's
  // inputs.
  std::string InputPointer(const std::string& recipe, const RecipeDefinition& definition,
                           size_t index) const {
    const std::string base = PointerJoin("/recipes", recipe);
    if (definition.type == RecipeType::kScore) return base + "/inputs/data";
    for (const std::string& pointer :
         {PointerJoin(base + "/inputs", index), base + "/input", base + "/inputs"}) {
      if (project_.positions.Has(pointer)) return pointer;
    }
    return definition.inputs.size() == 1 ? base + "/input" : PointerJoin(base + "/inputs", index);
  }

  void CheckRecipe(const std::string& name, const RecipeDefinition& recipe) {
    const std::string base = PointerJoin("/recipes", name);
    for (size_t i = 0; i < recipe.inputs.size(); ++i) {
      const std::string& input = recipe.inputs[i];
      const std::string at = InputPointer(name, recipe, i);
      if (!project_.datasets.contains(input)) {
        if (project_.models.contains(input)) {
          problems_.Add(at,
                        "'" + input + "' is a model; recipe '" + name + "' reads datasets here");
        } else {
          problems_.Add(at, "recipe '" + name + "' reads an unknown dataset '" + input + "'" +
                                Suggestion(input, datasets_, "datasets"));
        }
      }
      if (std::find(recipe.inputs.begin(), recipe.inputs.begin() + static_cast<std::ptrdiff_t>(i),
                    input) != recipe.inputs.begin() + static_cast<std::ptrdiff_t>(i)) {
        problems_.Add(at, "recipe '" + name + "' names its input '" + input + "' twice");
      }
      if (input == recipe.output && recipe.type != RecipeType::kTrain) {
        problems_.Add(base + "/output",
                      "recipe '" + name + "' writes '" + input + "', which it reads");
      }
    }
    if (recipe.type == RecipeType::kScore) {
      CheckModelReference(recipe.model, base + "/inputs/model", "recipe '" + name + "'");
    }
    CheckOutput(name, recipe, base + "/output");
  }

  void CheckModelReference(const std::string& text, const std::string& at, const std::string& who) {
    const ModelReference reference = ParseModelReference(text);
    if (!project_.models.contains(reference.name)) {
      problems_.Add(at, who + " uses an unknown model '" + reference.name + "'" +
                            Suggestion(reference.name, models_, "models"));
      return;
    }
    if (text.find('@') == std::string::npos || reference.version == "active" ||
        reference.version == "latest")
      return;
    auto number = ParseInt64(reference.version);
    if (!number || *number < 1 || *number > 1'000'000'000 ||
        reference.version != std::to_string(*number)) {
      problems_.Add(at, "'" + text + "' is not a model version; write " + reference.name + "@3, " +
                            reference.name + "@active or " + reference.name + "@latest");
    }
  }

  void CheckOutput(const std::string& name, const RecipeDefinition& recipe, const std::string& at) {
    const bool train = recipe.type == RecipeType::kTrain;
    const bool is_model = project_.models.contains(recipe.output);
    auto dataset = project_.datasets.find(recipe.output);
    const bool is_dataset = dataset != project_.datasets.end();
    if (train && !is_model) {
      problems_.Add(at, is_dataset
                            ? "the output of train recipe '" + name + "' must be a model; '" +
                                  recipe.output + "' is a dataset"
                            : "recipe '" + name + "' trains an unknown model '" + recipe.output +
                                  "'" + Suggestion(recipe.output, models_, "models"));
    } else if (!train && !is_dataset) {
      problems_.Add(at, is_model
                            ? "the output of recipe '" + name + "' must be a managed dataset; '" +
                                  recipe.output + "' is a model"
                            : "recipe '" + name + "' writes an unknown dataset '" + recipe.output +
                                  "'" + Suggestion(recipe.output, datasets_, "datasets"));
    } else if (!train && dataset->second.type != DatasetType::kManaged) {
      problems_.Add(at, "recipe '" + name + "' cannot write dataset '" + recipe.output +
                            "' of type files; recipes write managed datasets only");
    }
  }

  void CheckOutputs() {
    std::map<std::pair<bool, std::string>, std::string> makers;
    for (const auto& [name, recipe] : project_.recipes) {
      const bool train = recipe.type == RecipeType::kTrain;
      auto [it, fresh] = makers.emplace(std::pair(train, recipe.output), name);
      if (fresh) continue;
      const std::string first =
          PositionText(project_.positions.OfValue(PointerJoin("/recipes", it->second) + "/output"));
      problems_.Add(PointerJoin("/recipes", name) + "/output",
                    std::string(train ? "model" : "dataset") + " '" + recipe.output +
                        "' is the output of two recipes, '" + it->second + "'" +
                        (first.empty() ? "" : " (" + first + ")") + " and '" + name + "'");
    }
  }

  void CheckServices() {
    for (const auto& [name, definition] : project_.services.items()) {
      const std::string base = PointerJoin("/services", name) + "/endpoints";
      for (const EndpointDefinition& endpoint : ReadService(name, definition).endpoints)
        CheckEndpoint(endpoint, PointerJoin(base, endpoint.id));
    }
  }

  void CheckEndpoint(const EndpointDefinition& endpoint, const std::string& at) {
    const std::string who = "endpoint '" + endpoint.id + "'";
    if (!endpoint.lookup) CheckModelReference(endpoint.model, at + "/prediction", who);
    std::map<std::string, std::string> made;  // field -> the table that it comes from
    for (const TableUseDefinition& use : endpoint.tables) {
      const std::string table = at + "/" + use.at;
      CheckDataset(use.dataset, project_.positions.Has(table + "/table") ? table + "/table" : table,
                   who);
      for (const TableUseDefinition::Pair& pair : use.columns) {
        const auto [it, fresh] = made.emplace(pair.field, use.dataset);
        if (!fresh) {
          problems_.Add(table + "/columns", who + " gets '" + pair.field + "' twice, from '" +
                                                it->second + "' and from '" + use.dataset + "'");
        }
      }
    }
    for (const TestQueryDefinition& query : endpoint.queries) {
      const std::string where = at + "/" + query.at;
      if (!query.dataset.empty()) {
        CheckDataset(
            query.dataset,
            project_.positions.Has(where + "/from_dataset") ? where + "/from_dataset" : where, who);
      }
      if (!endpoint.lookup) CheckExpectation(query, where + "/expect");
    }
  }

  // What an answer of a prediction endpoint can hold; a lookup's has the table's columns.
  void CheckExpectation(const TestQueryDefinition& query, const std::string& at) {
    static const std::vector<std::string> known = {"prediction",   "probas",  "probaPercentile",
                                                   "explanations", "ignored", "ignoreReason"};
    if (!query.expect.is_object()) return;
    for (const auto& [name, value] : query.expect.items()) {
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      const std::string near = DidYouMean(name, known);
      problems_.AddAtKey(PointerJoin(at, name),
                         "an answer has no member '" + name + "'; " +
                             (near.empty() ? "it has " + QuotedList(known) : near));
    }
  }

  void CheckDataset(const std::string& name, const std::string& at, const std::string& who) {
    if (project_.datasets.contains(name)) return;
    problems_.Add(at, who + " reads an unknown dataset '" + name + "'" +
                          Suggestion(name, datasets_, "datasets"));
  }

  void CheckCycles() {
    const FlowGraph graph = BuildGraph(project_);
    auto cycle = FindCycle(graph);
    if (!cycle) return;
    std::string at;
    for (int index : *cycle) {
      const FlowNode& node = graph.nodes[static_cast<size_t>(index)];
      if (node.kind == NodeKind::kRecipe && at.empty()) at = PointerJoin("/recipes", node.name);
    }
    problems_.AddAtKey(at, "the Flow has a cycle: " + PathText(graph, *cycle));
  }

  const ProjectDefinition& project_;
  Problems problems_;
  std::vector<std::string> datasets_;
  std::vector<std::string> models_;
};

}  // namespace

Status Validate(const ProjectDefinition& project) {
  // Structs filled by hand have not been through the key tables yet.
  auto shape = ProjectFromJson(ProjectToJson(project), project.positions);
  if (!shape.ok()) return std::move(shape).error();
  return ReferenceChecker(project).Check();
}

}  // namespace slipway
