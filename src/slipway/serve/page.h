// The built-in page: what this node serves, with a form to try each endpoint. One HTML text without
// anything from elsewhere; its script and style are allowed by hash, everything else is forbidden.
#pragma once

#include <set>
#include <string>

#include "slipway/serve/service_table.h"

namespace slipway {

// What a caller may score: SERVICE, by the service's rule, and SERVICE/ENDPOINT.
using MayScore = std::set<std::string, std::less<>>;

// The page with what the table holds. `open`: the node's rule for services that do not say
// themselves whether they ask for a key; the form asks for one when any does. What the caller may
// not score has no example: its forms begin with an empty record. `all`: such services are listed
// all the same, so that somebody can type a key.
std::string BuiltInPage(const ServiceTable& table, bool open, const MayScore& scores, bool all);
// The value of Content-Security-Policy that goes with it.
const std::string& PagePolicy();

// The body that the form begins with: a test query of the package, else the example of its OpenAPI
// description, else an empty record.
Json ExampleRequest(const Generation& generation, const PackageEndpoint& endpoint);

}  // namespace slipway
