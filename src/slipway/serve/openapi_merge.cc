#include "slipway/serve/openapi_merge.h"

#include <string_view>

namespace slipway {
namespace {

constexpr std::string_view kComponents = "#/components/";
constexpr std::string_view kSecurity = "securitySchemes";

// Names that begin with the service already are its own.
std::string OwnName(const std::string& service, std::string_view name) {
  if (name.starts_with(service) && name.substr(service.size()).starts_with('.'))
    return std::string(name);
  return service + "." + std::string(name);
}

// "#/components/schemas/Fare" -> "#/components/schemas/SERVICE.Fare".
void PrefixReference(const std::string& service, std::string* reference) {
  if (!reference->starts_with(kComponents)) return;
  const size_t slash = reference->find('/', kComponents.size());
  if (slash == std::string::npos) return;
  if (std::string_view(*reference).substr(kComponents.size(), slash - kComponents.size()) ==
      kSecurity)
    return;
  *reference = reference->substr(0, slash + 1) + OwnName(service, reference->substr(slash + 1));
}

// Every reference below. A list of what is left instead of recursion: the document is foreign.
void PrefixReferences(const std::string& service, Json* document) {
  std::vector<Json*> left = {document};
  while (!left.empty()) {
    Json* at = left.back();
    left.pop_back();
    if (at->is_object()) {
      for (auto& [name, value] : at->items()) {
        // Examples are data, whatever their members are called.
        if (name == "example" || name == "examples") continue;
        if (name == "$ref" && value.is_string()) {
          PrefixReference(service, value.get_ptr<std::string*>());
        } else if (name == "operationId" && value.is_string()) {
          value = OwnName(service, value.get<std::string>());
        } else {
          left.push_back(&value);
        }
      }
    } else if (at->is_array()) {
      for (Json& value : *at) left.push_back(&value);
    }
  }
}

void MergeComponents(const std::string& service, const Json& components, Json* merged) {
  for (const auto& [kind, members] : components.items()) {
    if (!members.is_object()) continue;
    for (const auto& [name, value] : members.items())
      (*merged)[kind][kind == kSecurity ? name : OwnName(service, name)] = value;
  }
}

}  // namespace

Json MergeOpenApi(const std::vector<ServiceDocument>& documents, const std::string& version) {
  Json paths = Json::object(), components = Json::object(), tags = Json::array();
  Json security;
  for (const ServiceDocument& part : documents) {
    if (part.openapi == nullptr || !part.openapi->is_object()) continue;
    Json document = *part.openapi;
    PrefixReferences(part.service, &document);
    if (const Json* all = FindMember(document, "security"); all != nullptr && security.is_null())
      security = *all;
    if (const Json* all = FindMember(document, "components"); all != nullptr && all->is_object())
      MergeComponents(part.service, *all, &components);
    if (const Json* all = FindMember(document, "paths"); all != nullptr && all->is_object()) {
      for (const auto& [path, item] : all->items()) {
        if (!paths.contains(path)) paths[path] = item;
      }
    }
    const Json* info = FindMember(document, "info");
    Json tag = {{"name", part.service}};
    if (info != nullptr && info->is_object()) {
      if (const Json* text = FindMember(*info, "description"); text != nullptr && text->is_string())
        tag["description"] = *text;
    }
    tags.push_back(std::move(tag));
  }
  Json out = {{"openapi", "3.1.0"},
              {"info", {{"title", "Slipway API node"}, {"version", version}}},
              {"tags", std::move(tags)},
              {"paths", std::move(paths)},
              {"components", std::move(components)}};
  if (!security.is_null()) out["security"] = std::move(security);
  return out;
}

}  // namespace slipway
