// What published services get from outside: services without a package here, packages that were
// made elsewhere, the nodes that they run on.
#include <algorithm>

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

constexpr size_t kMaxOpenApiBytes = size_t{16} << 20;

// As the others show a service, for one that is new.
Json ServiceToJson(const PublishedService& service) {
  Json versions = Json::array();
  for (const PublishedVersion& version : service.versions)
    versions.push_back(PublishedVersionToJson(version));
  return {{"service", service.name},          {"project", service.project},
          {"versions", std::move(versions)},  {"deployments", Json::array()},
          {"created_at", service.created_at}, {"created_by", service.created_by}};
}

Result<Response> CreatePublished(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"service", "project"}));
  ASSIGN_OR_RETURN(const std::string name, GetString(body, "service"));
  RETURN_IF_ERROR(CheckValidName(name));
  const std::string project = BodyText(body, "project");
  if (!project.empty()) RETURN_IF_ERROR(hub.registry().projects().Get(project));
  ASSIGN_OR_RETURN(const PublishedService made,
                   hub.registry().published().Create(project, name, request.who));
  return JsonResponse(ServiceToJson(made), 201);
}

Result<Response> DeletePublishedService(Hub& hub, const Request& request) {
  const std::string& name = request.params.at("published");
  RETURN_IF_ERROR(hub.registry().published().Delete(name));
  return JsonResponse({{"deleted", name}});
}

// Foreign bytes: all of it is verified, in a folder beside the upload, before it is kept.
Result<PackageManifest> VerifyUpload(const std::string& file) {
  const std::string folder = file + ".unpacked";
  Result<PackageManifest> manifest = UnpackPackage(file, folder);
  RETURN_IF_ERROR(RemoveAll(folder));
  if (!manifest.ok()) {
    Error error = manifest.error();
    if (error.code == ErrorCode::kCorruption) error.code = ErrorCode::kInvalidArgument;
    return error;
  }
  return manifest;
}

Result<Response> Upload(Hub& hub, const Request& request) {
  Registry& registry = hub.registry();
  const std::string& name = request.params.at("published");
  ASSIGN_OR_RETURN(const PublishedService service, registry.published().Get(name));
  if (request.body_file.empty())
    return InvalidArgument("the package is the request's body, as application/octet-stream");
  ASSIGN_OR_RETURN(const PackageManifest manifest, VerifyUpload(request.body_file));
  if (manifest.service != name)
    return Conflict("the package is of service '" + manifest.service + "', not of '" + name + "'",
                    "publish it there");
  ASSIGN_OR_RETURN(const Blob blob, registry.blobs().PutFile(request.body_file));
  const bool already = registry.published().GetVersion(name, manifest.id).ok();
  ASSIGN_OR_RETURN(const PublishedVersion version,
                   registry.published().Publish(service.project, name, manifest.id, blob,
                                                DumpJson(ManifestToJson(manifest)), request.who));
  Json out = PublishedVersionToJson(version);
  out["already"] = already;
  return JsonResponse(out, 201);
}

Result<Response> ShowPublishedOpenApi(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const PublishedVersion version,
                   hub.registry().published().GetVersion(request.params.at("published"),
                                                         request.params.at("version")));
  ASSIGN_OR_RETURN(const std::string path, hub.registry().published().Path(version));
  Response response;
  ASSIGN_OR_RETURN(response.body, ReadPackagePart(path, "openapi.json", kMaxOpenApiBytes));
  return response;
}

// An update that runs goes on, or back, on the nodes that it began with: none of them may become
// another infrastructure's meanwhile.
Status CheckNoneLeaves(Hub& hub, const InfraRecord& infra,
                       const std::vector<Infras::NodeChange>& nodes) {
  const auto stays = [&](const InfraNode& node) {
    return std::any_of(nodes.begin(), nodes.end(),
                       [&](const auto& other) { return other.url == node.url; });
  };
  if (std::all_of(infra.nodes.begin(), infra.nodes.end(), stays)) return {};
  ASSIGN_OR_RETURN(const auto deployments, hub.registry().deployments().List());
  for (const DeploymentRecord& record : deployments) {
    if (record.infra == infra.name) RETURN_IF_ERROR(hub.deployer().CheckIdle(record.name));
  }
  return {};
}

Result<Response> SetNodes(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const InfraRecord before,
                   hub.registry().infras().Get(request.params.at("infra")));
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"nodes"}));
  ASSIGN_OR_RETURN(const Json* list, GetArray(body, "nodes"));
  std::vector<Infras::NodeChange> nodes;
  for (const Json& each : *list) {
    ASSIGN_OR_RETURN(const std::string url, GetString(each, "url"));
    Infras::NodeChange node;
    ASSIGN_OR_RETURN(node.url, NormalNodeUrl(url));
    if (each.contains("key")) node.key = BodyText(each, "key");
    nodes.push_back(std::move(node));
  }
  RETURN_IF_ERROR(CheckNoneLeaves(hub, before, nodes));
  ASSIGN_OR_RETURN(const InfraRecord infra,
                   hub.registry().infras().SetNodes(request.params.at("infra"), nodes));
  Json out = Json::array();
  for (const InfraNode& node : infra.nodes)
    out.push_back({{"url", node.url}, {"has_key", node.key_secret.has_value()}});
  return JsonResponse({{"name", infra.name}, {"nodes", std::move(out)}});
}

}  // namespace

void AddPublishedRoutes(Hub& hub, Router* router) {
  const auto add = [&](const char* method, const std::string& pattern, const char* permission,
                       const char* summary, Result<Response> (*handler)(Hub&, const Request&),
                       RouteDetails details) {
    if (pattern.find("{published}") != std::string::npos)
      details.resource = [&hub](const Request& r) { return ResourceOfPublished(hub, r); };
    router->Add({method, pattern, permission, summary,
                 [&hub, handler](const Request& r) { return handler(hub, r); },
                 std::move(details)});
  };
  const std::string service = "/api/v1/published-services/{published}";
  // Its versions, and the infrastructure as GET gives its ETag.
  const auto versions = [&hub](const Request& request) {
    const auto name = request.params.find("published");
    if (name == request.params.end()) return Json();
    const auto found = hub.registry().published().Get(name->second);
    if (!found.ok()) return Json();
    Json ids = Json::array();
    for (const PublishedVersion& version : found->versions) ids.push_back(version.version);
    return Json{{"versions", std::move(ids)}};
  };
  const auto infra_state = [&hub](const Request& request) {
    const auto infra = hub.registry().infras().Get(request.params.at("infra"));
    return infra.ok() ? InfraState(*infra) : Json();
  };
  add("POST", "/api/v1/published-services", "deploy", "makes a published service without versions",
      CreatePublished,
      {.body = Keys({{"service", "string", true, "its name", kNamePattern},
                     {"project", "string", false, "that it belongs to; empty: to none",
                      "^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"}}),
       .query = NoKeys(),
       .status = 201,
       .answer = Answers("PublishedService")});
  add("DELETE", service, "deploy", "deletes a published service that no deployment needs",
      DeletePublishedService,
      {.query = NoKeys(), .atomic = true, .answer = Answers("Deleted"), .state = versions});
  add("POST", service + "/versions", "deploy", "publishes a package that was made elsewhere",
      Upload,
      {.query = NoKeys(),
       .status = 201,
       .upload = true,
       .answer = Answers("PublishedVersion"),
       .state = versions});
  add("GET", service + "/versions/{version}/openapi.json", "read",
      "what the version's endpoints take and answer", ShowPublishedOpenApi, {.query = NoKeys()});
  add("PUT", "/api/v1/infras/{infra}/nodes", "admin",
      "replaces the nodes of a static infrastructure; without a key, the stored one stays",
      SetNodes,
      {.query = NoKeys(),
       .etag = true,
       .atomic = true,
       .rule = ShapedBody(NodesBody(), "the body"),
       .answer = Answers("InfraNodes"),
       .state = infra_state});
}

}  // namespace slipway
