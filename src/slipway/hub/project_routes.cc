#include <algorithm>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/flow/build_plan.h"
#include "slipway/flow/datasets.h"
#include "slipway/hub/deploy_views.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/route_helpers.h"
#include "slipway/project/diff.h"
#include "slipway/project/validate.h"

namespace slipway {
namespace {

Result<Response> ListProjects(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(std::vector<ProjectRecord> projects, hub.registry().projects().List());
  Json out = Json::array();
  for (const ProjectRecord& record : projects) {
    if (!MaySee(request, {"project", record.name})) continue;
    ASSIGN_OR_RETURN(StoredProject stored, LoadStoredProject(hub.registry(), record.name));
    out.push_back({{"name", record.name},
                   {"description", stored.definition.description},
                   {"datasets", stored.definition.datasets.size()},
                   {"recipes", stored.definition.recipes.size()},
                   {"models", stored.definition.models.size()},
                   {"revision", record.revision},
                   {"updated_at", record.updated_at},
                   {"updated_by", record.updated_by}});
  }
  return JsonResponse(out);
}

Result<Response> ShowProject(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  return JsonResponse({{"name", stored.record.name},
                       {"revision", stored.record.revision},
                       {"etag", stored.record.etag},
                       {"created_at", stored.record.created_at},
                       {"created_by", stored.record.created_by},
                       {"updated_at", stored.record.updated_at},
                       {"updated_by", stored.record.updated_by},
                       {"definition", ProjectToJson(stored.definition)}});
}

Result<Response> DeleteProject(Hub& hub, const Request& request) {
  const auto force = request.query.find("force");
  const std::string& name = request.params.at("project");
  ASSIGN_OR_RETURN(const auto deployments, DeploymentsOf(hub.registry(), name));
  RETURN_IF_ERROR(hub.registry().projects().Delete(
      request.params.at("project"), force != request.query.end() && force->second == "true", "",
      request.who));
  Json out = {{"deleted", name}};
  WarnOfDeployments(request, deployments, &out);
  return JsonResponse(out);
}

Result<Response> ShowFlow(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  ASSIGN_OR_RETURN(FlowStates states,
                   DescribeFlow(hub.registry(), stored.definition, hub.CheckFor(request)));
  Json out = GraphToJson(BuildGraph(stored.definition), states);
  out["project"] = stored.definition.name;
  out["tree"] =
      RenderTree(BuildGraph(stored.definition), states, {.unicode = true, .color = false});
  out["tree_color"] =
      RenderTree(BuildGraph(stored.definition), states, {.unicode = true, .color = true});
  return JsonResponse(out);
}

// Rights on /apply and /diff are those on the project that the body describes.
Result<Resource> ProjectOfBody(const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseJson(request.body));
  if (!body.is_object()) return InvalidArgument("the request's body must be a JSON object");
  ASSIGN_OR_RETURN(const Json* definition, GetObject(body, "definition"));
  ASSIGN_OR_RETURN(std::string name, GetString(*definition, "project"));
  return Resource{"project", std::move(name)};
}

struct Proposed {
  std::optional<StoredProject> before;
  ProjectDefinition after;
  std::vector<Change> changes;
};

// The definition in the body against the stored one. Without `prune`, what the YAML does not name
// stays as it is.
Result<Proposed> Propose(Hub& hub, const Json& body, bool prune) {
  ASSIGN_OR_RETURN(const Json* definition, GetObject(body, "definition"));
  Proposed out;
  ASSIGN_OR_RETURN(out.after, ProjectFromJson(*definition));
  ASSIGN_OR_RETURN(bool exists, hub.registry().projects().Exists(out.after.name));
  if (exists) {
    ASSIGN_OR_RETURN(StoredProject stored, LoadStoredProject(hub.registry(), out.after.name));
    out.before = std::move(stored);
  }
  if (out.before && !prune) {
    const ProjectDefinition& old = out.before->definition;
    out.after.datasets.insert(old.datasets.begin(), old.datasets.end());
    out.after.models.insert(old.models.begin(), old.models.end());
    out.after.recipes.insert(old.recipes.begin(), old.recipes.end());
    for (const auto& [name, value] : old.services.items()) {
      if (!out.after.services.contains(name)) out.after.services[name] = value;
    }
    for (const auto& [name, value] : old.scenarios.items()) {
      if (!out.after.scenarios.contains(name)) out.after.scenarios[name] = value;
    }
    if (out.after.description.empty()) out.after.description = old.description;
  }
  RETURN_IF_ERROR(Validate(out.after));
  out.changes = Diff(out.before ? std::optional(out.before->definition) : std::nullopt, out.after);
  return out;
}

Response Answer(const Proposed& proposed, const Json& warnings) {
  return JsonResponse({{"project", proposed.after.name},
                       {"changes", ChangesToJson(proposed.changes)},
                       {"text", ChangesText(proposed.changes)},
                       {"warnings", warnings}});
}

// What goes away with its data: removed models' versions and managed data.
Status RemoveState(Hub& hub, const Proposed& proposed, bool force) {
  for (const Change& change : proposed.changes) {
    if (change.change != ChangeKind::kRemove) continue;
    if (change.kind == "model")
      RETURN_IF_ERROR(hub.registry().models().DeleteModel(proposed.after.name, change.name, force));
    if (change.kind == "dataset") {
      RETURN_IF_ERROR(hub.registry().datasets().Clear(proposed.after.name, change.name));
      RETURN_IF_ERROR(hub.registry().datasets().ForgetFilesState(proposed.after.name, change.name));
    }
  }
  return {};
}

struct Looks {
  std::map<std::string, FilesState> learned;
  Json warnings = Json::array();
};

// New and changed files are looked at now, so that their description is pinned; files may also come
// later.
Result<Looks> LookAtFiles(Hub& hub, const Proposed& proposed, const FileCheck& check) {
  Looks looks;
  for (const Change& change : proposed.changes) {
    if (change.kind != "dataset" || change.change == ChangeKind::kRemove) continue;
    const auto it = proposed.after.datasets.find(change.name);
    if (it == proposed.after.datasets.end() || it->second.type != DatasetType::kFiles) continue;
    auto data = ResolveDataset(hub.registry(), proposed.after, change.name,
                               {.refresh = true, .check = check});
    if (data.ok()) {
      for (const std::string& warning : data->warnings)
        looks.warnings.push_back("dataset '" + change.name + "': " + warning);
      if (data->learned) looks.learned[change.name] = *data->learned;
    } else if (data.error().code == ErrorCode::kNotFound) {
      looks.warnings.push_back(data.error().message +
                               "; it will be looked at when it is first built");
    } else {
      return data.error();
    }
  }
  return looks;
}

Result<Response> ApplyProject(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Json body, ParseBody(request, {"definition", "prune", "force"}));
  ASSIGN_OR_RETURN(Proposed proposed, Propose(hub, body, BodyFlag(body, "prune")));
  if (proposed.changes.empty()) return Answer(proposed, Json::array());
  for (const auto& [name, dataset] : proposed.after.datasets) {
    const bool new_paths = !proposed.before ||
                           !proposed.before->definition.datasets.contains(name) ||
                           proposed.before->definition.datasets.at(name).paths != dataset.paths;
    if (new_paths) RETURN_IF_ERROR(hub.CheckPaths(request, dataset.paths));
  }
  // Looking takes a while: before the transaction, whose etag tells when the project changed
  // meanwhile.
  ASSIGN_OR_RETURN(Looks looks, LookAtFiles(hub, proposed, hub.CheckFor(request)));
  ASSIGN_OR_RETURN(Transaction transaction, hub.registry().Begin());
  RETURN_IF_ERROR(RemoveState(hub, proposed, BodyFlag(body, "force")));
  RETURN_IF_ERROR(hub.registry().projects().Put(
      proposed.after.name, DumpJson(ProjectToJson(proposed.after)), request.who,
      proposed.before ? proposed.before->record.etag : "new"));
  for (const auto& [name, state] : looks.learned)
    RETURN_IF_ERROR(hub.registry().datasets().PutFilesState(proposed.after.name, name, state));
  RETURN_IF_ERROR(transaction.Commit());
  return Answer(proposed, looks.warnings);
}

Result<Response> DiffRoute(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Json body, ParseBody(request, {"definition", "prune"}));
  ASSIGN_OR_RETURN(Proposed proposed, Propose(hub, body, BodyFlag(body, "prune")));
  return Answer(proposed, Json::array());
}

}  // namespace

void AddProjectRoutes(Hub& hub, Router* router) {
  const auto add = [&](const char* method, const char* pattern, const char* permission,
                       const char* summary, Result<Response> (*handler)(Hub&, const Request&),
                       RouteDetails details = {}) {
    router->Add({method, pattern, permission, summary,
                 [&hub, handler](const Request& r) { return handler(hub, r); },
                 std::move(details)});
  };
  const auto state = ProjectState(hub);
  const RouteKey definition{"definition", "object", true, "the project, as its YAML as JSON"};
  const RouteKey prune{"prune", "boolean", false, "also remove what the definition does not have"};
  const RouteKey force{"force", "boolean", false, "also models that have versions"};
  add("GET", "/api/v1/projects", "read", "projects", ListProjects,
      {.query = NoKeys(), .paged = ListKey{"name"}, .filtered = true});
  add("GET", "/api/v1/projects/{project}", "read", "one project with its definition", ShowProject,
      {.query = NoKeys(), .etag = true, .state = state});
  add("DELETE", "/api/v1/projects/{project}", "write",
      "deletes a project; ?force=true also with its versions", DeleteProject,
      {.query = Keys({{"force", "boolean", false, "also with its versions"}}),
       .etag = true,
       .atomic = true,
       .state = state});
  add("GET", "/api/v1/projects/{project}/flow", "read",
      "the Flow: nodes and edges with state and reason", ShowFlow,
      {.query = NoKeys(), .waits = AlwaysWaits});
  add("POST", "/api/v1/apply", "write",
      "creates or changes what a definition describes; all or nothing", ApplyProject,
      {.body = Keys({definition, prune, force}),
       .query = NoKeys(),
       .etag = true,
       .resource = ProjectOfBody,
       .state = state,
       .waits = AlwaysWaits});
  add("POST", "/api/v1/diff", "read", "what apply would change", DiffRoute,
      {.body = Keys({definition, prune}),
       .query = NoKeys(),
       .resource = ProjectOfBody,
       .waits = AlwaysWaits});
}

}  // namespace slipway
