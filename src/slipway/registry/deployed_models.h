// Which deployments need which versions of a model: published packages name them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/registry/registry.h"

namespace slipway {

// {"p/fare", 3} for every model of the package's endpoints.
std::vector<std::pair<std::string, int64_t>> ModelVersionsIn(const PublishedVersion& version);
// Whether the deployment serves it, shall serve it, or goes back to it.
bool Mentions(const DeploymentRecord& deployment, std::string_view version);
// The model's versions in what deployments mention, each with the deployments' names.
Result<std::map<int64_t, std::vector<std::string>>> DeployedVersions(Registry& registry,
                                                                     const std::string& project,
                                                                     const std::string& model);
// Deployments of services that the project published; `service` "": of all of them.
Result<std::vector<DeploymentRecord>> DeploymentsOf(Registry& registry, const std::string& project,
                                                    const std::string& service = "");

}  // namespace slipway
