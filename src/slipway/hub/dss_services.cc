// API services and their packages for DSS's clients.
#include "slipway/base/text.h"
#include "slipway/hub/dss_facade.h"
#include "slipway/hub/dss_wire.h"

namespace slipway {
namespace {

std::string ServicesPath(const DssCall& call) {
  return "projects/" + call.param("p") + "/services";
}
std::string ServicePath(const DssCall& call) { return ServicesPath(call) + "/" + call.param("s"); }
std::string PackagePath(const DssCall& call) {
  return ServicePath(call) + "/packages/" + call.param("v");
}

// Ours with their names in DSS; what DSS has no key for travels in 'slipway' and comes back.
Json EndpointItem(const std::string& id, const Json& definition) {
  const bool lookup = definition.contains("lookup");
  Json out = {{"id", id}, {"type", lookup ? "DATASETS_LOOKUP" : "STD_PREDICTION"}};
  if (!lookup) out["modelRef"] = TextMember(definition, "prediction");
  out["slipway"] = definition;
  return out;
}

Json ServiceItem(const DssCall& call, const std::string& id, const Json& definition) {
  Json endpoints = Json::array();
  if (const Json* all = FindMember(definition, "endpoints"); all && all->is_object()) {
    for (const auto& [name, endpoint] : all->items())
      endpoints.push_back(EndpointItem(name, endpoint));
  }
  return {{"id", id},
          {"name", id},
          {"projectKey", call.param("p")},
          {"description", TextMember(definition, "description")},
          {"authMethod", TextMember(definition, "auth") == "api_keys" ? "API_KEYS" : "PUBLIC"},
          {"endpoints", std::move(endpoints)}};
}

Result<Json> DefinitionOf(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json service, call.Get(ServicePath(call)));
  if (const Json* definition = FindMember(service, "definition")) return *definition;
  return NotFound("service '" + call.param("s") + "' is not defined any more",
                  "its packages are still there");
}

Result<Response> ListDssServices(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json project, call.Get("projects/" + call.param("p")));
  ASSIGN_OR_RETURN(const Json services, call.Get(ServicesPath(call)));
  Json out = Json::array();
  for (const Json& service : services) {
    const std::string name = TextMember(service, "name"), id = name.substr(name.find('/') + 1);
    out.push_back(ServiceItem(call, id, project["definition"]["services"][id]));
  }
  return JsonResponse(out);
}

Status ApplyService(const DssCall& call, const Json& definition, const std::string& etag) {
  RETURN_IF_ERROR(
      call.Send("POST", "apply",
                {{"definition",
                  {{"project", call.param("p")}, {"services", {{call.param("s"), definition}}}}}},
                {}, etag));
  return {};
}

Result<Response> CreateDssService(const DssCall& call) {
  std::string etag;
  ASSIGN_OR_RETURN(const Json project, call.GetToChange("projects/" + call.param("p"), &etag));
  const Json* services = FindMember(project["definition"], "services");
  if (services != nullptr && services->contains(call.param("s")))
    return Conflict("service '" + call.param("p") + "/" + call.param("s") + "' exists already");
  RETURN_IF_ERROR(ApplyService(call, {{"endpoints", Json::object()}}, etag));
  return DssOk();
}

Result<Response> GetDssServiceSettings(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json definition, DefinitionOf(call));
  return JsonResponse(ServiceItem(call, call.param("s"), definition));
}

Result<Json> ReadEndpoint(const DssCall& call, const Json& sent) {
  ASSIGN_OR_RETURN(const std::string id, GetString(sent, "id"));
  const std::string place = "endpoint '" + id.substr(0, 100) + "'";
  const std::string type = TextMember(sent, "type");
  if (type != "STD_PREDICTION" && type != "DATASETS_LOOKUP")
    return InvalidArgument(
        "Slipway does not support endpoints of type '" + type.substr(0, 100) + "' (" + place + ")",
        "STD_PREDICTION, and DATASETS_LOOKUP as it was read");
  const Json* ours = FindMember(sent, "slipway");
  Json definition = ours != nullptr && ours->is_object() ? *ours : Json(Json::object());
  if (type == "DATASETS_LOOKUP") {
    if (!definition.contains("lookup"))
      return InvalidArgument("a lookup endpoint needs its tables (" + place + ")",
                             "define it in the project's YAML: docs/services.md");
  } else {
    ASSIGN_OR_RETURN(const std::string model, GetString(sent, "modelRef"));
    ASSIGN_OR_RETURN(definition["prediction"], DssLocalName(call.param("p"), model));
  }
  const std::vector<std::string_view> known = {"id", "type", "modelRef", "slipway"};
  RETURN_IF_ERROR(DssOnlyChanges(Json::object(), sent, known, place));
  return definition;
}

Result<Response> PutDssServiceSettings(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json sent, call.body());
  std::string etag;
  RETURN_IF_ERROR(call.GetToChange("projects/" + call.param("p"), &etag));
  ASSIGN_OR_RETURN(Json definition, DefinitionOf(call));
  const Json read = ServiceItem(call, call.param("s"), definition);
  RETURN_IF_ERROR(
      DssOnlyChanges(read, sent, {"endpoints", "authMethod", "description"}, "the API service"));
  ASSIGN_OR_RETURN(const Json* list, GetArray(sent, "endpoints"));
  Json endpoints = Json::object();
  for (const Json& each : *list) {
    ASSIGN_OR_RETURN(Json endpoint, ReadEndpoint(call, each));
    const std::string id = TextMember(each, "id");
    if (endpoints.contains(id)) return InvalidArgument("endpoint '" + id + "' is there twice");
    endpoints[id] = std::move(endpoint);
  }
  definition["endpoints"] = std::move(endpoints);
  if (sent.contains("authMethod") && sent["authMethod"] != read["authMethod"]) {
    const std::string method = TextMember(sent, "authMethod");
    if (method != "PUBLIC" && method != "API_KEYS")
      return InvalidArgument(
          "Slipway does not support the authMethod '" + method.substr(0, 100) + "'",
          "PUBLIC or API_KEYS");
    definition["auth"] = method == "PUBLIC" ? "public" : "api_keys";
  }
  if (const std::string text = TextMember(sent, "description"); text.empty()) {
    definition.erase("description");
  } else {
    definition["description"] = text;
  }
  RETURN_IF_ERROR(ApplyService(call, definition, etag));
  return DssOk();
}

Result<Response> ListDssPackages(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json packages, call.Get(ServicePath(call) + "/packages"));
  Json out = Json::array();
  for (const Json& package : packages) {
    out.push_back({{"id", package["package"]},
                   {"createdOn", DssMillis(TextMember(package, "created_at"))},
                   {"createdBy", package["created_by"]},
                   {"releaseNotes", package["notes"]}});
  }
  return JsonResponse(out);
}

// DSS lets its users name a package; ours are numbered. The name must be the next number's.
Result<Response> CreatePackage(const DssCall& call) {
  const std::string& asked = call.param("v");
  ASSIGN_OR_RETURN(const Json packages, call.Get(ServicePath(call) + "/packages"));
  for (const Json& package : packages) {
    if (package["package"] == asked)
      return Conflict("service '" + call.param("s") + "' has a package '" + asked + "' already");
  }
  const auto number = asked.starts_with("v") ? ParseInt64(asked.substr(1)) : std::nullopt;
  if (!number || *number < 1 || *number > int64_t{1} << 53 ||
      asked != "v" + std::to_string(*number))
    return InvalidArgument(
        "Slipway numbers packages: '" + asked.substr(0, 100) + "' cannot be the next one's name",
        "they are called 'v1', 'v2', 'v3', ...");
  // Refused, before anything is made, when the next one has another number.
  ASSIGN_OR_RETURN(const Json started,
                   call.Send("POST", ServicePath(call) + "/packages",
                             {{"notes", call.query("releaseNotes")}, {"number", *number}}));
  RETURN_IF_ERROR(call.WaitForJob(started.value("job", "")));
  return DssOk();
}

Result<Response> ShowDssPackageSummary(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json package, call.Get(PackagePath(call)));
  Json out = {{"id", package["package"]},
              {"createdOn", DssMillis(TextMember(package, "created_at"))},
              {"releaseNotes", package["notes"]},
              {"slipway", package}};
  return JsonResponse(out);
}

Result<Response> DeleteDssPackage(const DssCall& call) {
  RETURN_IF_ERROR(call.Send("DELETE", PackagePath(call)));
  return DssOk();
}

Result<Response> GetDssPackageArchive(const DssCall& call) {
  return call.Fetch(PackagePath(call) + "/archive");
}

Result<Response> PublishDssPackage(const DssCall& call) {
  const std::string name = call.query("publishedServiceId", call.param("s"));
  if (name != call.param("s"))
    return DssNotSupported("publishing under another name ('" + name.substr(0, 100) + "')",
                           "a service is published as '" + call.param("s") + "'");
  RETURN_IF_ERROR(call.Send("POST", PackagePath(call) + "/publish", Json::object()));
  return DssOk();
}

}  // namespace

void AddDssServiceCalls(DssFacade* facade) {
  const char* const package = "/projects/{p}/apiservices/{s}/packages/{v}";
  const char* const settings = "/projects/{p}/apiservices/{s}/settings";
  facade->Add("GET", "/projects/{p}/apiservices", "DSSProject.list_api_services", ListDssServices);
  facade->Add("POST", "/projects/{p}/apiservices/{s}", "DSSProject.create_api_service",
              CreateDssService);
  facade->Add("GET", settings, "DSSAPIService.get_settings", GetDssServiceSettings);
  facade->Add("PUT", settings, "DSSAPIServiceSettings.save", PutDssServiceSettings);
  facade->Add("GET", "/projects/{p}/apiservices/{s}/packages", "DSSAPIService.list_packages",
              ListDssPackages);
  facade->AddSlow("POST", package, "DSSAPIService.create_package", CreatePackage);
  facade->Add("DELETE", package, "DSSAPIService.delete_package", DeleteDssPackage);
  facade->Add("GET", "/projects/{p}/apiservices/{s}/packages/{v}/summary",
              "DSSAPIService.get_package_summary", ShowDssPackageSummary);
  facade->Add("GET", "/projects/{p}/apiservices/{s}/packages/{v}/archive",
              "DSSAPIService.download_package_stream, download_package_to_file",
              GetDssPackageArchive);
  facade->Add("POST", "/projects/{p}/apiservices/{s}/packages/{v}/publish",
              "DSSAPIService.publish_package", PublishDssPackage);
}

}  // namespace slipway
