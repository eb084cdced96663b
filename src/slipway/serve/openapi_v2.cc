#include "slipway/serve/openapi_v2.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace slipway {
namespace {

constexpr int kDeepest = 64;  // as ParseJson's limit: what is deeper is no description of ours
constexpr std::string_view kMethods[] = {"get",     "put",  "post", "delete",
                                         "options", "head", "patch"};
// Of a schema, what both versions have with the same meaning.
constexpr std::string_view kSame[] = {
    "title",         "description",   "default",  "multipleOf", "maximum",  "minimum",
    "maxLength",     "minLength",     "pattern",  "maxItems",   "minItems", "uniqueItems",
    "maxProperties", "minProperties", "required", "enum",       "format",   "readOnly"};

const Json* Member(const Json* object, std::string_view name) {
  return object != nullptr && object->is_object() ? FindMember(*object, name) : nullptr;
}

// "#/components/schemas/X" -> "#/definitions/X".
std::string Reference2(std::string reference) {
  for (const auto& [from, to] :
       {std::pair{std::string_view("#/components/schemas/"), std::string_view("#/definitions/")},
        {"#/components/responses/", "#/responses/"},
        {"#/components/parameters/", "#/parameters/"}}) {
    if (reference.starts_with(from)) return std::string(to) + reference.substr(from.size());
  }
  return reference;
}

void Type2(const Json& type, Json* out) {
  if (type.is_string()) {
    (*out)["type"] = type;
    return;
  }
  if (!type.is_array()) return;
  Json only;
  int types = 0;
  for (const Json& each : type) {
    if (each == "null") {
      (*out)["x-nullable"] = true;
    } else {
      only = each;
      ++types;
    }
  }
  if (types == 1) (*out)["type"] = only;
}

Json Schema2(const Json& schema, int depth) {
  Json out = Json::object();
  if (!schema.is_object() || depth > kDeepest) return out;
  if (const Json* reference = Member(&schema, "$ref"); reference && reference->is_string())
    return {{"$ref", Reference2(reference->get<std::string>())}};
  for (std::string_view name : kSame)
    if (const Json* value = Member(&schema, name)) out[std::string(name)] = *value;
  if (const Json* type = Member(&schema, "type")) Type2(*type, &out);
  if (const Json* value = Member(&schema, "const")) out["enum"] = Json::array({*value});
  if (const Json* examples = Member(&schema, "examples");
      examples && examples->is_array() && !examples->empty())
    out["example"] = examples->front();
  if (const Json* items = Member(&schema, "items")) out["items"] = Schema2(*items, depth + 1);
  // 2.0 wants to know what an array holds.
  if (Member(&out, "type") && out["type"] == "array" && !out.contains("items"))
    out["items"] = Json::object();
  if (const Json* rest = Member(&schema, "additionalProperties"))
    out["additionalProperties"] = rest->is_boolean() ? *rest : Schema2(*rest, depth + 1);
  if (const Json* properties = Member(&schema, "properties");
      properties && properties->is_object()) {
    Json& to = out["properties"] = Json::object();
    for (const auto& [name, value] : properties->items()) to[name] = Schema2(value, depth + 1);
  }
  if (const Json* all = Member(&schema, "allOf"); all && all->is_array()) {
    Json& to = out["allOf"] = Json::array();
    for (const Json& each : *all) to.push_back(Schema2(each, depth + 1));
  }
  return out;
}

const Json* JsonContent(const Json* body) {
  return Member(Member(body, "content"), "application/json");
}

Json Response2(const Json& response) {
  if (const Json* reference = Member(&response, "$ref"); reference && reference->is_string())
    return {{"$ref", Reference2(reference->get<std::string>())}};
  Json out = {{"description", ""}};
  if (const Json* text = Member(&response, "description")) out["description"] = *text;
  if (const Json* schema = Member(JsonContent(&response), "schema"))
    out["schema"] = Schema2(*schema, 0);
  return out;
}

Json Parameter2(const Json& parameter) {
  Json out = Json::object();
  for (std::string_view name : {"name", "in", "required", "description"})
    if (const Json* value = Member(&parameter, name)) out[std::string(name)] = *value;
  const Json* schema = Member(&parameter, "schema");
  if (schema != nullptr) out.update(Schema2(*schema, 0));
  // A parameter outside of the body has one plain type; a text holds every other.
  const bool plain = out.contains("type") && out["type"] != "object" && out["type"] != "array";
  if (!plain) out["type"] = "string";
  for (std::string_view name : {"$ref", "example", "properties", "additionalProperties", "items"})
    out.erase(std::string(name));
  return out;
}

Json Operation2(const Json& operation) {
  Json out = Json::object();
  for (std::string_view name : {"operationId", "summary", "description", "tags", "security"})
    if (const Json* value = Member(&operation, name)) out[std::string(name)] = *value;
  Json parameters = Json::array();
  if (const Json* all = Member(&operation, "parameters"); all && all->is_array()) {
    for (const Json& each : *all)
      if (Member(&each, "name")) parameters.push_back(Parameter2(each));
  }
  if (const Json* body = Member(&operation, "requestBody")) {
    Json parameter = {{"name", "body"}, {"in", "body"}};
    if (const Json* required = Member(body, "required")) parameter["required"] = *required;
    const Json* schema = Member(JsonContent(body), "schema");
    parameter["schema"] = schema ? Schema2(*schema, 0) : Json::object();
    parameters.push_back(std::move(parameter));
  }
  if (!parameters.empty()) out["parameters"] = std::move(parameters);
  Json& responses = out["responses"] = Json::object();
  if (const Json* all = Member(&operation, "responses"); all && all->is_object())
    for (const auto& [status, response] : all->items()) responses[status] = Response2(response);
  return out;
}

// Bearer has no scheme of its own in 2.0: it is a header.
Json Security2(const Json& scheme) {
  const Json* kind = Member(&scheme, "scheme");
  if (kind != nullptr && *kind == "basic") return {{"type", "basic"}};
  return {{"type", "apiKey"}, {"name", "Authorization"}, {"in", "header"}};
}

}  // namespace

Json ToSwagger2(const Json& openapi) {
  Json out = {{"swagger", "2.0"},
              {"info", {{"title", "Slipway"}, {"version", "1"}}},
              {"consumes", {"application/json"}},
              {"produces", {"application/json"}},
              {"paths", Json::object()}};
  if (const Json* info = Member(&openapi, "info"); info && info->is_object())
    out["info"].update(*info);
  for (std::string_view name : {"security", "tags"})
    if (const Json* value = Member(&openapi, name)) out[std::string(name)] = *value;
  if (const Json* paths = Member(&openapi, "paths"); paths && paths->is_object()) {
    for (const auto& [path, item] : paths->items()) {
      Json& to = out["paths"][path] = Json::object();
      for (std::string_view method : kMethods)
        if (const Json* operation = Member(&item, method))
          to[std::string(method)] = Operation2(*operation);
    }
  }
  const Json* components = Member(&openapi, "components");
  const auto each = [&](std::string_view from, const char* to, auto convert) {
    const Json* all = Member(components, from);
    if (all == nullptr || !all->is_object()) return;
    Json& target = out[to] = Json::object();
    for (const auto& [name, value] : all->items()) target[name] = convert(value);
  };
  each("schemas", "definitions", [](const Json& schema) { return Schema2(schema, 0); });
  each("responses", "responses", Response2);
  each("securitySchemes", "securityDefinitions", Security2);
  return out;
}

}  // namespace slipway
