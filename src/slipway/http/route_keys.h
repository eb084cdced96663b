// The declared keys of a request: checked before its handler, and described as JSON Schema. Pure.
#pragma once

#include <string>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"
#include "slipway/http/router.h"

namespace slipway {

// Unknown, missing and wrongly typed keys of the body and the query are errors that name the key.
Status CheckRouteKeys(const Route& route, const Request& request);

// What lists take besides.
std::vector<RouteKey> PagingKeys();

// {"type": "string"} and so on.
Json RouteKeySchema(const RouteKey& key);

}  // namespace slipway
