// Prediction endpoints: records of a request through a model into the JSON of the answer.
#pragma once

#include <memory>
#include <string>

#include "slipway/base/result.h"
#include "slipway/serve/endpoint.h"

namespace slipway {

// Opens the endpoint's bundle in an unpacked package; its self-check runs, and one record is
// answered.
Result<std::unique_ptr<ServedEndpoint>> LoadPredictionEndpoint(const PackageEndpoint& definition,
                                                               const std::string& folder);

}  // namespace slipway
