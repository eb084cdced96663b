#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/bundle/bundle.h"
#include "slipway/bundle/model.h"
#include "slipway/flow/activity.h"
#include "slipway/hub/deploy_views.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/json_view.h"
#include "slipway/hub/route_helpers.h"
#include "slipway/table/schema.h"

namespace slipway {
namespace {

const std::string kModel = "/api/v1/projects/{project}/models/{model}";

// The {version} of the path: a number, "active" or "latest".
Result<VersionRecord> FindVersion(Registry& registry, const Request& request,
                                  const std::string& selector) {
  ASSIGN_OR_RETURN(ModelRef ref, ParseModelRef(request.params.at("project") + "/" +
                                               request.params.at("model") + "@" + selector));
  return registry.models().Resolve(ref);
}

Result<Response> ListModels(Hub& hub, const Request& request) {
  const std::string project =
      request.params.count("project") != 0 ? request.params.at("project") : "";
  if (!project.empty()) RETURN_IF_ERROR(hub.registry().projects().Get(project));
  ASSIGN_OR_RETURN(std::vector<ModelRecord> models, hub.registry().models().List(project));
  Json out = Json::array();
  std::set<std::string> seen;
  for (const ModelRecord& model : models) {
    seen.insert(model.project + "/" + model.name);
    out.push_back(ModelToJson(model));
  }
  // Models that are defined and have no version yet.
  ASSIGN_OR_RETURN(std::vector<std::string> projects, hub.registry().projects().Names());
  for (const std::string& name : projects) {
    if (!project.empty() && name != project) continue;
    ASSIGN_OR_RETURN(StoredProject stored, LoadStoredProject(hub.registry(), name));
    for (const auto& [model, definition] : stored.definition.models) {
      if (seen.count(name + "/" + model) != 0) continue;
      ModelRecord none;
      none.project = name;
      none.name = model;
      out.push_back(ModelToJson(none));
    }
  }
  return JsonResponse(out);
}

Result<Response> ListVersions(Hub& hub, const Request& request) {
  Registry& registry = hub.registry();
  const std::string& project = request.params.at("project");
  const std::string& model = request.params.at("model");
  ASSIGN_OR_RETURN(std::optional<ModelRecord> known, registry.models().Find(project, model));
  Json out = Json::array();
  if (!known) {
    ASSIGN_OR_RETURN(StoredProject stored, LoadStoredProject(registry, project));
    if (stored.definition.models.count(model) == 0)
      return registry.models().Get(project, model).error();
    return JsonResponse(out);
  }
  ASSIGN_OR_RETURN(std::vector<VersionRecord> versions, registry.models().Versions(project, model));
  for (const VersionRecord& version : versions) out.push_back(VersionToJson(version, false));
  return JsonResponse(out);
}

// ["p/fares@v3", ...]: packages that took a copy of the version.
Result<Json> PackagesHolding(Registry& registry, const VersionRecord& version) {
  ASSIGN_OR_RETURN(const auto packages,
                   registry.packages().Holding(version.project, version.model, version.number));
  Json out = Json::array();
  for (const PackageRecord& package : packages)
    out.push_back(package.project + "/" + package.service + "@" + PackageId(package.number));
  return out;
}

Result<Response> ShowVersion(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(VersionRecord version,
                   FindVersion(hub.registry(), request, request.params.at("version")));
  Json out = VersionToJson(version, true);
  ASSIGN_OR_RETURN(std::string path, hub.registry().models().BundlePath(version));
  auto model = Model::Open(path);
  if (!model.ok()) return model.error().Within("version " + std::to_string(version.number));
  out["engine"] = (*model)->engine_name();
  out["engine_reason"] = (*model)->engine().reason();
  ASSIGN_OR_RETURN(int64_t bytes, FileSize(path));
  out["bundle_bytes"] = bytes;
  ASSIGN_OR_RETURN(out["packages"], PackagesHolding(hub.registry(), version));
  return JsonResponse(out);
}

Result<Response> History(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(
      std::vector<Activation> history,
      hub.registry().models().History(request.params.at("project"), request.params.at("model")));
  Json out = Json::array();
  for (const Activation& activation : history) out.push_back(ActivationToJson(activation));
  return JsonResponse(out);
}

// Activating changes nothing that is deployed: the answer says what serves another version.
Result<Response> ActiveNow(Hub& hub, const VersionRecord& version) {
  Json out = VersionToJson(version, false);
  ASSIGN_OR_RETURN(out["deployments_behind"],
                   DeploymentsBehind(hub.registry(), version.project, version.model,
                                     version.number));
  return JsonResponse(out);
}

Result<Response> Activate(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Json body, ParseBody(request, {"reason"}));
  ASSIGN_OR_RETURN(VersionRecord version,
                   FindVersion(hub.registry(), request, request.params.at("version")));
  ASSIGN_OR_RETURN(version,
                   hub.registry().models().Activate(version.project, version.model, version.number,
                                                    request.who, BodyText(body, "reason")));
  return ActiveNow(hub, version);
}

Result<Response> Rollback(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Json body, ParseBody(request, {"reason"}));
  ASSIGN_OR_RETURN(
      VersionRecord version,
      hub.registry().models().Rollback(request.params.at("project"), request.params.at("model"),
                                       request.who, BodyText(body, "reason")));
  return ActiveNow(hub, version);
}

Result<Response> DeleteVersion(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(VersionRecord version,
                   FindVersion(hub.registry(), request, request.params.at("version")));
  ASSIGN_OR_RETURN(StoredProject stored, LoadStoredProject(hub.registry(), version.project));
  RETURN_IF_ERROR(
      hub.registry().models().DeleteVersion(version.project, version.model, version.number,
                                            PinnedVersions(stored.definition, version.model)));
  return JsonResponse({{"deleted", version.number}});
}

Result<Response> Compare(Hub& hub, const Request& request) {
  const auto selector = [&](const char* key) {
    auto it = request.query.find(key);
    return it == request.query.end() ? std::string("active") : it->second;
  };
  ASSIGN_OR_RETURN(VersionRecord a, FindVersion(hub.registry(), request, selector("a")));
  ASSIGN_OR_RETURN(VersionRecord b, FindVersion(hub.registry(), request, selector("b")));
  return JsonResponse(CompareVersions(a, b));
}

Result<Response> Lineage(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(VersionRecord version,
                   FindVersion(hub.registry(), request, request.params.at("version")));
  Json out = VersionToJson(version, true);
  const Json info = out["info"];
  Json lineage = {{"version", version.number},
                  {"project", version.project},
                  {"model", version.model},
                  {"origin", version.origin},
                  {"created_at", version.created_at},
                  {"created_by", version.created_by},
                  {"build", out["build"]},
                  {"bundle_sha256", version.bundle},
                  {"libraries", info.value("libraries", Json::object())},
                  {"lineage", info.value("lineage", Json::object())}};
  if (const Json* from = FindMember(info, "imported_from")) lineage["imported_from"] = *from;
  // On to what was scored with it.
  Json used = Json::array();
  ASSIGN_OR_RETURN(std::vector<DatasetState> datasets,
                   hub.registry().datasets().List(version.project));
  for (const DatasetState& state : datasets) {
    if (state.build.model == version.model && state.build.model_version == version.number) {
      used.push_back({{"dataset", state.project + "/" + state.dataset},
                      {"at", state.at},
                      {"rows", state.rows}});
    }
  }
  lineage["scored_datasets"] = std::move(used);
  ASSIGN_OR_RETURN(lineage["packages"], PackagesHolding(hub.registry(), version));
  ASSIGN_OR_RETURN(lineage["deployments"],
                   DeploymentsServing(hub.registry(), version.project, version.model,
                                      version.number));
  return JsonResponse(lineage);
}

Result<Response> Bundle(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(VersionRecord version,
                   FindVersion(hub.registry(), request, request.params.at("version")));
  Response response;
  response.content_type = "application/octet-stream";
  ASSIGN_OR_RETURN(response.file, hub.registry().models().BundlePath(version));
  RETURN_IF_ERROR(hub.registry().blobs().Verify(version.bundle));
  return response;
}

// Whatever describes a model file that did not come from a train recipe here.
Json ImportedInfo(const Model& model, const std::string& path) {
  Json info = model.info().is_object() ? model.info() : Json(Json::object());
  if (!info.contains("algorithm")) info["algorithm"] = "lightgbm";
  if (!info.contains("schema")) info["schema"] = SchemaToJson(model.inputs());
  info["imported_from"] = BaseName(path);
  return info;
}

Result<Response> Import(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Json body, ParseBody(request, {"path", "note", "reason", "activate"}));
  ASSIGN_OR_RETURN(std::string path, GetString(body, "path"));
  const std::string& project = request.params.at("project");
  const std::string& name = request.params.at("model");
  ASSIGN_OR_RETURN(StoredProject stored, LoadStoredProject(hub.registry(), project));
  ASSIGN_OR_RETURN(std::unique_ptr<Model> model, Model::Open(path));
  ASSIGN_OR_RETURN(Transaction transaction, hub.registry().Begin());
  if (stored.definition.models.count(name) == 0) {
    if (!IsValidName(name)) return InvalidArgument("'" + name + "' is not a valid model name");
    stored.definition.models[name] = {};
    RETURN_IF_ERROR(hub.registry().projects().Put(
        project, DumpJson(ProjectToJson(stored.definition)), request.who));
  }
  NewVersion version;
  version.bundle_path = path;
  version.origin = "import";
  version.info_json = DumpJson(ImportedInfo(*model, path));
  version.note = BodyText(body, "note");
  version.who = request.who;
  version.activate = body.value("activate", true);
  version.reason = BodyText(body, "reason", "imported from " + BaseName(path));
  ASSIGN_OR_RETURN(VersionRecord added, hub.registry().models().AddVersion(project, name, version));
  RETURN_IF_ERROR(transaction.Commit());
  return JsonResponse(VersionToJson(added, false), 201);
}

}  // namespace

void AddModelRoutes(Hub& hub, Router* router) {
  const auto add = [&](const char* method, const std::string& pattern, const char* permission,
                       const char* summary, Result<Response> (*handler)(Hub&, const Request&)) {
    router->Add({method, pattern, permission, summary,
                 [&hub, handler](const Request& r) { return handler(hub, r); }});
  };
  add("GET", "/api/v1/models", "read", "saved models of all projects", ListModels);
  add("GET", "/api/v1/projects/{project}/models", "read", "saved models of a project", ListModels);
  add("GET", kModel + "/versions", "read", "versions, oldest first", ListVersions);
  add("GET", kModel + "/versions/{version}", "read", "one version with everything known about it",
      ShowVersion);
  add("GET", kModel + "/versions/{version}/bundle", "read", "the version's bundle", Bundle);
  add("GET", kModel + "/versions/{version}/lineage", "read",
      "where the version came from and what it made", Lineage);
  add("GET", kModel + "/history", "read", "activations, oldest first", History);
  add("GET", kModel + "/compare", "read", "differences between the versions ?a and ?b", Compare);
  add("POST", kModel + "/versions/{version}/activate", "write", "makes the version the active one",
      Activate);
  add("POST", kModel + "/rollback", "write", "activates the previously active version", Rollback);
  add("POST", kModel + "/import", "write", "adds a version from a bundle or a LightGBM text file",
      Import);
  add("DELETE", kModel + "/versions/{version}", "write",
      "deletes a version that is neither active nor used", DeleteVersion);
}

}  // namespace slipway
