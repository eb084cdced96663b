// One OpenAPI document from those of several services.
#pragma once

#include <string>
#include <vector>

#include "slipway/base/json.h"

namespace slipway {

struct ServiceDocument {
  std::string service;
  const Json* openapi = nullptr;  // as the package has it
};

// OpenAPI 3.1 with every path; components are named SERVICE.Name (unless they are already) and
// their references follow, so that services do not clash; operationIds likewise. Security schemes,
// which are the node's, are shared by name. What is no object in a document is left out.
Json MergeOpenApi(const std::vector<ServiceDocument>& documents, const std::string& version);

}  // namespace slipway
