// What one package of a service does differently from another: endpoints, model versions, the
// columns that they read, their metrics, settings, tables. Packages carry the facts that this
// needs, so that versions may be deleted; of older packages they come from the registry while it
// has them.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/project/service.h"
#include "slipway/registry/models.h"
#include "slipway/registry/packages.h"
#include "slipway/registry/registry.h"

namespace slipway {

struct PackageFacts {
  std::string id;                             // "v3"; "": what packaging now would make
  std::string content_hash;                   // "": not known
  Json definition;                            // the service's
  std::map<std::string, std::string> models;  // endpoint -> "amount@3"
  Json versions = Json::object();  // endpoint -> VersionFacts; absent: nobody knows any more
  Json tables = Json::object();    // dataset -> fingerprint
  Json drawn = Json::object();     // the same, of the datasets that test queries come from
};

// The datasets that its endpoints look into; that its test queries are drawn from.
std::set<std::string> TablesOf(const ServiceDefinition& service);
std::set<std::string> DrawnFrom(const ServiceDefinition& service);

// {"schema": [{"name", "type"}], "metrics": {...}} of a version, as its info has them.
Json VersionFacts(const VersionRecord& version);

Result<PackageFacts> FactsOf(Registry& registry, const PackageRecord& package);

// {"since": id, "same": bool, "endpoints": {"added", "removed"}, "models": [{"endpoint", "before",
// "after"}], "schema": [{"endpoint", "added", "removed", "changed"}], "metrics": [{"endpoint",
// "metric", "before", "after"}], "settings": [lines], "tables": [names],
// "test_queries": [names], "text": [lines]}: `text`
// says all of it to people. Pure.
Json ComparePackages(const PackageFacts& before, const PackageFacts& after);

// Of every package against the one before it in the list; null for the first. Oldest first.
Result<Json> ChangesOfPackages(Registry& registry, const std::vector<PackageRecord>& packages);

}  // namespace slipway
