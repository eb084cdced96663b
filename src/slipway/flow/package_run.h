// Packaging a service: what goes in is settled first (versions, datasets), then a worker makes the
// zip, then one transaction publishes it. A crash leaves the registry as it was before or after.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/flow/activity.h"
#include "slipway/project/definition.h"
#include "slipway/project/service.h"
#include "slipway/registry/packages.h"
#include "slipway/registry/registry.h"

namespace slipway {

struct PackageJob {
  std::string service;
  Json definition;                            // the service's
  std::vector<PackageModel> models;           // of the prediction endpoints
  std::map<std::string, std::string> bundle;  // endpoint -> its version's blob hash
  Json versions = Json::object();             // endpoint -> VersionFacts
  std::vector<std::string> datasets;          // of tables and test queries
  std::string notes;
  std::string created_at;  // as the package states it; empty: now
  bool force = false;      // also when a written expectation does not hold
  int64_t number = 0;      // the one it is to get, else kConflict; 0: the next one, whatever it is
};

// kNotFound with suggestions for an unknown service, model or version; kInvalidArgument for a
// service without endpoints and for a managed dataset without data. `persist`: the registry is open
// for writing.
Result<PackageJob> PlanPackage(Registry& registry, const ProjectDefinition& project,
                               const std::string& service, bool persist,
                               const FileCheck& check = {});

// Makes and publishes the next package. The record's details: {"package": "v3", "number",
// "unchanged_since": "v2" or null, "bytes", "sha256", "endpoints", "tables", "test_queries",
// "warnings"}.
Result<ActivityRecord> RunPackage(const ActivityContext& context, const PackageJob& job);

// The version that the endpoint's `prediction` means now.
Result<VersionRecord> EndpointVersion(Registry& registry, const std::string& project,
                                      const EndpointDefinition& endpoint);

// What packaging again would change, as ComparePackages says it. `package` is the last one.
Result<Json> ChangesSincePackage(Registry& registry, const ProjectDefinition& project,
                                 const std::string& service, const PackageRecord& package,
                                 const FileCheck& check = {});

}  // namespace slipway
