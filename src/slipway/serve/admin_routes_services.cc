// Services: list, make, delete, enable, mapping, settings.
#include <algorithm>

#include "slipway/base/text.h"
#include "slipway/serve/admin_routes.h"
#include "slipway/serve/public_notice.h"

namespace slipway {
namespace {

Json MappingToJson(const ServiceInfo& service) {
  Json entries = Json::array();
  for (const GenerationInfo& generation : service.generations) {
    if (generation.mapped)
      entries.push_back({{"generation", generation.id}, {"proba", generation.probability}});
  }
  return {{"entries", std::move(entries)}};
}

Json ServiceToJson(const ServiceInfo& service) {
  return {{"serviceId", service.id},           {"enabled", service.enabled},
          {"serving", service.serving},        {"reason", service.reason},
          {"mapping", MappingToJson(service)}, {"generations", service.generations.size()}};
}

Result<MappingEntry> EntryFromJson(const Json& json) {
  MappingEntry entry;
  ASSIGN_OR_RETURN(entry.generation, GetString(json, "generation"));
  RETURN_IF_ERROR(CheckMembers(json, {"generation", "proba", "probability"}));
  const std::string_view key = FindMember(json, "proba") != nullptr ? "proba" : "probability";
  if (FindMember(json, key) == nullptr)
    return InvalidArgument("the entry of generation '" + entry.generation + "' has no 'proba'");
  ASSIGN_OR_RETURN(entry.probability, GetDouble(json, key));
  return entry;
}

}  // namespace

Result<std::vector<MappingEntry>> MappingFromBody(const Request& request) {
  constexpr std::string_view kShape =
      "send {\"entries\": [{\"generation\": \"v1\", \"proba\": 0.9}, {\"generation\": \"v2\", "
      "\"proba\": 0.1}]}";
  ASSIGN_OR_RETURN(const Json body, BodyObject(request));
  std::vector<MappingEntry> mapping;
  const Json* entries = FindMember(body, "entries");
  // One generation alone, as the deployer's settings name it.
  if (const Json* single = FindMember(body, "generation");
      single != nullptr && single->is_string() && (entries == nullptr || entries->empty())) {
    mapping.push_back({single->get<std::string>(), 1});
    return mapping;
  }
  if (entries == nullptr || !entries->is_array())
    return InvalidArgument("the body has no list 'entries'", std::string(kShape));
  if (entries->size() > 1000) return InvalidArgument("'entries' has more than 1000 entries");
  for (size_t i = 0; i < entries->size(); ++i) {
    Result<MappingEntry> entry = EntryFromJson((*entries)[i]);
    if (!entry.ok()) {
      Error error = entry.error().Within("entries[" + std::to_string(i) + "]");
      error.hint = kShape;
      return error;
    }
    mapping.push_back(*std::move(entry));
  }
  return mapping;
}

void AddServiceRoutes(NodeParts* parts, Router* router) {
  const auto state = [parts]() -> NodeState& { return *parts->state; };
  router->Add({"GET", "/admin/api/services", "admin", "lists the services",
               [state](const Request& request) -> Result<Response> {
                 const auto wish = request.query.find("full");
                 const bool full = wish != request.query.end() && wish->second == "true";
                 Json list = Json::array();
                 for (const ServiceInfo& service : state().Services()) {
                   list.push_back(ServiceToJson(service));
                   if (!full) continue;
                   list.back()["settings"] = ServiceSettingsToJson(service.settings);
                   list.back()["generationList"] = GenerationsToJson(service);
                 }
                 return JsonResponse(list);
               }});
  router->Add({"POST", "/admin/api/services", "admin", "makes a service",
               [state](const Request& request) -> Result<Response> {
                 ASSIGN_OR_RETURN(const NodeState::Epoch epoch, EpochOf(request));
                 ASSIGN_OR_RETURN(const Json body, BodyObject(request));
                 RETURN_IF_ERROR(CheckMembers(body, {"serviceId"}));
                 Result<std::string> id = GetString(body, "serviceId");
                 if (!id.ok())
                   return InvalidArgument(id.error().message, "send {\"serviceId\": \"fares\"}");
                 RETURN_IF_ERROR(state().CreateService(*id, epoch));
                 return OkResponse({{"serviceId", *id}});
               }});
  router->Add({"GET", "/admin/api/services/{service}", "admin", "shows a service",
               [state](const Request& request) -> Result<Response> {
                 ASSIGN_OR_RETURN(const ServiceInfo service,
                                  state().Service(request.params.at("service")));
                 Json json = ServiceToJson(service);
                 json["settings"] = ServiceSettingsToJson(service.settings);
                 return JsonResponse(json);
               }});
  router->Add({"DELETE", "/admin/api/services/{service}", "admin",
               "deletes a service with its generations",
               [state](const Request& request) -> Result<Response> {
                 ASSIGN_OR_RETURN(const NodeState::Epoch epoch, EpochOf(request));
                 RETURN_IF_ERROR(state().DeleteService(request.params.at("service"), epoch));
                 return OkResponse();
               }});
  for (const bool enabled : {false, true}) {
    router->Add(
        {"POST",
         std::string("/admin/api/services/{service}/actions/") + (enabled ? "enable" : "disable"),
         "admin", enabled ? "lets a service answer" : "stops a service from answering",
         [state, parts, enabled](const Request& request) -> Result<Response> {
           ASSIGN_OR_RETURN(const NodeState::Epoch epoch, EpochOf(request));
           RETURN_IF_ERROR(state().SetEnabled(request.params.at("service"), enabled, epoch));
           if (enabled) NotePublicTraffic(*parts, request.params.at("service"));
           return OkResponse();
         }});
  }
  router->Add({"POST", "/admin/api/services/{service}/actions/setMapping", "admin",
               "shares the traffic between generations and enables the service",
               [state, parts](const Request& request) -> Result<Response> {
                 ASSIGN_OR_RETURN(const NodeState::Epoch epoch, EpochOf(request));
                 ASSIGN_OR_RETURN(const std::vector<MappingEntry> mapping,
                                  MappingFromBody(request));
                 RETURN_IF_ERROR(state().SetMapping(request.params.at("service"), mapping, epoch));
                 NotePublicTraffic(*parts, request.params.at("service"));
                 return OkResponse();
               }});
  router->Add({"POST", "/admin/api/services/{service}/actions/switchToNewest", "admin",
               "gives all traffic to the generation imported last",
               [state, parts](const Request& request) -> Result<Response> {
                 ASSIGN_OR_RETURN(const NodeState::Epoch epoch, EpochOf(request));
                 ASSIGN_OR_RETURN(const std::string generation,
                                  state().SwitchToNewest(request.params.at("service"), epoch));
                 NotePublicTraffic(*parts, request.params.at("service"));
                 return OkResponse({{"generation", generation}, {"generationId", generation}});
               }});
  router->Add({"POST", "/admin/api/services/{service}/actions/switchTo/{generation}", "admin",
               "gives all traffic to one generation",
               [state, parts](const Request& request) -> Result<Response> {
                 ASSIGN_OR_RETURN(const NodeState::Epoch epoch, EpochOf(request));
                 const std::string& generation = request.params.at("generation");
                 RETURN_IF_ERROR(
                     state().SetMapping(request.params.at("service"), {{generation, 1}}, epoch));
                 NotePublicTraffic(*parts, request.params.at("service"));
                 return OkResponse({{"generation", generation}});
               }});
  router->Add({"GET", "/admin/api/services/{service}/settings", "admin", "shows the settings",
               [state](const Request& request) -> Result<Response> {
                 ASSIGN_OR_RETURN(const ServiceInfo service,
                                  state().Service(request.params.at("service")));
                 return JsonResponse(ServiceSettingsToJson(service.settings));
               }});
  router->Add(
      {"PUT", "/admin/api/services/{service}/settings", "admin", "replaces the settings",
       [state, parts](const Request& request) -> Result<Response> {
         ASSIGN_OR_RETURN(const NodeState::Epoch epoch, EpochOf(request));
         ASSIGN_OR_RETURN(const Json body, BodyObject(request));
         ASSIGN_OR_RETURN(const ServiceSettings settings, ServiceSettingsFromJson(body));
         const bool tokens = settings.auth == "jwt" ||
                             std::any_of(settings.endpoints.begin(), settings.endpoints.end(),
                                         [](const auto& own) { return own.second.auth == "jwt"; });
         if (tokens && parts->tokens == nullptr)
           return Conflict(
               "'auth' is 'jwt', and this node has no identity provider: nobody could "
               "score",
               "set jwks_url or jwks_file below [auth.jwt] in the node's configuration "
               "(docs/authentication.md) and start it again, then this");
         RETURN_IF_ERROR(state().SetSettings(request.params.at("service"), settings, epoch));
         NotePublicSettings(*parts, request.params.at("service"), settings);
         return OkResponse({{"settings", ServiceSettingsToJson(settings)}});
       }});
}

}  // namespace slipway
