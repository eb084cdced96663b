// API keys: list, make, delete by id or by the key itself.
#include <cmath>

#include "slipway/base/clock.h"
#include "slipway/base/text.h"
#include "slipway/serve/admin_routes.h"

namespace slipway {
namespace {

Json ApiKeyToJson(const ApiKey& key) {
  const std::optional<int64_t> created = TimestampMillis(key.created_at);
  return {{"id", key.id},
          {"label", key.label},
          {"description", key.description},
          {"createdBy", key.created_by},
          {"createdOn", created ? Json(*created) : Json()},
          {"expiry", key.expires_at == 0 ? Json() : Json(key.expires_at * 1000)},
          {"services", key.services},
          {"admin", key.admin}};
}

// Seconds or milliseconds since 1970, or a timestamp; null: never.
Result<int64_t> ExpirySeconds(const Json& value) {
  constexpr std::string_view kHint =
      "give milliseconds since 1970 or a time such as \"2027-01-31T00:00:00Z\"; leave it out for a "
      "key that does not expire";
  if (value.is_null()) return int64_t{0};
  if (value.is_number()) {
    const double number = value.get<double>();
    if (!std::isfinite(number) || number < 1 || number > 1e15)
      return InvalidArgument("'expiry' is no time", std::string(kHint));
    // The year 1973 in milliseconds, 5138 in seconds.
    return static_cast<int64_t>(number > 1e11 ? number / 1000 : number);
  }
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    const std::optional<int64_t> millis =
        TimestampMillis(text.size() == 10 ? text + "T00:00:00Z" : text);
    if (millis && *millis > 0) return *millis / 1000;
  }
  return InvalidArgument("'expiry' is no time", std::string(kHint));
}

Result<Response> CreateKey(NodeParts* parts, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, BodyObject(request));
  RETURN_IF_ERROR(
      CheckMembers(body, {"label", "description", "createdBy", "expiry", "services", "admin"}));
  ApiKey key;
  const auto text = [&](std::string_view name, std::string* out) -> Status {
    if (FindMember(body, name) == nullptr) return {};
    ASSIGN_OR_RETURN(*out, GetString(body, name));
    return {};
  };
  RETURN_IF_ERROR(text("label", &key.label));
  RETURN_IF_ERROR(text("description", &key.description));
  RETURN_IF_ERROR(text("createdBy", &key.created_by));
  if (FindMember(body, "services") != nullptr) {
    ASSIGN_OR_RETURN(key.services, GetStrings(body, "services"));
    if (key.services.empty())
      return InvalidArgument("'services' is empty: the key would be for nothing",
                             "name the services, or leave 'services' out for a key of every one");
  }
  if (FindMember(body, "admin") != nullptr) {
    ASSIGN_OR_RETURN(key.admin, GetBool(body, "admin"));
  }
  if (const Json* expiry = FindMember(body, "expiry"); expiry != nullptr) {
    ASSIGN_OR_RETURN(key.expires_at, ExpirySeconds(*expiry));
    if (key.expires_at != 0 && key.expires_at <= NowMicros() / 1'000'000)
      return InvalidArgument("'expiry' has passed already");
  }
  if (key.admin && !key.services.empty())
    return InvalidArgument("a key is for the admin API or for some services, not both");
  ASSIGN_OR_RETURN(const NewApiKey made, parts->keys->Create(std::move(key)));
  Json json = ApiKeyToJson(made.key);
  json["key"] = made.secret;
  json["ok"] = true;
  Json warnings = Json::array();
  for (const std::string& service : made.key.services) {
    if (Result<ServiceInfo> found = parts->state->Service(service); !found.ok())
      warnings.push_back(found.error().hint.empty()
                             ? found.error().message
                             : found.error().message + " (" + found.error().hint + ")");
  }
  if (!warnings.empty()) json["warnings"] = std::move(warnings);
  return JsonResponse(json);
}

}  // namespace

void AddKeyRoutes(NodeParts* parts, Router* router) {
  router->Add({"GET", "/admin/api/keys", "admin", "lists the API keys, without their secrets",
               [parts](const Request&) -> Result<Response> {
                 Json list = Json::array();
                 for (const ApiKey& key : parts->keys->List()) list.push_back(ApiKeyToJson(key));
                 return JsonResponse(list);
               }});
  router->Add({"POST", "/admin/api/keys", "admin", "makes an API key; its secret is shown once",
               [parts](const Request& request) { return CreateKey(parts, request); }});
  router->Add({"DELETE", "/admin/api/keys/{key}", "admin", "deletes the key with this secret",
               [parts](const Request& request) -> Result<Response> {
                 RETURN_IF_ERROR(parts->keys->DeleteBySecret(request.params.at("key")));
                 return OkResponse();
               }});
  router->Add({"DELETE", "/admin/api/keys/{key}/key", "admin", "deletes the key with this id",
               [parts](const Request& request) -> Result<Response> {
                 RETURN_IF_ERROR(parts->keys->DeleteById(request.params.at("key")));
                 return OkResponse();
               }});
}

}  // namespace slipway
