#include "slipway/hub/route_helpers.h"

#include <algorithm>

#include "slipway/base/text.h"
#include "slipway/hub/hub.h"
#include "slipway/project/service.h"

namespace slipway {

Result<Json> ParseBody(const Request& request, const std::vector<std::string>& keys) {
  if (request.body.empty()) return Json(Json::object());
  ASSIGN_OR_RETURN(Json body, ParseJson(request.body));
  if (!body.is_object()) return InvalidArgument("the request's body must be a JSON object");
  for (const auto& [key, value] : body.items()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      return InvalidArgument("unknown key '" + key + "' in the request", DidYouMean(key, keys));
    }
  }
  return body;
}

std::string BodyText(const Json& body, const char* key, const std::string& fallback) {
  const Json* value = FindMember(body, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : fallback;
}

bool BodyFlag(const Json& body, const char* key) {
  const Json* value = FindMember(body, key);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

Result<StoredProject> LoadStoredProject(Registry& registry, const std::string& name) {
  StoredProject out;
  ASSIGN_OR_RETURN(out.record, registry.projects().Get(name));
  ASSIGN_OR_RETURN(Json json, ParseJson(out.record.definition_json));
  ASSIGN_OR_RETURN(out.definition, ProjectFromJson(json));
  return out;
}

std::function<Json(const Request&)> ProjectState(Hub& hub) {
  return [&hub](const Request& request) {
    std::string name;
    if (const auto found = request.params.find("project"); found != request.params.end()) {
      name = found->second;
    } else if (const auto body = ParseJson(request.body); body.ok() && body->is_object()) {
      const Json* definition = FindMember(*body, "definition");
      if (definition != nullptr && definition->is_object()) name = BodyText(*definition, "project");
    }
    const auto record = hub.registry().projects().Get(name);
    if (!record.ok()) return Json();
    auto definition = ParseJson(record->definition_json);
    return definition.ok() ? *std::move(definition) : Json();
  };
}

std::vector<std::string> UsersOf(const ProjectDefinition& project, const std::string& name) {
  std::vector<std::string> users;
  for (const auto& [recipe_name, recipe] : project.recipes) {
    const bool reads =
        std::find(recipe.inputs.begin(), recipe.inputs.end(), name) != recipe.inputs.end();
    const bool scores = recipe.model.substr(0, recipe.model.find('@')) == name;
    if (reads || scores || recipe.output == name) users.push_back(recipe_name);
  }
  return users;
}

std::vector<std::string> ServicesUsing(const ProjectDefinition& project,
                                       const std::string& dataset) {
  std::vector<std::string> users;
  for (const auto& [name, definition] : project.services.items()) {
    bool uses = false;
    for (const EndpointDefinition& endpoint : ReadService(name, definition).endpoints) {
      for (const TableUseDefinition& use : endpoint.tables) uses |= use.dataset == dataset;
      for (const TestQueryDefinition& query : endpoint.queries) uses |= query.dataset == dataset;
    }
    if (uses) users.push_back(name);
  }
  return users;
}

}  // namespace slipway
