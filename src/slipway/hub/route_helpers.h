// Small shared parts of the routes: bodies, project lookups, names of what uses what.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/http/router.h"
#include "slipway/hub/principal.h"
#include "slipway/project/definition.h"
#include "slipway/registry/registry.h"

namespace slipway {

class Hub;

// What the routes of a service, its endpoints and packages begin with.
inline const std::string kServiceRoute = "/api/v1/projects/{project}/services/{service}";

// The request's JSON object; unknown keys are errors with a suggestion.
Result<Json> ParseBody(const Request& request, const std::vector<std::string>& keys);
// A key of the body, or `fallback` when absent.
std::string BodyText(const Json& body, const char* key, const std::string& fallback = "");
bool BodyFlag(const Json& body, const char* key);

// A route that takes no keys.
inline std::vector<RouteKey> NoKeys() { return {}; }
// RouteDetails::waits of a route all of whose calls do.
inline bool AlwaysWaits(const Request&) { return true; }
inline std::vector<RouteKey> Keys(std::initializer_list<RouteKey> keys) { return keys; }

// The definition of the project that a request is about, as it is now: what its changes are.
std::function<Json(const Request&)> ProjectState(Hub& hub);

struct StoredProject {
  ProjectRecord record;
  ProjectDefinition definition;
};
// kNotFound with a suggestion.
Result<StoredProject> LoadStoredProject(Registry& registry, const std::string& name);

// "recipe 'train_fare'": recipes that read or write the dataset or model.
std::vector<std::string> UsersOf(const ProjectDefinition& project, const std::string& name);

// Services with an endpoint whose tables or test queries need the dataset.
std::vector<std::string> ServicesUsing(const ProjectDefinition& project,
                                       const std::string& dataset);

}  // namespace slipway
