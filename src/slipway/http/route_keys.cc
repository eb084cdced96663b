#include "slipway/http/route_keys.h"

#include <algorithm>
#include <cstdint>

#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

bool IsChoice(const RouteKey& key) { return key.type.find('|') != std::string::npos; }

bool IsOneOf(const RouteKey& key, const std::string& value) {
  const std::vector<std::string> choices = Split(key.type, '|');
  return std::find(choices.begin(), choices.end(), value) != choices.end();
}

bool InRange(const RouteKey& key, int64_t value) {
  return value >= key.least.value_or(INT64_MIN) && value <= key.most.value_or(INT64_MAX);
}

bool Fits(const RouteKey& key, const Json& value) {
  if (key.type == "boolean") return value.is_boolean();
  if (key.type == "integer") return value.is_number_integer() && InRange(key, value.get<int64_t>());
  if (key.type == "object") return value.is_object();
  if (key.type == "strings") {
    return value.is_array() && std::all_of(value.begin(), value.end(),
                                           [](const Json& item) { return item.is_string(); });
  }
  if (!value.is_string()) return false;
  if (!InRange(key, std::ssize(value.get_ref<const std::string&>()))) return false;
  return !IsChoice(key) || IsOneOf(key, value.get<std::string>());
}

std::string Wanted(const RouteKey& key) {
  if (IsChoice(key)) return "one of " + Join(Split(key.type, '|'), ", ");
  if (key.type == "strings") return "a list of strings";
  if (key.least || key.most) {
    return (key.type == "integer" ? "an integer" : "a string with a length") +
           std::string(key.least ? " from " + FormatCount(*key.least) : "") +
           (key.most ? (key.least ? " to " : " up to ") + FormatCount(*key.most) : "");
  }
  return (key.type == "integer" || key.type == "object" ? "an " : "a ") + key.type;
}

const RouteKey* FindKey(const std::vector<RouteKey>& keys, const std::string& name) {
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const RouteKey& k) { return k.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

Error Unknown(const std::string& name, const std::vector<RouteKey>& keys, const char* where) {
  std::vector<std::string> names;
  for (const RouteKey& key : keys) names.push_back(key.name);
  const std::string meant = DidYouMean(name, names);
  return InvalidArgument("unknown key '" + name + "' in the request" + where,
                         !meant.empty()  ? meant
                         : names.empty() ? "it takes none"
                                         : "it takes " + Join(names, ", "));
}

Result<Json> BodyOf(const Request& request) {
  if (request.body.empty()) return Json(Json::object());
  ASSIGN_OR_RETURN(Json body, ParseJson(request.body));
  if (!body.is_object()) return InvalidArgument("the request's body must be a JSON object");
  return body;
}

Status CheckBody(const std::vector<RouteKey>& keys, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, BodyOf(request));
  for (const auto& [name, value] : body.items()) {
    const RouteKey* key = FindKey(keys, name);
    if (key == nullptr) return Unknown(name, keys, "");
    if (!Fits(*key, value))
      return InvalidArgument("'" + name + "' in the request must be " + Wanted(*key));
  }
  for (const RouteKey& key : keys) {
    if (key.required && !body.contains(key.name))
      return InvalidArgument("'" + key.name + "' is missing in the request");
  }
  return {};
}

Status CheckQuery(const std::vector<RouteKey>& keys, const Request& request) {
  for (const auto& [name, value] : request.query) {
    const RouteKey* key = FindKey(keys, name);
    if (key == nullptr) return Unknown(name, keys, "'s query");
    if (value.empty() && !key->pattern.empty())
      return InvalidArgument("'" + name + "' in the request's query is empty");
    const bool fits = key->type == "boolean" ? value == "true" || value == "false"
                      : key->type == "integer"
                          ? ParseInt64(value) && InRange(*key, *ParseInt64(value))
                          : !IsChoice(*key) || IsOneOf(*key, value);
    if (!fits)
      return InvalidArgument("'" + name + "' in the request's query must be " + Wanted(*key));
  }
  for (const RouteKey& key : keys) {
    if (key.required && !request.query.contains(key.name))
      return InvalidArgument("'" + key.name + "' is missing in the request's query");
  }
  return {};
}

}  // namespace

std::vector<RouteKey> PagingKeys() {
  return {{"limit", "integer", false, "at most so many", "", 1, 1000},
          {"cursor", "string", false, "goes on after a page: from its Link header",
           "^c([0-9a-f]{2}){16,500}$"}};
}

Status CheckRouteKeys(const Route& route, const Request& request) {
  if (route.details.query) {
    std::vector<RouteKey> keys = *route.details.query;
    if (route.details.paged) {
      for (RouteKey& key : PagingKeys()) keys.push_back(std::move(key));
    }
    RETURN_IF_ERROR(CheckQuery(keys, request));
  }
  if (route.details.upload || route.method == "GET") return {};
  if (route.details.body) RETURN_IF_ERROR(CheckBody(*route.details.body, request));
  if (route.details.rule) {
    ASSIGN_OR_RETURN(const Json body, BodyOf(request));
    return route.details.rule->check(body);
  }
  return {};
}

Json RouteKeySchema(const RouteKey& key) {
  Json schema;
  if (key.type == "strings") {
    schema = {{"type", "array"}, {"items", {{"type", "string"}}}};
  } else if (IsChoice(key)) {
    schema = {{"type", "string"}, {"enum", Split(key.type, '|')}};
  } else {
    schema = {{"type", key.type}};
  }
  const bool number = key.type == "integer";
  if (key.least) schema[number ? "minimum" : "minLength"] = *key.least;
  if (key.most) schema[number ? "maximum" : "maxLength"] = *key.most;
  if (!key.pattern.empty()) schema["pattern"] = key.pattern;
  if (!key.about.empty()) schema["description"] = key.about;
  return schema;
}

}  // namespace slipway
