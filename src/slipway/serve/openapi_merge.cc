#include "slipway/serve/openapi_merge.h"

#include <string_view>

namespace slipway {
namespace {

constexpr std::string_view kComponents = "#/components/";
constexpr std::string_view kUserPaths = "/public/api/v1/";
constexpr std::string_view kSecurity = "securitySchemes";

const std::string& PackagedName(const ServiceDocument& part) {
  return part.packaged.empty() ? part.service : part.packaged;
}

// Names that begin with the package's service are the service's own already.
std::string OwnName(const ServiceDocument& part, std::string_view name) {
  const std::string& packaged = PackagedName(part);
  if (name.starts_with(packaged) && name.substr(packaged.size()).starts_with('.'))
    name.remove_prefix(packaged.size() + 1);
  return part.service + "." + std::string(name);
}

// "#/components/schemas/Fare" -> "#/components/schemas/SERVICE.Fare".
void PrefixReference(const ServiceDocument& part, std::string* reference) {
  if (!reference->starts_with(kComponents)) return;
  const size_t slash = reference->find('/', kComponents.size());
  if (slash == std::string::npos) return;
  if (std::string_view(*reference).substr(kComponents.size(), slash - kComponents.size()) ==
      kSecurity)
    return;
  *reference = reference->substr(0, slash + 1) + OwnName(part, reference->substr(slash + 1));
}

// Every reference below. A list of what is left instead of recursion: the document is foreign.
void PrefixReferences(const ServiceDocument& part, Json* document) {
  std::vector<Json*> left = {document};
  while (!left.empty()) {
    Json* at = left.back();
    left.pop_back();
    if (at->is_object()) {
      for (auto& [name, value] : at->items()) {
        // Examples are data, whatever their members are called.
        if (name == "example" || name == "examples") continue;
        if (name == "$ref" && value.is_string()) {
          PrefixReference(part, value.get_ptr<std::string*>());
        } else if (name == "operationId" && value.is_string()) {
          value = OwnName(part, value.get<std::string>());
        } else {
          left.push_back(&value);
        }
      }
    } else if (at->is_array()) {
      for (Json& value : *at) left.push_back(&value);
    }
  }
}

// What is asked of callers of the operations below a path: the rule now, not the package's.
void SetSecurity(const ServiceDocument& part, std::string_view path, const Json* general,
                 Json* item) {
  if (!item->is_object()) return;
  for (auto& [method, operation] : item->items()) {
    if (!operation.is_object()) continue;
    if (part.security) {
      path = path.substr(0, path.find('/'));
      operation["security"] = part.security(path);
    } else if (general != nullptr && !operation.contains("security")) {
      operation["security"] = *general;
    }
  }
}

void MergeComponents(const ServiceDocument& part, const Json& components, Json* merged) {
  for (const auto& [kind, members] : components.items()) {
    if (!members.is_object()) continue;
    for (const auto& [name, value] : members.items())
      (*merged)[kind][kind == kSecurity ? name : OwnName(part, name)] = value;
  }
}

}  // namespace

Json ServedOpenApi(const ServiceDocument& part) {
  Json document = *part.openapi;
  if (!document.is_object()) return document;
  if (const auto info = document.find("info"); info != document.end() && info->is_object())
    (*info)["title"] = part.service;
  const auto paths = document.find("paths");
  if (paths == document.end() || !paths->is_object()) return document;
  const std::string theirs = std::string(kUserPaths) + PackagedName(part) + "/";
  const Json* general = FindMember(document, "security");
  Json own = Json::object();
  for (const auto& [path, item] : paths->items()) {
    if (!path.starts_with(theirs)) continue;
    const std::string rest = path.substr(theirs.size());
    Json& here = own[std::string(kUserPaths) + part.service + "/" + rest] = item;
    SetSecurity(part, rest, general, &here);
  }
  *paths = std::move(own);
  if (part.security) document["security"] = part.security({});
  return document;
}

Json MergeOpenApi(const std::vector<ServiceDocument>& documents, const std::string& version) {
  Json paths = Json::object(), components = Json::object(), tags = Json::array();
  for (const ServiceDocument& part : documents) {
    if (part.openapi == nullptr || !part.openapi->is_object()) continue;
    Json document = ServedOpenApi(part);
    PrefixReferences(part, &document);
    if (const Json* all = FindMember(document, "components"); all != nullptr && all->is_object())
      MergeComponents(part, *all, &components);
    if (const Json* all = FindMember(document, "paths"); all != nullptr && all->is_object()) {
      for (const auto& [path, item] : all->items()) {
        paths[path] = item;
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
  return {{"openapi", "3.1.0"},
          {"info", {{"title", "Slipway API node"}, {"version", version}}},
          {"tags", std::move(tags)},
          {"paths", std::move(paths)},
          {"components", std::move(components)}};
}

}  // namespace slipway
