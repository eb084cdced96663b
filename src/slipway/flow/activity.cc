#include "slipway/flow/activity.h"

#include <cmath>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/flow/datasets.h"
#include "slipway/project/plan.h"
#include "slipway/project/service.h"
#include "slipway/registry/deployed_models.h"
#include "slipway/stats/metrics.h"

namespace slipway {
namespace {

// A recipe's inputs as read: for the task and for the build record.
struct Inputs {
  std::vector<std::pair<std::string, ResolvedDataset>> datasets;
  BuildRecord build;
};

Result<Inputs> ResolveInputs(const ActivityContext& context, const std::string& name,
                             const RecipeDefinition& recipe) {
  Inputs inputs;
  inputs.build.recipe = name;
  inputs.build.recipe_hash = RecipeHash(recipe);
  const Json project = ProjectToJson(*context.project);
  inputs.build.recipe_json = DumpJson(project["recipes"][name]);
  inputs.build.job = context.job;
  Json files = Json::array();
  for (const std::string& input : recipe.inputs) {
    ASSIGN_OR_RETURN(
        ResolvedDataset data,
        ResolveDataset(*context.registry, *context.project, input,
                       {.fingerprint = true, .persist = true, .check = context.check}));
    inputs.build.inputs.push_back({input, data.fingerprint});
    for (const std::string& file : data.files) files.push_back(file);
    inputs.datasets.emplace_back(input, std::move(data));
  }
  inputs.build.extra_json = DumpJson({{"files", std::move(files)}});
  return inputs;
}

Result<Json> Work(const ActivityContext& context, const std::string& kind,
                  const std::string& folder, const Json& task) {
  WorkerRun run;
  run.kind = kind;
  run.work_folder = folder;
  run.log_path = context.log_path;
  run.on_progress = context.on_progress;
  run.cancel = context.cancel;
  run.also_cancel = context.also_cancel;
  return RunWorker(run, task);
}

// Publishes the Parquet file that a worker wrote.
Result<ActivityRecord> CommitDataset(const ActivityContext& context, const RecipeDefinition& recipe,
                                     const Inputs& inputs, const Json& result) {
  NewDatasetData data;
  ASSIGN_OR_RETURN(data.path, GetString(result, "path"));
  ASSIGN_OR_RETURN(data.rows, GetInt(result, "rows"));
  ASSIGN_OR_RETURN(const Json* schema, GetArray(result, "schema"));
  data.schema_json = DumpJson(*schema);
  data.build = inputs.build;
  data.who = context.who;
  ASSIGN_OR_RETURN(DatasetState state, context.registry->datasets().Publish(context.project->name,
                                                                            recipe.output, data));
  ActivityRecord record;
  record.rows = state.rows;
  Json details = Json::object();
  for (const char* key : {"predicted", "bad_rows", "quarantine", "engine"}) {
    if (const Json* value = FindMember(result, key)) details[key] = *value;
  }
  if (inputs.build.model_version > 0)
    details["model"] = inputs.build.model + "@" + std::to_string(inputs.build.model_version);
  record.details_json = DumpJson(details);
  return record;
}

Result<ActivityRecord> RunSqlOrSync(const ActivityContext& context, const std::string& name,
                                    const RecipeDefinition& recipe, const std::string& folder) {
  ASSIGN_OR_RETURN(Inputs inputs, ResolveInputs(context, name, recipe));
  Json task = {{"output", JoinPath(folder, "out.parquet")}};
  if (recipe.type == RecipeType::kSql) {
    task["query"] = recipe.query;
    task["temp_dir"] = folder;
    task["inputs"] = Json::array();
    for (const auto& [input, data] : inputs.datasets)
      task["inputs"].push_back({{"name", input}, {"spec", FilesSpecToJson(data.spec)}});
  } else {
    task["input"] = FilesSpecToJson(inputs.datasets.at(0).second.spec);
    task["quarantine"] = JoinPath(context.job_folder, name + ".quarantine.csv");
  }
  ASSIGN_OR_RETURN(Json result,
                   Work(context, recipe.type == RecipeType::kSql ? "sql" : "sync", folder, task));
  return CommitDataset(context, recipe, inputs, result);
}

Result<ActivityRecord> RunScore(const ActivityContext& context, const std::string& name,
                                const RecipeDefinition& recipe, const std::string& folder) {
  ASSIGN_OR_RETURN(Inputs inputs, ResolveInputs(context, name, recipe));
  ASSIGN_OR_RETURN(ModelRef ref, ParseModelRefIn(context.project->name, recipe.model));
  ASSIGN_OR_RETURN(VersionRecord version, context.registry->models().Resolve(ref));
  inputs.build.model = version.model;
  inputs.build.model_version = version.number;
  ASSIGN_OR_RETURN(std::string bundle, context.registry->models().BundlePath(version));
  Json task = {{"model", bundle},
               {"input", FilesSpecToJson(inputs.datasets.at(0).second.spec)},
               {"output", JoinPath(folder, "out.parquet")},
               {"quarantine", JoinPath(context.job_folder, name + ".quarantine.csv")}};
  for (const char* key : {"threshold", "keep", "explain"}) {
    if (const Json* value = FindMember(recipe.settings, key)) task[key] = *value;
  }
  ASSIGN_OR_RETURN(Json result, Work(context, "score", folder, task));
  return CommitDataset(context, recipe, inputs, result);
}

// The activation policy's decision and its reason, in the words of the history.
struct Decision {
  bool activate = true;
  std::string reason;
};

Result<Decision> Decide(const ModelDefinition& model, const Json& result) {
  if (model.activation == "never") return Decision{false, "the policy is never"};
  if (model.activation != "if_better") return Decision{true, "trained"};
  const std::string& metric = model.activation_metric;
  ASSIGN_OR_RETURN(bool larger, LargerIsBetter(metric));
  const auto find = [&](const Json* metrics) -> const Json* {
    const Json* value = metrics != nullptr ? FindMember(*metrics, metric) : nullptr;
    return value != nullptr && value->is_number() ? value : nullptr;
  };
  ASSIGN_OR_RETURN(const Json* info, GetObject(result, "info"));
  const Json* fresh = find(FindMember(*info, "metrics"));
  if (fresh == nullptr)
    return Decision{false, "the new version has no " + metric + " on held-out rows"};
  const Json* active_metrics = FindMember(result, "active_metrics");
  if (active_metrics == nullptr) {
    const std::string why = result.value("active_metrics_error", "");
    if (!why.empty())
      return Decision{false, "the active version could not be scored on the new hold-out: " + why};
    return Decision{true, "the first version"};
  }
  const Json* active = find(active_metrics);
  if (active == nullptr)
    return Decision{false, "the active version has no " + metric + " on the new hold-out"};
  const double a = active->get<double>(), b = fresh->get<double>();
  const bool better = larger ? b > a : b < a;
  return Decision{better, metric + " " + FormatDouble(b) +
                              (better ? " is better than " : " is not better than ") +
                              FormatDouble(a) + " of the active version on the same held-out rows"};
}

Result<ActivityRecord> CommitVersion(const ActivityContext& context, const RecipeDefinition& recipe,
                                     const Inputs& inputs, const Json& result,
                                     const std::string& output_dir) {
  const std::string& project = context.project->name;
  const auto defined = context.project->models.find(recipe.output);
  const ModelDefinition model =
      defined == context.project->models.end() ? ModelDefinition{} : defined->second;
  ASSIGN_OR_RETURN(Decision decision, Decide(model, result));
  // Exactly one version is active, so the first one is, whatever the policy.
  const ModelRef active{project, recipe.output, ModelRef::Select::kActive, 0};
  if (!decision.activate && !context.registry->models().Resolve(active).ok())
    decision = {true, "the first version"};
  NewVersion version;
  version.bundle_path = JoinPath(output_dir, "model.bundle");
  version.reference_path = JoinPath(output_dir, "reference.json");
  const std::string holdout = JoinPath(output_dir, "holdout.parquet");
  if (PathExists(holdout)) version.holdout_path = holdout;
  version.move_files = true;
  version.info_json = DumpJson(result["info"]);
  version.dataset_fingerprint = inputs.build.inputs.at(0).fingerprint;
  version.build = inputs.build;
  version.note = recipe.settings.value("note", "");
  version.who = context.who;
  version.activate = decision.activate;
  version.reason = decision.reason;
  ASSIGN_OR_RETURN(VersionRecord added,
                   context.registry->models().AddVersion(project, recipe.output, version));
  Json details = {
      {"version", added.number}, {"active", added.active}, {"activation", decision.reason}};
  details["metrics"] = result["info"].value("metrics", Json());
  details["warnings"] = result["info"].value("warnings", Json::array());
  for (const char* key : {"bad_rows", "quarantine"}) {
    if (const Json* value = FindMember(result, key)) details[key] = *value;
  }
  if (model.keep_versions > 0) {
    std::set<int64_t> needed = PinnedVersions(*context.project, recipe.output);
    ASSIGN_OR_RETURN(const auto deployed,
                     DeployedVersions(*context.registry, project, recipe.output));
    for (const auto& [number, on] : deployed) needed.insert(number);
    ASSIGN_OR_RETURN(std::vector<int64_t> deleted,
                     context.registry->models().ApplyKeepVersions(project, recipe.output,
                                                                  model.keep_versions, needed));
    if (!deleted.empty()) details["deleted_versions"] = deleted;
  }
  ActivityRecord record;
  if (const Json* rows = FindMember(result["info"], "rows"); rows != nullptr && rows->is_number())
    record.rows = rows->get<int64_t>();
  record.details_json = DumpJson(details);
  return record;
}

Result<ActivityRecord> RunTrain(const ActivityContext& context, const std::string& name,
                                const RecipeDefinition& recipe, const std::string& folder) {
  ASSIGN_OR_RETURN(Inputs inputs, ResolveInputs(context, name, recipe));
  const std::string output_dir = JoinPath(folder, "version");
  RETURN_IF_ERROR(MakeDirs(output_dir));
  Json spec = recipe.settings;
  spec.erase("note");
  Json lineage = {{"project", context.project->name},
                  {"dataset", recipe.inputs.at(0)},
                  {"dataset_fingerprint", inputs.build.inputs.at(0).fingerprint},
                  {"recipe", name},
                  {"job", context.job},
                  {"who", context.who}};
  Json task = {{"spec", std::move(spec)},
               {"input", FilesSpecToJson(inputs.datasets.at(0).second.spec)},
               {"output_dir", output_dir},
               {"quarantine", JoinPath(context.job_folder, name + ".quarantine.csv")},
               {"temp_dir", folder},
               {"lineage", std::move(lineage)}};
  const auto model = context.project->models.find(recipe.output);
  if (model != context.project->models.end() && model->second.activation == "if_better") {
    ModelRef active{context.project->name, recipe.output, ModelRef::Select::kActive, 0};
    if (auto version = context.registry->models().Resolve(active); version.ok()) {
      ASSIGN_OR_RETURN(std::string bundle, context.registry->models().BundlePath(*version));
      task["compare_bundle"] = bundle;
    }
  }
  ASSIGN_OR_RETURN(Json result, Work(context, "train", folder, task));
  return CommitVersion(context, recipe, inputs, result, output_dir);
}

}  // namespace

Result<ActivityRecord> RunActivity(const ActivityContext& context, const std::string& recipe_name) {
  const auto it = context.project->recipes.find(recipe_name);
  if (it == context.project->recipes.end())
    return NotFound("there is no recipe '" + recipe_name + "'");
  const std::string folder = JoinPath(context.work_folder, recipe_name);
  RETURN_IF_ERROR(MakeDirs(folder));
  switch (it->second.type) {
    case RecipeType::kSql:
    case RecipeType::kSync:
      return RunSqlOrSync(context, recipe_name, it->second, folder);
    case RecipeType::kScore:
      return RunScore(context, recipe_name, it->second, folder);
    case RecipeType::kTrain:
      return RunTrain(context, recipe_name, it->second, folder);
  }
  return Internal("unknown recipe type");
}

std::set<int64_t> PinnedVersions(const ProjectDefinition& project, const std::string& model) {
  std::set<int64_t> pinned;
  for (const auto& [name, recipe] : project.recipes) {
    const size_t at = recipe.model.find('@');
    if (at == std::string::npos || recipe.model.substr(0, at) != model) continue;
    if (auto number = ParseInt64(recipe.model.substr(at + 1))) pinned.insert(*number);
  }
  for (const auto& [name, definition] : project.services.items()) {
    for (const EndpointDefinition& endpoint : ReadService(name, definition).endpoints) {
      const ModelReference reference = ParseModelReference(endpoint.model);
      if (reference.name != model) continue;
      if (auto number = ParseInt64(reference.version)) pinned.insert(*number);
    }
  }
  return pinned;
}

}  // namespace slipway
