// Stages, infrastructures and published services: what deployments are made of.
#include "slipway/base/file.h"
#include "slipway/base/names.h"
#include "slipway/base/text.h"
#include "slipway/hub/answer_schemas.h"
#include "slipway/hub/body_shapes.h"
#include "slipway/hub/deploy_views.h"
#include "slipway/hub/deployer_bodies.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/route_helpers.h"
#include "slipway/package/package.h"

namespace slipway {
namespace {

Result<Response> ListStages(Hub& hub, const Request&) {
  ASSIGN_OR_RETURN(const std::vector<Stage> stages, hub.registry().infras().Stages());
  Json out = Json::array();
  for (const Stage& stage : stages)
    out.push_back({{"name", stage.name}, {"description", stage.description}});
  return JsonResponse(out);
}

Result<Response> SetStages(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"stages"}));
  ASSIGN_OR_RETURN(const Json* list, GetArray(body, "stages"));
  std::vector<Stage> stages;
  std::set<std::string> names;
  for (const Json& each : *list) {
    ASSIGN_OR_RETURN(std::string name, GetString(each, "name"));
    RETURN_IF_ERROR(CheckValidName(name));
    if (!names.insert(name).second) return InvalidArgument("stage '" + name + "' is named twice");
    stages.push_back({std::move(name), BodyText(each, "description")});
  }
  if (stages.empty()) return InvalidArgument("there must be a stage at least");
  RETURN_IF_ERROR(hub.registry().infras().SetStages(stages));
  return ListStages(hub, request);
}

Result<Response> ListInfras(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const auto infras, hub.registry().infras().List());
  ASSIGN_OR_RETURN(const auto deployments, hub.registry().deployments().List());
  Json out = Json::array();
  for (const InfraRecord& infra : infras) {
    if (!MaySee(request, {"infra", infra.name})) continue;
    Json json = InfraToJson(infra);
    json["deployments"] = Json::array();
    for (const DeploymentRecord& each : deployments) {
      if (each.infra == infra.name) json["deployments"].push_back(each.name);
    }
    out.push_back(std::move(json));
  }
  return JsonResponse(out);
}

int BodyInt(const Json& body, const char* key, int fallback) {
  const Json* value = FindMember(body, key);
  return value != nullptr && value->is_number_integer() ? value->get<int>() : fallback;
}

Result<Response> AddInfra(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(
      const Json body,
      ParseBody(request, {"name", "type", "stage", "parallel", "local_nodes", "ca_file",
                          "certificate_file", "key_file", "insecure", "nodes"}));
  NewInfra infra;
  ASSIGN_OR_RETURN(infra.name, GetString(body, "name"));
  RETURN_IF_ERROR(CheckValidName(infra.name));
  infra.type = BodyText(body, "type", "static");
  infra.stage = BodyText(body, "stage", "Development");
  infra.who = request.who;
  InfraSettings& settings = infra.settings;
  settings.parallel = BodyInt(body, "parallel", 1);
  settings.local_nodes = BodyInt(body, "local_nodes", 1);
  settings.ca_file = BodyText(body, "ca_file");
  settings.certificate_file = BodyText(body, "certificate_file");
  settings.key_file = BodyText(body, "key_file");
  settings.insecure = BodyFlag(body, "insecure");
  if (settings.parallel < 1 || settings.parallel > 1000)
    return InvalidArgument("'parallel' is the number of nodes that switch at a time: 1 to 1,000");
  if (settings.local_nodes < 1 || settings.local_nodes > 64)
    return InvalidArgument("'local_nodes' is a number from 1 to 64");
  for (const std::string* file :
       {&settings.ca_file, &settings.certificate_file, &settings.key_file}) {
    if (file->empty()) continue;
    RETURN_IF_ERROR(hub.CheckPaths(request, {*file}));
    if (!PathExists(*file)) return NotFound("there is no file '" + *file + "'");
  }
  if (const Json* nodes = FindMember(body, "nodes"); nodes != nullptr && nodes->is_array()) {
    for (const Json& node : *nodes) {
      ASSIGN_OR_RETURN(const std::string url, GetString(node, "url"));
      ASSIGN_OR_RETURN(std::string normal, NormalNodeUrl(url));
      infra.nodes.push_back({std::move(normal), BodyText(node, "key")});
    }
  }
  // An empty list that is sent is meant: nodes come later.
  if (infra.type == "static" && infra.nodes.empty() && !body.contains("nodes"))
    return InvalidArgument("a static infrastructure has nodes",
                           "--node http://HOST:PORT --key-file FILE, once for each node");
  if (infra.type == "local" && !infra.nodes.empty())
    return InvalidArgument("the nodes of a local infrastructure are started by Slipway",
                           "leave --node out, or use --type static");
  if (infra.type == "kubernetes")
    return InvalidArgument("infrastructures of type 'kubernetes' come with a later release",
                           "use 'static' or 'local'");
  if (infra.type != "static" && infra.type != "local")
    return InvalidArgument("'" + infra.type + "' is no type of infrastructures",
                           "static: API nodes that run already; local: API nodes on this machine");
  ASSIGN_OR_RETURN(const InfraRecord added, hub.registry().infras().Add(infra));
  return JsonResponse(InfraToJson(added), 201);
}

Result<Response> ShowInfra(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const InfraRecord infra,
                   hub.registry().infras().Get(request.params.at("infra")));
  Json out = InfraToJson(infra);
  ASSIGN_OR_RETURN(const Json nodes, hub.deployer().Nodes(infra, false));
  out["nodes"] = nodes;
  ASSIGN_OR_RETURN(const auto deployments, hub.registry().deployments().List());
  out["deployments"] = Json::array();
  for (const DeploymentRecord& each : deployments) {
    if (each.infra == infra.name) out["deployments"].push_back(each.name);
  }
  return JsonResponse(out);
}

Result<Response> DeleteInfra(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const InfraRecord infra,
                   hub.registry().infras().Get(request.params.at("infra")));
  RETURN_IF_ERROR(hub.deployer().RemoveInfra(infra, request.who));
  return JsonResponse({{"deleted", infra.name}});
}

Result<Response> StartNodes(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const InfraRecord infra,
                   hub.registry().infras().Get(request.params.at("infra")));
  if (infra.type != "local")
    return InvalidArgument("the nodes of '" + infra.name + "' are not run by Slipway",
                           "start them where they run");
  ASSIGN_OR_RETURN(const Json nodes, hub.deployer().Nodes(infra, true));
  return JsonResponse({{"name", infra.name}, {"nodes", nodes}});
}

Result<Response> StopNodes(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const InfraRecord infra,
                   hub.registry().infras().Get(request.params.at("infra")));
  RETURN_IF_ERROR(hub.deployer().StopNodes(infra));
  return JsonResponse({{"stopped", infra.name}});
}

// {package} as elsewhere: "v3", "3" or "latest".
Result<Response> PublishPackage(Hub& hub, const Request& request) {
  RETURN_IF_ERROR(ParseBody(request, {}));
  Registry& registry = hub.registry();
  const std::string& project = request.params.at("project");
  const std::string& service = request.params.at("service");
  const std::string& text = request.params.at("package");
  RETURN_IF_ERROR(LoadStoredProject(registry, project));
  int64_t number = 0;
  if (text == "latest") {
    ASSIGN_OR_RETURN(const auto latest, registry.packages().Latest(project, service));
    number = latest ? latest->number : 1;
  } else {
    number = ParseInt64(text.starts_with("v") ? text.substr(1) : text).value_or(0);
    if (number < 1)
      return InvalidArgument("'" + text.substr(0, 60) + "' is no package", "write v3, for example");
  }
  ASSIGN_OR_RETURN(const PackageRecord package, registry.packages().Get(project, service, number));
  ASSIGN_OR_RETURN(const std::string path, registry.packages().Path(package));
  RETURN_IF_ERROR(registry.blobs().Verify(package.blob));
  ASSIGN_OR_RETURN(const PackageManifest manifest, ReadPackageManifest(path));
  const bool already = registry.published().GetVersion(service, manifest.id).ok();
  ASSIGN_OR_RETURN(
      const PublishedVersion version,
      registry.published().Publish(project, service, manifest.id, {package.blob, package.bytes},
                                   DumpJson(ManifestToJson(manifest)), request.who));
  Json out = PublishedVersionToJson(version);
  out["already"] = already;
  return JsonResponse(out, 201);
}

// Where it runs: as far as the caller may see it.
Json PublishedToJson(const Request& request, const PublishedService& service,
                     const std::vector<DeploymentRecord>& deployments) {
  Json versions = Json::array(), on = Json::array();
  for (const PublishedVersion& version : service.versions)
    versions.push_back(PublishedVersionToJson(version));
  for (const DeploymentRecord& each : deployments) {
    if (each.service == service.name && MaySee(request, {"infra", each.infra}))
      on.push_back(each.name);
  }
  return {{"service", service.name},          {"project", service.project},
          {"versions", std::move(versions)},  {"deployments", std::move(on)},
          {"created_at", service.created_at}, {"created_by", service.created_by}};
}

Result<Response> ListPublished(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const auto services, hub.registry().published().List());
  ASSIGN_OR_RETURN(const auto deployments, hub.registry().deployments().List());
  Json out = Json::array();
  for (const PublishedService& service : services) {
    if (MaySee(request, PublishedResource(service)))
      out.push_back(PublishedToJson(request, service, deployments));
  }
  return JsonResponse(out);
}

Result<Response> ShowPublished(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const auto service,
                   hub.registry().published().Get(request.params.at("published")));
  ASSIGN_OR_RETURN(const auto deployments, hub.registry().deployments().List());
  return JsonResponse(PublishedToJson(request, service, deployments));
}

Result<Response> PublishedArchive(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const PublishedVersion version,
                   hub.registry().published().GetVersion(request.params.at("published"),
                                                         request.params.at("version")));
  Response response;
  response.content_type = "application/zip";
  ASSIGN_OR_RETURN(response.file, hub.registry().published().Path(version));
  RETURN_IF_ERROR(hub.registry().blobs().Verify(version.blob));
  return response;
}

Result<Response> DeletePublished(Hub& hub, const Request& request) {
  const std::string& service = request.params.at("published");
  const std::string& version = request.params.at("version");
  ASSIGN_OR_RETURN(Transaction transaction, hub.registry().Begin());
  ASSIGN_OR_RETURN(const auto deployments, hub.registry().deployments().List());
  for (const DeploymentRecord& each : deployments) {
    if (each.service == service && Mentions(each, version))
      return Conflict(
          "version " + version + " of '" + service + "' is used by deployment '" + each.name + "'",
          "it is served, wanted or the way back there; update it first");
  }
  RETURN_IF_ERROR(hub.registry().published().DeleteVersion(service, version));
  RETURN_IF_ERROR(transaction.Commit());
  return JsonResponse({{"deleted", version}, {"service", service}});
}

}  // namespace

void AddInfraRoutes(Hub& hub, Router* router) {
  const auto add = [&](const char* method, const std::string& pattern, const char* permission,
                       const char* summary, Result<Response> (*handler)(Hub&, const Request&),
                       RouteDetails details = {}) {
    if (!details.query) details.query = NoKeys();
    if (pattern.find("{published}") != std::string::npos)
      details.resource = [&hub](const Request& r) { return ResourceOfPublished(hub, r); };
    router->Add({method, pattern, permission, summary,
                 [&hub, handler](const Request& r) { return handler(hub, r); },
                 std::move(details)});
  };
  const std::string infra = "/api/v1/infras/{infra}";
  const std::string published = "/api/v1/published-services/{published}";
  const auto infra_state = [&hub](const Request& request) {
    const auto found = hub.registry().infras().Get(request.params.at("infra"));
    return found.ok() ? InfraState(*found) : Json();
  };
  const auto stages = [&hub](const Request& request) {
    const auto listed = ListStages(hub, request);
    const auto list = listed.ok() ? ParseJson(listed->body) : Json();
    return list.ok() ? *list : Json();
  };
  add("GET", "/api/v1/stages", "signed_in", "stages, first to last", ListStages,
      {.paged = ListKey{"name", ListOrder::kListed},
       .etag = true,
       .answer = AnswersList("Stage"),
       .state = stages});
  add("PUT", "/api/v1/stages", "admin", "replaces the list of stages", SetStages,
      {.etag = true,
       .atomic = true,
       .rule = ShapedBody(StagesBody(), "the body"),
       .answer = AnswersList("Stage"),
       .state = stages});
  add("GET", "/api/v1/infras", "read", "infrastructures by stage", ListInfras,
      {.paged = ListKey{"name", ListOrder::kListed},
       .filtered = true,
       .answer = AnswersList("Infra")});
  add("POST", "/api/v1/infras", "admin", "adds an infrastructure", AddInfra,
      {.status = 201,
       .rule = ShapedBody(NewInfraBody(), "the infrastructure"),
       .answer = Answers("Infra")});
  add("GET", infra, "read", "one infrastructure; asks its nodes", ShowInfra,
      {.etag = true,
       .wider = true,
       .answer = Answers("Infra"),
       .state = infra_state,
       .waits = AlwaysWaits});
  add("DELETE", infra, "admin", "removes an infrastructure without deployments", DeleteInfra,
      {.answer = Answers("Deleted"), .state = infra_state, .waits = AlwaysWaits});
  add("POST", infra + "/start", "deploy", "starts the nodes of a local infrastructure", StartNodes,
      {.body = NoKeys(), .answer = Answers("InfraNodes"), .waits = AlwaysWaits});
  add("POST", infra + "/stop", "deploy", "stops the nodes of a local infrastructure", StopNodes,
      {.body = NoKeys(), .waits = AlwaysWaits});
  add("POST", "/api/v1/projects/{project}/services/{service}/packages/{package}/publish", "deploy",
      "publishes a package to the API Deployer", PublishPackage,
      {.body = NoKeys(),
       .status = 201,
       .answer = Answers("PublishedVersion"),
       .state = [&hub](const Request& request) {
         const auto found = hub.registry().published().Get(request.params.at("service"));
         if (!found.ok() || found->project != request.params.at("project")) return Json();
         Json ids = Json::array();
         for (const PublishedVersion& version : found->versions) ids.push_back(version.version);
         return Json{{"versions", std::move(ids)}};
       }});
  add("GET", "/api/v1/published-services", "read", "services that can be deployed", ListPublished,
      {.paged = ListKey{"service"}, .filtered = true, .answer = AnswersList("PublishedService")});
  add("GET", published, "read", "one published service with its versions", ShowPublished,
      {.answer = Answers("PublishedService")});
  add("GET", published + "/versions/{version}/archive", "read", "the version's zip",
      PublishedArchive, {.content_type = "application/zip"});
  add("DELETE", published + "/versions/{version}", "deploy",
      "deletes a version that no deployment needs", DeletePublished,
      {.atomic = true, .answer = Answers("Deleted")});
}

}  // namespace slipway
