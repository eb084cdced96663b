// The API Deployer for DSS's clients: stages, infrastructures, published services and versions.
#include <algorithm>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/http/multipart.h"
#include "slipway/hub/dss_facade.h"
#include "slipway/hub/dss_wire.h"

namespace slipway {
namespace {

// What is shown for a key that is stored; sent back, it stays.
constexpr const char* kStoredKey = "********";

Result<Response> ListDssStages(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json stages, call.Get("stages"));
  Json out = Json::array();
  for (const Json& stage : stages)
    out.push_back({{"id", stage["name"]}, {"desc", TextMember(stage, "description")}});
  return JsonResponse(out);
}

// ---- infrastructures

Json InfraInfo(const Json& infra) {
  const std::string type = TextMember(infra, "type");
  return {{"id", infra["name"]},
          {"stage", infra["stage"]},
          {"type", type == "static" ? "STATIC" : "SLIPWAY_" + DssUpper(type)},
          {"createdOn", DssMillis(TextMember(infra, "created_at"))},
          {"createdBy", infra["created_by"]}};
}

Json InfraItem(const Json& infra) {
  Json deployments = Json::array();
  if (const Json* names = FindMember(infra, "deployments"); names && names->is_array()) {
    for (const Json& name : *names) deployments.push_back({{"id", name}});
  }
  return {{"infraBasicInfo", InfraInfo(infra)}, {"deployments", std::move(deployments)}};
}

// From the list: its own route asks the nodes, which takes a while.
Result<Json> InfraOf(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json infras, call.Get("infras"));
  for (const Json& infra : infras) {
    if (infra["name"] == call.param("i")) return infra;
  }
  ASSIGN_OR_RETURN(const Json infra, call.Get("infras/" + call.param("i")));  // tells why not
  return infra;
}

Result<Response> ListDssInfras(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json infras, call.Get("infras"));
  Json out = Json::array();
  for (const Json& infra : infras) out.push_back(InfraItem(infra));
  return JsonResponse(out);
}

Result<Response> CreateInfra(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json body, call.body());
  ASSIGN_OR_RETURN(const std::string id, GetString(body, "id"));
  ASSIGN_OR_RETURN(const std::string stage, GetString(body, "stage"));
  ASSIGN_OR_RETURN(const std::string type, GetString(body, "type"));
  if (type != "STATIC")
    return DssNotSupported("infrastructures of type '" + type.substr(0, 100) + "'",
                           "STATIC: API nodes that run already");
  if (const std::string policy = TextMember(body, "governCheckPolicy");
      !policy.empty() && policy != "NO_CHECK")
    return DssNotSupported("governance ('" + policy.substr(0, 100) + "')", "NO_CHECK");
  ASSIGN_OR_RETURN(
      const Json made,
      call.Send("POST", "infras",
                {{"name", id}, {"type", "static"}, {"stage", stage}, {"nodes", Json::array()}}));
  return JsonResponse(InfraItem(made));
}

Result<Response> ShowDssInfra(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json infra, InfraOf(call));
  return JsonResponse(InfraItem(infra));
}

Json DssInfraSettings(const Json& infra) {
  Json out = InfraInfo(infra), nodes = Json::array();
  for (const Json& node : infra["nodes"]) {
    nodes.push_back({{"url", node["url"]},
                     {"adminAPIKey", node.value("has_key", false) ? Json(kStoredKey) : Json()},
                     {"graphitePrefix", Json()}});
  }
  out["apiNodes"] = std::move(nodes);
  out["governCheckPolicy"] = "NO_CHECK";
  return out;
}

Result<Response> GetInfraSettings(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json infra, InfraOf(call));
  return JsonResponse(DssInfraSettings(infra));
}

Result<Response> PutInfraSettings(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json sent, call.body());
  ASSIGN_OR_RETURN(const Json infra, InfraOf(call));
  const Json read = DssInfraSettings(infra);
  RETURN_IF_ERROR(DssOnlyChanges(read, sent, {"apiNodes"}, "the infrastructure"));
  ASSIGN_OR_RETURN(const Json* list, GetArray(sent, "apiNodes"));
  if (*list == read["apiNodes"]) return DssOk();
  Json nodes = Json::array();
  for (const Json& each : *list) {
    ASSIGN_OR_RETURN(const std::string url, GetString(each, "url"));
    RETURN_IF_ERROR(DssOnlyChanges(Json::object(), each, {"url", "adminAPIKey"},
                                   "the API node " + url.substr(0, 200)));
    Json node = {{"url", url}};
    const std::string key = TextMember(each, "adminAPIKey");
    if (key != kStoredKey) node["key"] = key;
    nodes.push_back(std::move(node));
  }
  RETURN_IF_ERROR(
      call.Send("PUT", "infras/" + call.param("i") + "/nodes", {{"nodes", std::move(nodes)}}));
  return DssOk();
}

Result<Response> DeleteDssInfra(const DssCall& call) {
  RETURN_IF_ERROR(call.Send("DELETE", "infras/" + call.param("i")));
  return DssOk();
}

// ---- published services

std::string PublishedServicePath(const DssCall& call) {
  return "published-services/" + call.param("s");
}
std::string PublishedVersionPath(const DssCall& call) {
  return PublishedServicePath(call) + "/versions/" + call.param("v");
}

// `deployments`: all that the caller may see.
Json PublishedServiceItem(const Json& service, const Json& deployments) {
  Json packages = Json::array(), on = Json::array();
  for (const Json& version : service["versions"]) {
    packages.push_back({{"id", version["version"]},
                        {"createdOn", DssMillis(TextMember(version, "created_at"))},
                        {"publishedOn", DssMillis(TextMember(version, "published_at"))},
                        {"publishedBy", version["published_by"]},
                        {"releaseNotes", TextMember(version, "notes")}});
  }
  for (const Json& each : deployments) {
    if (each["service"] == service["service"])
      on.push_back({{"id", each["name"]}, {"infraId", each["infra"]}});
  }
  return {{"serviceBasicInfo",
           {{"id", service["service"]},
            {"createdOn", DssMillis(TextMember(service, "created_at"))},
            {"createdBy", service["created_by"]}}},
          {"packages", std::move(packages)},
          {"deployments", std::move(on)}};
}

Result<Response> ListDssPublishedServices(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json services, call.Get("published-services"));
  ASSIGN_OR_RETURN(const Json deployments, call.Get("deployments"));
  Json out = Json::array();
  for (const Json& service : services) out.push_back(PublishedServiceItem(service, deployments));
  return JsonResponse(out);
}

Result<Response> CreateService(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json body, call.body());
  ASSIGN_OR_RETURN(const std::string id, GetString(body, "publishedServiceId"));
  ASSIGN_OR_RETURN(const Json made, call.Send("POST", "published-services", {{"service", id}}));
  return JsonResponse(PublishedServiceItem(made, Json::array()));
}

Result<Response> ShowDssPublishedService(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json service, call.Get(PublishedServicePath(call)));
  ASSIGN_OR_RETURN(const Json deployments, call.Get("deployments"));
  return JsonResponse(PublishedServiceItem(service, deployments));
}

Result<Json> ServiceSettings(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json service, call.Get(PublishedServicePath(call)));
  return Json{{"id", service["service"]},
              {"projectKey", service["project"]},
              {"owner", service["created_by"]}};
}

Result<Response> GetServiceSettings(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json settings, ServiceSettings(call));
  return JsonResponse(settings);
}

Result<Response> PutServiceSettings(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json sent, call.body());
  ASSIGN_OR_RETURN(const Json read, ServiceSettings(call));
  RETURN_IF_ERROR(DssOnlyChanges(read, sent, {}, "the published service"));
  return DssOk();
}

Result<Response> DeleteDssPublishedService(const DssCall& call) {
  RETURN_IF_ERROR(call.Send("DELETE", PublishedServicePath(call)));
  return DssOk();
}

// The version's id is within the package. Names that the client gives its file are not looked at.
Result<Response> ImportVersion(const DssCall& call) {
  const Request& request = call.request();
  const auto type = request.headers.find("content-type");
  if (request.body_file.empty() || type == request.headers.end())
    return InvalidArgument("a version is sent as a form with the package in the field 'file'",
                           "service.import_version(open(PACKAGE, 'rb'))");
  const std::string file = request.body_file + ".package";
  ASSIGN_OR_RETURN(const int64_t size,
                   ExtractMultipartFile(request.body_file, type->second, "file", file));
  (void)size;
  const Result<Json> made = call.SendFile(PublishedServicePath(call) + "/versions", file, {});
  RETURN_IF_ERROR(RemoveAll(file));
  if (!made.ok()) return made.error();
  return DssOk();
}

Result<Response> GetVersion(const DssCall& call) {
  return call.Fetch(PublishedVersionPath(call) + "/archive");
}

Result<Response> DeleteDssPublishedVersion(const DssCall& call) {
  RETURN_IF_ERROR(call.Send("DELETE", PublishedVersionPath(call)));
  return DssOk();
}

}  // namespace

void AddDssDeployerCalls(DssFacade* facade) {
  const char* const infra = "/api-deployer/infras/{i}";
  const char* const service = "/api-deployer/services/{s}";
  const char* const infra_settings = "/api-deployer/infras/{i}/settings";
  const char* const service_settings = "/api-deployer/services/{s}/settings";
  const char* const version = "/api-deployer/services/{s}/versions/{v}";
  facade->Add("GET", "/api-deployer/stages", "DSSAPIDeployer.list_stages", ListDssStages);
  facade->Add("GET", "/api-deployer/infras", "DSSAPIDeployer.list_infras", ListDssInfras);
  facade->Add("POST", "/api-deployer/infras", "DSSAPIDeployer.create_infra", CreateInfra);
  facade->Add("GET", infra, "DSSAPIDeployerInfra.get_status", ShowDssInfra);
  facade->Add("GET", infra_settings, "DSSAPIDeployerInfra.get_settings", GetInfraSettings);
  facade->Add("PUT", infra_settings, "DSSAPIDeployerInfraSettings.save", PutInfraSettings);
  facade->Add("DELETE", infra, "DSSAPIDeployerInfra.delete", DeleteDssInfra);
  facade->Add("GET", "/api-deployer/services", "DSSAPIDeployer.list_services",
              ListDssPublishedServices);
  facade->Add("POST", "/api-deployer/services", "DSSAPIDeployer.create_service", CreateService);
  facade->Add("GET", service, "DSSAPIDeployerService.get_status", ShowDssPublishedService);
  facade->Add("DELETE", service, "DSSAPIDeployerService.delete", DeleteDssPublishedService);
  facade->Add("GET", service_settings, "DSSAPIDeployerService.get_settings", GetServiceSettings);
  facade->Add("PUT", service_settings, "DSSAPIDeployerServiceSettings.save", PutServiceSettings);
  facade->Add("POST", "/api-deployer/services/{s}/versions", "DSSAPIDeployerService.import_version",
              ImportVersion);
  facade->Add("GET", version, "DSSAPIDeployerService.get_version_stream, download_version_to_file",
              GetVersion);
  facade->Add("DELETE", version, "DSSAPIDeployerService.delete_version", DeleteDssPublishedVersion);
}

}  // namespace slipway
