// Lookup endpoints: rows of tables by their keys.
#pragma once

#include <memory>
#include <string>

#include "slipway/base/result.h"
#include "slipway/serve/endpoint.h"

namespace slipway {

// Opens the endpoint's tables in an unpacked package.
Result<std::unique_ptr<ServedEndpoint>> LoadLookupEndpoint(const PackageEndpoint& definition,
                                                           const std::string& folder);

}  // namespace slipway
