#include <algorithm>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/bundle/bundle.h"
#include "slipway/bundle/model.h"
#include "slipway/flow/activity.h"
#include "slipway/hub/deploy_views.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/json_view.h"
#include "slipway/hub/lineage_view.h"
#include "slipway/hub/route_helpers.h"
#include "slipway/table/schema.h"

namespace slipway {
namespace {

constexpr int64_t kAllModels = int64_t{1} << 40;
const std::string kModel = "/api/v1/projects/{project}/models/{model}";

// The {version} of the path: a number, "active" or "latest".
Result<VersionRecord> FindVersion(Registry& registry, const Request& request,
                                  const std::string& selector) {
  ASSIGN_OR_RETURN(ModelRef ref, ParseModelRef(request.params.at("project") + "/" +
                                               request.params.at("model") + "@" + selector));
  return registry.models().Resolve(ref);
}

// The models of a project by name, after `after`, `most` of them or one more: those with versions,
// and those that are only defined.
Result<std::vector<ModelRecord>> ModelsOfProject(Registry& registry, const std::string& project,
                                                 const std::string& after, int64_t most) {
  ASSIGN_OR_RETURN(std::vector<ModelRecord> models,
                   registry.models().List(project, after, most + 1));
  // Of the definition no more than the names is read: a page may take those of many projects.
  ASSIGN_OR_RETURN(const ProjectRecord record, registry.projects().Get(project));
  ASSIGN_OR_RETURN(const Json definition, ParseJson(record.definition_json));
  const bool whole = static_cast<int64_t>(models.size()) <= most;
  const std::string end = whole ? "" : models.back().name;
  std::set<std::string> there;
  for (const ModelRecord& model : models) there.insert(model.name);
  const Json nothing = Json::object();
  const Json* found = FindMember(definition, "models");
  const Json& defined = found != nullptr && found->is_object() ? *found : nothing;
  for (const auto& [name, settings] : defined.items()) {
    if (name <= after || (!whole && name >= end) || there.contains(name)) continue;
    ModelRecord none;
    none.project = project;
    none.name = name;
    models.push_back(std::move(none));
  }
  std::sort(models.begin(), models.end(),
            [](const ModelRecord& a, const ModelRecord& b) { return a.name < b.name; });
  return models;
}

Result<Response> ListModels(Hub& hub, const Request& request) {
  Registry& registry = hub.registry();
  std::vector<std::string> projects;
  if (const auto project = request.params.find("project"); project != request.params.end()) {
    projects = {project->second};
  } else {
    ASSIGN_OR_RETURN(projects, registry.projects().Names());
  }
  std::string after_project, after_model;
  if (request.page && request.page->follows) {
    const size_t slash = request.page->after.find('/');
    after_project = request.page->after.substr(0, slash);
    if (slash != std::string::npos) after_model = request.page->after.substr(slash + 1);
  }
  Json out = Json::array();
  for (const std::string& project : projects) {
    const int64_t most =
        (request.page ? request.page->limit : kAllModels) - static_cast<int64_t>(out.size());
    if (most < 0) break;
    if (project < after_project || !MaySee(request, {"project", project})) continue;
    ASSIGN_OR_RETURN(
        const auto models,
        ModelsOfProject(registry, project, project == after_project ? after_model : "", most));
    for (const ModelRecord& model : models) out.push_back(ModelToJson(model));
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
  const int64_t after = request.page ? ParseInt64(request.page->after).value_or(0) : 0;
  ASSIGN_OR_RETURN(const std::vector<VersionRecord> versions,
                   registry.models().Versions(project, model, after,
                                              request.page ? request.page->limit + 1 : 0));
  for (const VersionRecord& version : versions) out.push_back(VersionToJson(version, false));
  return JsonResponse(out);
}

Result<Response> ShowModel(Hub& hub, const Request& request) {
  const std::string& project = request.params.at("project");
  const std::string& name = request.params.at("model");
  ASSIGN_OR_RETURN(std::optional<ModelRecord> model, hub.registry().models().Find(project, name));
  if (!model) {
    ASSIGN_OR_RETURN(StoredProject stored, LoadStoredProject(hub.registry(), project));
    if (!stored.definition.models.contains(name))
      return hub.registry().models().Get(project, name).error();
    model.emplace();
    model->project = project;
    model->name = name;
  }
  return JsonResponse(ModelToJson(*model));
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
  ASSIGN_OR_RETURN(out["deployments_behind"], DeploymentsBehind(hub.registry(), version.project,
                                                                version.model, version.number));
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

Result<Response> RollbackModel(Hub& hub, const Request& request) {
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
  ASSIGN_OR_RETURN(const auto deployed,
                   DeployedVersions(hub.registry(), version.project, version.model));
  if (const auto on = deployed.find(version.number); on != deployed.end()) {
    return Conflict("version " + std::to_string(version.number) + " of '" + version.project + "/" +
                        version.model + "' is deployed: " + QuotedList(on->second) +
                        (on->second.size() == 1 ? " has" : " have") +
                        " a package with it, served, wanted or as the way back",
                    "bring it to other versions first, twice, as the last one stays the way back: "
                    "slipway deployment update " +
                        on->second[0] + " --version vN; or delete the deployment");
  }
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
  ASSIGN_OR_RETURN(const Json lineage, ModelLineage(hub.registry(), version));
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

struct ImportWish {
  std::string path, file, note, reason;
  bool activate = true;
};

// An upload with what the query says, or a JSON body that names a file of the hub's machine.
Result<ImportWish> ReadImportWish(const Request& request) {
  ImportWish wish;
  if (!request.body_file.empty()) {
    const auto get = [&](const char* key, const char* fallback) {
      const auto found = request.query.find(key);
      return found == request.query.end() ? std::string(fallback) : found->second;
    };
    wish.path = request.body_file;
    wish.file = get("file", "an upload");
    wish.note = get("note", "");
    wish.activate = get("activate", "true") == "true";
    return wish;
  }
  ASSIGN_OR_RETURN(Json body, ParseBody(request, {"path", "note", "reason", "activate"}));
  ASSIGN_OR_RETURN(wish.path, GetString(body, "path"));
  wish.file = wish.path;
  wish.note = BodyText(body, "note");
  wish.reason = BodyText(body, "reason");
  if (body.contains("activate")) {
    ASSIGN_OR_RETURN(wish.activate, GetBool(body, "activate"));
  }
  return wish;
}

Result<Response> Import(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const ImportWish wish, ReadImportWish(request));
  if (request.body_file.empty()) RETURN_IF_ERROR(hub.CheckPaths(request, {wish.path}));
  const std::string& path = wish.path;
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
  version.info_json = DumpJson(ImportedInfo(*model, wish.file));
  version.note = wish.note;
  version.who = request.who;
  version.activate = wish.activate;
  version.reason = wish.reason.empty() ? "imported from " + BaseName(wish.file) : wish.reason;
  ASSIGN_OR_RETURN(VersionRecord added, hub.registry().models().AddVersion(project, name, version));
  RETURN_IF_ERROR(transaction.Commit());
  return JsonResponse(VersionToJson(added, false), 201);
}

}  // namespace

void AddModelRoutes(Hub& hub, Router* router) {
  const auto add = [&](const char* method, const std::string& pattern, const char* permission,
                       const char* summary, Result<Response> (*handler)(Hub&, const Request&),
                       RouteDetails details = {}) {
    router->Add({method, pattern, permission, summary,
                 [&hub, handler](const Request& r) { return handler(hub, r); },
                 std::move(details)});
  };
  // Which version is active, and which there are.
  const auto state = [&hub](const Request& request) {
    const std::string& project = request.params.at("project");
    const std::string& name = request.params.at("model");
    const auto model = hub.registry().models().Find(project, name);
    if (!model.ok() || !*model) return Json();
    const auto numbers = hub.registry().models().VersionNumbers(project, name);
    if (!numbers.ok()) return Json();
    const int64_t active = (*model)->active;
    return Json{{"active", active > 0 ? Json(active) : Json()}, {"versions", *numbers}};
  };
  const char* const version = "^([1-9][0-9]{0,8}|active|latest)$";
  const auto reason = Keys({{"reason", "string", false, "kept in the history"}});
  add("GET", "/api/v1/models", "read", "saved models of all projects", ListModels,
      {.query = NoKeys(), .paged = ListKey{"name"}, .filtered = true});
  add("GET", "/api/v1/projects/{project}/models", "read", "saved models of a project", ListModels,
      {.query = NoKeys(), .paged = ListKey{"name"}});
  add("GET", kModel, "read", "one model: its versions and the active one", ShowModel,
      {.query = NoKeys(), .etag = true, .state = state});
  add("GET", kModel + "/versions", "read", "versions, oldest first", ListVersions,
      {.query = NoKeys(), .paged = ListKey{"version", ListOrder::kNumbers}});
  add("GET", kModel + "/versions/{version}", "read", "one version with everything known about it",
      ShowVersion, {.query = NoKeys(), .etag = true, .state = state});
  add("GET", kModel + "/versions/{version}/bundle", "read", "the version's bundle", Bundle,
      {.query = NoKeys(), .content_type = "application/octet-stream"});
  add("GET", kModel + "/versions/{version}/lineage", "read",
      "where the version came from and what it made", Lineage, {.query = NoKeys()});
  add("GET", kModel + "/history", "read", "activations, oldest first", History,
      {.query = NoKeys(), .paged = ListKey{"", ListOrder::kListed}});
  add("GET", kModel + "/compare", "read", "differences between the versions ?a and ?b", Compare,
      {.query = Keys({{"a", "string", false, "a number, active or latest", version},
                      {"b", "string", false, "the other one", version}})});
  add("POST", kModel + "/versions/{version}/activate", "write", "makes the version the active one",
      Activate, {.body = reason, .query = NoKeys(), .etag = true, .atomic = true, .state = state});
  add("POST", kModel + "/rollback", "write", "activates the previously active version",
      RollbackModel,
      {.body = reason, .query = NoKeys(), .etag = true, .atomic = true, .state = state});
  add("POST", kModel + "/import", "write", "adds a version from a bundle or a LightGBM text file",
      Import,
      {.query = Keys({{"file", "string", false, "the uploaded file's name"},
                      {"note", "string"},
                      {"activate", "boolean"}}),
       .status = 201,
       .etag = true,
       .upload = true,
       .state = state});
  add("DELETE", kModel + "/versions/{version}", "write",
      "deletes a version that is neither active nor used", DeleteVersion,
      {.query = NoKeys(), .etag = true, .atomic = true, .state = state});
}

}  // namespace slipway
