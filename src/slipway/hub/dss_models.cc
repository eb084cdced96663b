// Saved models for DSS's clients: a model is a saved model, its version 3 the version "3".
#include <algorithm>

#include "slipway/base/text.h"
#include "slipway/hub/dss_facade.h"
#include "slipway/hub/dss_wire.h"

namespace slipway {
namespace {

std::string ModelsPath(const DssCall& call) { return "projects/" + call.param("p") + "/models"; }
std::string ModelPath(const DssCall& call) { return ModelsPath(call) + "/" + call.param("m"); }

// Versions of DSS's are ids; ours are numbers.
Result<std::string> VersionPath(const DssCall& call, const std::string& id) {
  const auto number = ParseInt64(id);
  if (number && *number > 0) return ModelPath(call) + "/versions/" + std::to_string(*number);
  return NotFound("'" + call.param("p") + "/" + call.param("m") + "' has no version '" +
                      id.substr(0, 100) + "'",
                  "versions are numbers: 1, 2, ...");
}

Json ValueOf(const Json& object, const char* key) {
  const Json* value = FindMember(object, key);
  return value != nullptr ? *value : Json();
}

Json PredictionType(const Json& version) {
  const Json* info = FindMember(version, "info");
  const Json kind = info != nullptr ? ValueOf(*info, "prediction") : Json();
  if (kind == "regression") return "REGRESSION";
  if (kind == "binary") return "BINARY_CLASSIFICATION";
  if (kind == "multiclass") return "MULTICLASS";
  return Json();
}

// "log_loss" -> "logLoss", as DSS names its metrics.
std::string MetricName(const std::string& name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '_' && i + 1 < name.size()) {
      out += static_cast<char>(std::toupper(static_cast<unsigned char>(name[++i])));
    } else {
      out += name[i];
    }
  }
  return out;
}

Json ModelItem(const std::string& project, const Json& model) {
  const std::string name = model.value("name", "");
  const Json active = ValueOf(model, "active");
  return {{"id", name.substr(name.find('/') + 1)},
          {"name", name.substr(name.find('/') + 1)},
          {"projectKey", project},
          {"type", "PREDICTION"},
          {"savedModelType", "DSS_MANAGED"},
          {"activeVersion", active.is_null() ? Json() : Json(DumpJson(active))}};
}

Json FullId(const DssCall& call, const Json& version) {
  return "S-" + call.param("p") + "-" + call.param("m") + "-" + DumpJson(version["version"]);
}

Json TrainInfo(const Json& version) {
  const Json* info = FindMember(version, "info");
  const Json seconds = ValueOf(version, "train_seconds");
  return {
      {"trainRows", ValueOf(version, "rows")},
      {"testRows", info != nullptr ? ValueOf(*info, "metrics_rows") : Json()},
      {"endTime", DssMillis(version.value("created_at", ""))},
      {"trainingTime",
       seconds.is_number() ? Json(static_cast<int64_t>(seconds.get<double>() * 1000)) : Json()}};
}

Json UserMeta(const DssCall& call, const Json& version) {
  return {{"name", call.param("m") + " " + DumpJson(version["version"])},
          {"description", ValueOf(version, "note")},
          {"labels", Json::array()}};
}

Json Snippet(const DssCall& call, const Json& version) {
  Json out = {{"fullModelId", FullId(call, version)},
              {"algorithm", ValueOf(version, "algorithm")},
              {"predictionType", PredictionType(version)},
              {"trainDate", DssMillis(version.value("created_at", ""))},
              {"trainInfo", TrainInfo(version)},
              {"userMeta", UserMeta(call, version)}};
  if (const Json* metrics = FindMember(version, "metrics"); metrics && metrics->is_object()) {
    for (const auto& [name, value] : metrics->items()) out[MetricName(name)] = value;
  }
  return out;
}

Json Features(const Json& info) {
  Json out = Json::object();
  const Json* features = FindMember(info, "features");
  if (features == nullptr || !features->is_array()) return out;
  for (const Json& feature : *features) {
    const bool categorical = feature.value("categorical", false);
    out[feature.value("source", feature.value("name", ""))] = {
        {"role", "INPUT"}, {"type", categorical ? "CATEGORY" : "NUMERIC"}};
  }
  return out;
}

Json Details(const DssCall& call, const Json& version) {
  const Json* found = FindMember(version, "info");
  const Json info = found != nullptr ? *found : Json(Json::object());
  Json remapping = Json::array();
  if (const Json* classes = FindMember(info, "classes"); classes && classes->is_array()) {
    for (size_t i = 0; i < classes->size(); ++i)
      remapping.push_back({{"sourceValue", (*classes)[i]}, {"mappedValue", i}});
  }
  const Json* parameters = FindMember(info, "parameters");
  return {{"fullModelId", FullId(call, version)},
          {"coreParams",
           {{"prediction_type", PredictionType(version)},
            {"target_variable", ValueOf(info, "target")}}},
          {"trainInfo", TrainInfo(version)},
          {"userMeta", UserMeta(call, version)},
          {"perf", {{"metrics", ValueOf(version, "metrics")}}},
          {"iperf", {{"rawImportance", ValueOf(info, "importance")}}},
          {"preprocessing",
           {{"target_remapping", std::move(remapping)}, {"per_feature", Features(info)}}},
          {"modeling", {{"algorithm", ValueOf(version, "algorithm")}}},
          {"actualParams",
           {{"resolved", parameters != nullptr ? ValueOf(*parameters, "effective") : Json()}}},
          {"mlDiagnostics", {{"diagnostics", Json::array()}}},
          {"slipway", version}};
}

Result<Response> ListDssModels(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json models, call.Get(ModelsPath(call)));
  Json out = Json::array();
  for (const Json& model : models) out.push_back(ModelItem(call.param("p"), model));
  return JsonResponse(out);
}

Result<Json> DssModelSettings(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json model, call.Get(ModelPath(call)));
  Json out = ModelItem(call.param("p"), model);
  Json type, metrics = Json::object();
  if (const Json* latest = FindMember(model, "latest")) {
    ASSIGN_OR_RETURN(const Json version,
                     call.Get(ModelPath(call) + "/versions/" + DumpJson(*latest)));
    type = PredictionType(version);
    metrics["evaluationMetric"] = ValueOf(version["info"], "watched_metric");
  }
  out["miniTask"] = {{"taskType", "PREDICTION"},
                     {"predictionType", std::move(type)},
                     {"modeling", {{"metrics", std::move(metrics)}}}};
  return out;
}

Result<Response> GetDssModelSettings(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json settings, DssModelSettings(call));
  return JsonResponse(settings);
}

// What a saved model is made of stands in its recipe; there is nothing that could be set here.
Result<Response> PutDssModelSettings(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json sent, call.body());
  ASSIGN_OR_RETURN(const Json read, DssModelSettings(call));
  RETURN_IF_ERROR(DssOnlyChanges(read, sent, {}, "the saved model"));
  return DssOk();
}

// A saved model and the recipe that trains it go together. What else uses it keeps it.
Result<Response> DeleteDssModel(const DssCall& call) {
  const std::string& name = call.param("m");
  std::string etag;
  ASSIGN_OR_RETURN(Json project, call.GetToChange("projects/" + call.param("p"), &etag));
  RETURN_IF_ERROR(call.Get(ModelPath(call)));
  Json& definition = project["definition"];
  if (definition.contains("models")) definition["models"].erase(name);
  Json kept = Json::object();
  if (definition.contains("recipes")) {
    for (const auto& [id, recipe] : definition["recipes"].items()) {
      if (recipe.value("type", "") != "train" || recipe.value("output", "") != name)
        kept[id] = recipe;
    }
    definition["recipes"] = std::move(kept);
  }
  RETURN_IF_ERROR(call.Send(
      "POST", "apply", {{"definition", definition}, {"prune", true}, {"force", true}}, {}, etag));
  return DssOk();
}

Result<Response> ListDssVersions(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json versions, call.Get(ModelPath(call) + "/versions"));
  Json out = Json::array();
  for (const Json& version : versions) {
    const std::string id = DumpJson(version["version"]);
    out.push_back({{"id", id},
                   {"active", version["active"]},
                   {"createdOn", DssMillis(version.value("created_at", ""))},
                   {"createdBy", ValueOf(version, "created_by")},
                   {"snippet", Snippet(call, version)}});
  }
  return JsonResponse(out);
}

Result<Response> GetDetails(const DssCall& call) {
  ASSIGN_OR_RETURN(const std::string path, VersionPath(call, call.param("v")));
  ASSIGN_OR_RETURN(const Json version, call.Get(path));
  return JsonResponse(Details(call, version));
}

Result<Response> GetSnippet(const DssCall& call) {
  ASSIGN_OR_RETURN(const std::string path, VersionPath(call, call.param("v")));
  ASSIGN_OR_RETURN(const Json version, call.Get(path));
  return JsonResponse(Snippet(call, version));
}

Result<Response> SetActive(const DssCall& call) {
  ASSIGN_OR_RETURN(const std::string path, VersionPath(call, call.param("v")));
  RETURN_IF_ERROR(call.Send("POST", path + "/activate", {{"reason", "asked for by a DSS client"}}));
  return DssOk();
}

// All of them are known before the first goes.
Result<Response> DeleteVersions(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json body, call.body());
  ASSIGN_OR_RETURN(const std::vector<std::string> ids, GetStrings(body, "versions"));
  std::vector<std::string> paths;
  for (const std::string& id : ids) {
    ASSIGN_OR_RETURN(std::string path, VersionPath(call, id));
    RETURN_IF_ERROR(call.Get(path));
    paths.push_back(std::move(path));
  }
  for (const std::string& path : paths) RETURN_IF_ERROR(call.Send("DELETE", path));
  return DssOk();
}

// As DSS shows metrics: each with its last value.
Result<Response> Metrics(const DssCall& call) {
  ASSIGN_OR_RETURN(const std::string path, VersionPath(call, call.param("v")));
  ASSIGN_OR_RETURN(const Json version, call.Get(path));
  Json out = Json::array();
  if (const Json* metrics = FindMember(version, "metrics"); metrics && metrics->is_object()) {
    for (const auto& [name, value] : metrics->items()) {
      Json last = {{"partition", "NP"}, {"dataType", "DOUBLE"}, {"value", value}};
      out.push_back({{"metric", {{"id", "model_perf:" + MetricName(name)}}},
                     {"lastValues", Json::array({std::move(last)})}});
    }
  }
  return JsonResponse({{"metrics", std::move(out)}});
}

}  // namespace

void AddDssModelCalls(DssFacade* facade) {
  const char* const m = "/projects/{p}/savedmodels/{m}";
  const std::string version = std::string(m) + "/versions/{v}";
  facade->Add("GET", "/projects/{p}/savedmodels", "DSSProject.list_saved_models", ListDssModels);
  facade->Add("GET", m, "DSSSavedModel.get_settings", GetDssModelSettings);
  facade->Add("PUT", m, "DSSSavedModelSettings.save", PutDssModelSettings);
  facade->Add("DELETE", m, "DSSSavedModel.delete", DeleteDssModel);
  facade->Add("GET", "/projects/{p}/savedmodels/{m}/versions",
              "DSSSavedModel.list_versions, get_active_version", ListDssVersions);
  facade->Add("GET", "/projects/{p}/savedmodels/{m}/versions/{v}/details",
              "DSSSavedModel.get_version_details", GetDetails);
  facade->Add("GET", "/projects/{p}/savedmodels/{m}/versions/{v}/snippet",
              "DSSSavedModel.get_version_details", GetSnippet);
  facade->Add("POST", "/projects/{p}/savedmodels/{m}/versions/{v}/actions/setActive",
              "DSSSavedModel.set_active_version", SetActive);
  facade->Add("POST", "/projects/{p}/savedmodels/{m}/actions/delete-versions",
              "DSSSavedModel.delete_versions", DeleteVersions);
  facade->Add("GET", "/projects/{p}/savedmodels/{m}/metrics/{v}", "DSSSavedModel.get_metric_values",
              Metrics);
  const char* const import =
      "LightGBM and XGBoost model files come in with: slipway model import PROJECT/MODEL FILE";
  facade->AddMissing("/projects/{p}/savedmodels", "making MLflow and external models", import);
  facade->AddMissing(version.c_str(), "importing MLflow and external model versions", import);
  facade->AddMissing("/projects/{p}/savedmodels/{m}/versions/{v}/external-ml/metadata",
                     "MLflow and external model versions", import);
  facade->AddMissing("/projects/{p}/savedmodels/{m}/versions/{v}/external-ml/actions/evaluate",
                     "evaluating MLflow and external model versions", import);
  const char* const exported = "a version's bundle: slipway model export PROJECT/MODEL@N";
  for (const char* what : {"scoring-python", "scoring-pmml", "scoring-jar"}) {
    facade->AddMissing((version + "/" + what).c_str(), "exports as Python, MLflow, PMML or Java",
                       exported);
  }
  facade->AddMissing((version + "/user-meta").c_str(),
                     "changing a version's description and labels", "");
}

}  // namespace slipway
