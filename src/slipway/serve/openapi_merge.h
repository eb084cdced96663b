// One OpenAPI document from those of several services.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/json.h"

namespace slipway {

struct ServiceDocument {
  std::string service;            // as it is served
  const Json* openapi = nullptr;  // as the package has it
  std::string packaged = {};      // the service's name in the package; empty: the same
  // The security requirement in force for an endpoint ("": the service); empty: as the package
  // says.
  std::function<Json(std::string_view endpoint)> security = {};
};

// The package's description under the name that the service is served by: title and paths. Paths
// of something else than the package's service are left out: nobody would answer there. Every
// operation says what security is in force for it, for endpoints and services differ.
Json ServedOpenApi(const ServiceDocument& part);

// OpenAPI 3.1 with every path; components are named SERVICE.Name (unless they are already) and
// their references follow, so that services do not clash; operationIds likewise. Security schemes,
// which are the node's, are shared by name. Each document as ServedOpenApi has it. What is no
// object in a document is left out.
Json MergeOpenApi(const std::vector<ServiceDocument>& documents, const std::string& version);

}  // namespace slipway
