// The hub's API as OpenAPI 3.1, from its routes alone. Pure.
#pragma once

#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/http/router.h"

namespace slipway {

Json HubOpenApi(const std::vector<Route>& routes);

}  // namespace slipway
