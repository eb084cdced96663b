// The built-in page: what this node serves, with a form to try each endpoint. One HTML text without
// anything from elsewhere; its script and style are allowed by hash, everything else is forbidden.
#pragma once

#include <string>

#include "slipway/serve/service_table.h"

namespace slipway {

// The page with what the table holds; `needs_key`: the form asks for one.
std::string BuiltInPage(const ServiceTable& table, bool needs_key);
// The value of Content-Security-Policy that goes with it.
const std::string& PagePolicy();

// The body that the form begins with: a test query of the package, else the example of its OpenAPI
// description, else an empty record.
Json ExampleRequest(const Generation& generation, const PackageEndpoint& endpoint);

}  // namespace slipway
