#include <algorithm>
#include <set>

#include "slipway/base/clock.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/flow/package_changes.h"
#include "slipway/flow/package_run.h"
#include "slipway/hub/answer_schemas.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/json_view.h"
#include "slipway/hub/route_helpers.h"
#include "slipway/hub/service_views.h"

namespace slipway {
namespace {

constexpr int64_t kLastSourceDate = 253'402'300'799;  // the end of the year 9999

// A service that is defined, or was and still has packages.
Status CheckServiceKnown(Registry& registry, const StoredProject& stored,
                         const std::string& service) {
  if (stored.definition.services.contains(service)) return {};
  ASSIGN_OR_RETURN(const auto packages, registry.packages().List(stored.definition.name, service));
  if (!packages.empty()) return {};
  return PlanPackage(registry, stored.definition, service, false).error();
}

// The {package} of the path: "v3", "3" or "latest".
Result<PackageRecord> FindPackage(Hub& hub, const Request& request) {
  const std::string& project = request.params.at("project");
  const std::string& service = request.params.at("service");
  const std::string& text = request.params.at("package");
  ASSIGN_OR_RETURN(const StoredProject stored, LoadStoredProject(hub.registry(), project));
  RETURN_IF_ERROR(CheckServiceKnown(hub.registry(), stored, service));
  if (text == "latest") {
    ASSIGN_OR_RETURN(std::optional<PackageRecord> latest,
                     hub.registry().packages().Latest(project, service));
    if (latest) return *std::move(latest);
    return hub.registry().packages().Get(project, service, 1);
  }
  const auto number = ParseInt64(text.starts_with("v") ? text.substr(1) : text);
  if (!number || *number < 1)
    return InvalidArgument("'" + text.substr(0, 60) + "' is no package", "write v3, for example");
  return hub.registry().packages().Get(project, service, *number);
}

Result<Response> ListServices(Hub& hub, const Request& request) {
  std::vector<std::string> projects;
  if (request.params.count("project") != 0) {
    projects = {request.params.at("project")};
  } else {
    ASSIGN_OR_RETURN(projects, hub.registry().projects().Names());
  }
  Json out = Json::array();
  for (const std::string& project : projects) {
    ASSIGN_OR_RETURN(const StoredProject stored, LoadStoredProject(hub.registry(), project));
    for (const auto& [name, definition] : stored.definition.services.items()) {
      if (!MaySee(request, {"service", project + "/" + name})) continue;
      const ServiceDefinition service = ReadService(name, definition);
      Json endpoints = Json::array();
      for (const EndpointDefinition& endpoint : service.endpoints) endpoints.push_back(endpoint.id);
      ASSIGN_OR_RETURN(const auto packages, hub.registry().packages().List(project, name));
      out.push_back(
          {{"name", project + "/" + name},
           {"description", service.description},
           {"endpoints", std::move(endpoints)},
           {"packages", packages.size()},
           {"latest", packages.empty() ? Json() : Json(PackageId(packages.back().number))}});
    }
  }
  return JsonResponse(out);
}

Result<Response> ShowService(Hub& hub, const Request& request) {
  const std::string& project = request.params.at("project");
  const std::string& name = request.params.at("service");
  Registry& registry = hub.registry();
  ASSIGN_OR_RETURN(const StoredProject stored, LoadStoredProject(registry, project));
  RETURN_IF_ERROR(CheckServiceKnown(registry, stored, name));
  const bool defined = stored.definition.services.contains(name);
  ASSIGN_OR_RETURN(const auto packages, registry.packages().List(project, name));
  ASSIGN_OR_RETURN(Json listed, PackagesToJson(registry, packages));
  Json out = {{"name", project + "/" + name}, {"defined", defined}};
  if (defined) {
    const ServiceDefinition service = ReadService(name, stored.definition.services[name]);
    out["description"] = service.description;
    out["auth"] = service.auth.empty() ? Json() : Json(service.auth);
    out["endpoints"] = Json::array();
    for (const EndpointDefinition& endpoint : service.endpoints)
      out["endpoints"].push_back(EndpointToJson(hub.registry(), project, endpoint));
    out["definition"] = stored.definition.services[name];
    out["changes"] = Json();
    if (!packages.empty()) {
      ASSIGN_OR_RETURN(const Json changes,
                       ChangesSincePackage(registry, stored.definition, name, packages.back(),
                                           hub.CheckFor(request)));
      out["changes"] = changes["text"];
    }
  }
  out["packages"] = std::move(listed);
  return JsonResponse(out);
}

Result<Response> ListPackages(Hub& hub, const Request& request) {
  const std::string& project = request.params.at("project");
  const std::string& service = request.params.at("service");
  ASSIGN_OR_RETURN(const StoredProject stored, LoadStoredProject(hub.registry(), project));
  RETURN_IF_ERROR(CheckServiceKnown(hub.registry(), stored, service));
  ASSIGN_OR_RETURN(const auto packages, hub.registry().packages().List(project, service));
  ASSIGN_OR_RETURN(const Json out, PackagesToJson(hub.registry(), packages));
  return JsonResponse(out);
}

Result<Response> MakePackage(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body,
                   ParseBody(request, {"notes", "force", "source_date_epoch", "number"}));
  ASSIGN_OR_RETURN(const StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  ASSIGN_OR_RETURN(PackageJob job,
                   PlanPackage(hub.registry(), stored.definition, request.params.at("service"),
                               true, hub.CheckFor(request)));
  job.notes = BodyText(body, "notes");
  job.force = BodyFlag(body, "force");
  if (const Json* number = FindMember(body, "number"); number != nullptr && !number->is_null()) {
    ASSIGN_OR_RETURN(job.number, GetInt(body, "number"));
    ASSIGN_OR_RETURN(const int64_t next,
                     hub.registry().packages().NextNumber(stored.definition.name, job.service));
    if (job.number != next)
      return Conflict("the next package of '" + job.service + "' is " + PackageId(next) + ", not " +
                          PackageId(job.number),
                      "its numbers are never given twice");
  }
  if (const Json* epoch = FindMember(body, "source_date_epoch");
      epoch != nullptr && !epoch->is_null()) {
    ASSIGN_OR_RETURN(const int64_t seconds, GetInt(body, "source_date_epoch"));
    if (seconds < 0 || seconds > kLastSourceDate)
      return InvalidArgument(
          "'source_date_epoch' is " + std::to_string(seconds),
          "it is seconds since 1970, from 0 to " + std::to_string(kLastSourceDate));
    job.created_at = FormatTimestamp(seconds * 1'000'000);
  }
  JobWork work;
  work.kind = "package";
  work.scope = "service:" + stored.definition.name + "/" + job.service;
  work.what = "package";
  work.output = job.service;
  work.reason = "asked for";
  work.check = hub.CheckFor(request);
  work.run = [job](const ActivityContext& context) { return RunPackage(context, job); };
  ASSIGN_OR_RETURN(const std::string id,
                   hub.jobs().Start(stored.definition, std::move(work), request.who));
  return JsonResponse({{"job", id}}, 202);
}

Result<Response> ShowPackage(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const PackageRecord package, FindPackage(hub, request));
  ASSIGN_OR_RETURN(const auto all,
                   hub.registry().packages().List(package.project, package.service));
  // Against the one before it.
  std::vector<PackageRecord> two;
  for (const PackageRecord& each : all) {
    if (each.number > package.number) break;
    if (two.size() == 2) two.erase(two.begin());
    two.push_back(each);
  }
  ASSIGN_OR_RETURN(const Json out, PackagesToJson(hub.registry(), two));
  return JsonResponse(out.back());
}

Result<Response> PackageArchive(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const PackageRecord package, FindPackage(hub, request));
  Response response;
  response.content_type = "application/zip";
  ASSIGN_OR_RETURN(response.file, hub.registry().packages().Path(package));
  RETURN_IF_ERROR(hub.registry().blobs().Verify(package.blob));
  return response;
}

Result<Response> DeletePackage(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const PackageRecord package, FindPackage(hub, request));
  RETURN_IF_ERROR(
      hub.registry().packages().Delete(package.project, package.service, package.number));
  return JsonResponse({{"deleted", PackageId(package.number)},
                       {"service", package.project + "/" + package.service}});
}

}  // namespace

void AddServiceRoutes(Hub& hub, Router* router) {
  const auto add = [&](const char* method, const std::string& pattern, const char* permission,
                       const char* summary, Result<Response> (*handler)(Hub&, const Request&),
                       RouteDetails details = {}) {
    router->Add({method, pattern, permission, summary,
                 [&hub, handler](const Request& r) { return handler(hub, r); },
                 std::move(details)});
  };
  const auto state = [&hub](const Request& request) {
    const auto packages =
        hub.registry().packages().List(request.params.at("project"), request.params.at("service"));
    Json ids = Json::array();
    if (packages.ok()) {
      for (const PackageRecord& package : *packages) ids.push_back(PackageId(package.number));
    }
    return Json{{"packages", std::move(ids)}};
  };
  add("GET", "/api/v1/services", "read", "API services of all projects", ListServices,
      {.query = NoKeys(), .paged = ListKey{"name"}, .filtered = true});
  add("GET", "/api/v1/projects/{project}/services", "read", "API services of a project",
      ListServices, {.query = NoKeys(), .paged = ListKey{"name"}});
  add("GET", kServiceRoute, "read", "one service: endpoints, packages, changes since the last one",
      ShowService, {.query = NoKeys(), .etag = true, .wider = true, .state = ServiceState(hub)});
  add("GET", kServiceRoute + "/packages", "read", "packages, oldest first", ListPackages,
      {.query = NoKeys(),
       .paged = ListKey{"number", ListOrder::kNumbers},
       .answer = AnswersList("Package")});
  add("POST", kServiceRoute + "/packages", "write",
      "makes the next package: 202 with the job to follow", MakePackage,
      {.body = Keys({{"notes", "string", false, "kept with the package"},
                     {"force", "boolean", false, "also when a test query fails"},
                     {"number", "integer", false, "make it only if the next one has this number",
                      "", 1, int64_t{1} << 53},
                     {"source_date_epoch", "integer", false,
                      "the time that the package states as its own, in seconds since 1970 (now)",
                      "", 0, kLastSourceDate}}),
       .query = NoKeys(),
       .status = 202,
       .answer = Answers("StartedJob"),
       .state = state});
  add("GET", kServiceRoute + "/packages/{package}", "read", "one package; also 'latest'",
      ShowPackage, {.query = NoKeys(), .answer = Answers("Package")});
  add("GET", kServiceRoute + "/packages/{package}/archive", "read", "the package's zip",
      PackageArchive, {.query = NoKeys(), .content_type = "application/zip"});
  add("DELETE", kServiceRoute + "/packages/{package}", "write", "deletes a package", DeletePackage,
      {.query = NoKeys(), .atomic = true, .state = state});
}

}  // namespace slipway
