#include "slipway/hub/hub_openapi.h"

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/http/route_keys.h"
#include "slipway/hub/answer_schemas.h"

namespace slipway {
namespace {

Json Problem(const std::string& about) {
  return {
      {"description", about},
      {"content",
       {{"application/problem+json", {{"schema", {{"$ref", "#/components/schemas/Problem"}}}}}}}};
}

Json Parameter(const std::string& name, const char* in, bool required, Json schema,
               const std::string& about = "") {
  Json out = {{"name", name}, {"in", in}, {"required", required}, {"schema", std::move(schema)}};
  if (!about.empty()) out["description"] = about;
  return out;
}

Json QueryParameter(const RouteKey& key) {
  Json schema = RouteKeySchema(key);
  schema.erase("description");
  return Parameter(key.name, "query", key.required, std::move(schema), key.about);
}

Json PathParameter(const std::string& name) {
  const char* pattern = name == "version"   ? "^([1-9][0-9]{0,8}|active|latest)$"
                        : name == "package" ? "^(v?[1-9][0-9]{0,8}|latest)$"
                                            : kNamePattern;
  return Parameter(name, "path", true, {{"type", "string"}, {"pattern", pattern}});
}

Json Parameters(const Route& route) {
  Json out = Json::array();
  for (const std::string& part : Split(route.pattern, '/')) {
    if (part.size() > 2 && part.front() == '{')
      out.push_back(PathParameter(part.substr(1, part.size() - 2)));
  }
  if (route.details.query) {
    for (const RouteKey& key : *route.details.query) out.push_back(QueryParameter(key));
  }
  if (route.details.paged) {
    for (const RouteKey& key : PagingKeys()) out.push_back(QueryParameter(key));
  }
  const Json text = {{"type", "string"}, {"maxLength", 200}};  // empty: none
  if (route.method == "POST" && !route.details.secret && route.permission != "read")
    out.push_back(
        Parameter("Idempotency-Key", "header", false, text,
                  "the same request sent again gets the same answer and changes nothing"));
  if (route.details.etag && !(route.method == "GET" && route.details.wider)) {
    out.push_back(route.method == "GET"
                      ? Parameter("If-None-Match", "header", false, Json{{"type", "string"}},
                                  "304 while it is so")
                      : Parameter("If-Match", "header", false, Json{{"type", "string"}},
                                  "the ETag that was read; 412 when it has changed"));
    if (route.details.creates)
      out.push_back(Parameter("If-None-Match", "header", false, Json{{"enum", Json::array({"*"})}},
                              "*: only when there is none; else 412"));
  }
  return out;
}

Json BodySchema(const std::vector<RouteKey>& keys) {
  Json properties = Json::object(), required = Json::array();
  for (const RouteKey& key : keys) {
    properties[key.name] = RouteKeySchema(key);
    if (key.required) required.push_back(key.name);
  }
  Json schema = {
      {"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

Json RequestBody(const Route& route) {
  if (route.details.upload) {
    return {{"required", true},
            {"content", {{"application/octet-stream", {{"schema", Json::object()}}}}}};
  }
  const auto& keys = route.details.body;
  if (keys && keys->empty()) return Json();
  bool required = false;
  Json schema = {{"type", "object"}};
  if (route.details.rule) {
    schema = route.details.rule->schema();
    required = schema.contains("required");
  } else if (keys) {
    schema = BodySchema(*keys);
    required = schema.contains("required");
  }
  return {{"required", required}, {"content", {{"application/json", {{"schema", schema}}}}}};
}

Json Responses(const Route& route) {
  const std::string type =
      route.details.content_type.empty() ? "application/json" : route.details.content_type;
  Json content;
  content[type] = {{"schema", route.details.answer != nullptr ? route.details.answer()
                              : type == "application/json" && route.details.paged
                                  ? Json({{"type", "array"}})
                                  : Json::object()}};
  Json good = {{"description", route.summary}, {"content", std::move(content)}};
  if (route.details.etag && (route.method == "GET" || route.method == "PUT"))
    good["headers"] = {{"ETag", {{"schema", {{"type", "string"}}}}}};
  Json out;
  if (route.details.creates) out["201"] = good;
  out[std::to_string(route.details.status)] = std::move(good);
  if (route.details.etag && route.method == "GET" && !route.details.wider)
    out["304"] = {{"description", "it is as you have it"}};
  out["400"] = Problem("the request is wrong; the message says what, the hint how to put it right");
  if (route.permission != "public")
    out["401"] = Problem("no key, no session, or none that is valid");
  out["403"] = Problem("you may not do this");
  out["404"] = Problem("there is none, or you may not see it");
  if (route.method != "GET") out["409"] = Problem("it exists already, is in use, or has changed");
  if (route.details.etag && route.method != "GET")
    out["412"] = Problem("it has changed since you read it");
  out["500"] = Problem("a fault of the hub, or of what is stored");
  out["503"] = Problem("not now: try again later");
  return out;
}

}  // namespace

Json HubOpenApi(const std::vector<Route>& routes) {
  Json paths = Json::object();
  for (const Route& route : routes) {
    if (!route.pattern.starts_with("/api/")) continue;  // pages for people
    Json operation = {{"summary", route.summary},
                      {"x-permission", route.permission},
                      {"x-filtered", route.details.filtered},
                      {"parameters", Parameters(route)},
                      {"responses", Responses(route)}};
    if (route.permission == "public") operation["security"] = Json::array();
    if (route.method != "GET" && route.method != "DELETE") {
      if (Json body = RequestBody(route); !body.is_null())
        operation["requestBody"] = std::move(body);
    }
    paths[route.pattern][ToLower(route.method)] = std::move(operation);
  }
  const Json text = {{"type", "string"}};
  Json schemas = AnswerSchemas();
  schemas["Problem"] = {{"type", "object"},
                        {"required", {"code", "message", "hint", "title", "status"}},
                        {"properties",
                         {{"code", text},
                          {"message", text},
                          {"hint", text},
                          {"title", text},
                          {"status", {{"type", "integer"}}},
                          {"request_id", text}}}};
  return {{"openapi", "3.1.0"},
          {"info",
           {{"title", "Slipway hub"},
            {"version", "1"},
            {"description", "Projects, models, services and jobs of one home."}}},
          {"paths", std::move(paths)},
          {"security", Json::array({{{"key", Json::array()}}, {{"session", Json::array()}}})},
          {"components",
           {{"schemas", std::move(schemas)},
            {"securitySchemes",
             {{"key", {{"type", "http"}, {"scheme", "bearer"}}},
              {"session", {{"type", "apiKey"}, {"in", "cookie"}, {"name", "slipway_session"}}}}}}}};
}

}  // namespace slipway
