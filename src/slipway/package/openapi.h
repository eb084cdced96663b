// The OpenAPI 3.1 description of a service's endpoints, from the models' schemas: types, ranges and
// categories seen in training, an example from the bundle's sample rows.
#pragma once

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/bundle/bundle.h"
#include "slipway/package/package.h"
#include "slipway/table/schema.h"

namespace slipway {

// One endpoint's part in the description.
struct EndpointDescription {
  const PackageEndpoint* endpoint = nullptr;
  const BundleContent* bundle = nullptr;  // prediction; nullptr for a bare model file
  std::vector<const Schema*> tables;      // one per TableUse
};
// Paths /public/api/v1/SERVICE/ENDPOINT/predict and so on.
Json ServiceOpenApi(const PackageManifest& manifest,
                    const std::vector<EndpointDescription>& endpoints);

}  // namespace slipway
