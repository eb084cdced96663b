// Services, endpoints and packages as the API shows them, and a service's definition as what
// changes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/http/router.h"
#include "slipway/project/service.h"
#include "slipway/registry/packages.h"
#include "slipway/registry/registry.h"

namespace slipway {

class Hub;

Json PackageToJson(const PackageRecord& package);
// All of a service's, oldest first, each with its "changes" since the one before it.
Result<Json> PackagesToJson(Registry& registry, const std::vector<PackageRecord>& packages);

// With the version that its model means now; or "problem": why there is none.
Json EndpointToJson(Registry& registry, const std::string& project,
                    const EndpointDefinition& endpoint);

// The definition of the request's {service}; null: it is not defined.
std::function<Json(const Request&)> ServiceState(Hub& hub);

}  // namespace slipway
