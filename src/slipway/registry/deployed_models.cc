#include "slipway/registry/deployed_models.h"

#include <algorithm>

#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {

std::vector<std::pair<std::string, int64_t>> ModelVersionsIn(const PublishedVersion& version) {
  std::vector<std::pair<std::string, int64_t>> out;
  const auto manifest = ParseJson(version.manifest_json);
  if (!manifest.ok()) return out;
  const Json* endpoints = FindMember(*manifest, "endpoints");
  if (endpoints == nullptr) return out;
  for (const Json& endpoint : *endpoints) {
    const std::string model = TextMember(endpoint, "model");
    const size_t at = model.rfind('@');
    if (at == std::string::npos) continue;
    if (const auto number = ParseInt64(model.substr(at + 1)))
      out.emplace_back(model.substr(0, at), *number);
  }
  return out;
}

bool Mentions(const DeploymentRecord& deployment, std::string_view version) {
  const auto in = [&](const DeploymentSpec& spec) {
    for (const auto& [generation, weight] : spec.generations) {
      if (generation == version) return true;
    }
    return false;
  };
  return in(deployment.desired) || (deployment.applied && in(*deployment.applied)) ||
         (deployment.previous && in(*deployment.previous));
}

Result<std::map<int64_t, std::vector<std::string>>> DeployedVersions(Registry& registry,
                                                                     const std::string& project,
                                                                     const std::string& model) {
  const std::string name = project + "/" + model;
  ASSIGN_OR_RETURN(const auto deployments, registry.deployments().List());
  ASSIGN_OR_RETURN(const auto services, registry.published().List());
  std::map<int64_t, std::vector<std::string>> out;
  for (const PublishedService& service : services) {
    for (const PublishedVersion& version : service.versions) {
      for (const auto& [used, number] : ModelVersionsIn(version)) {
        if (used != name) continue;
        for (const DeploymentRecord& deployment : deployments) {
          if (deployment.service != service.name || !Mentions(deployment, version.version))
            continue;
          std::vector<std::string>& names = out[number];
          if (std::find(names.begin(), names.end(), deployment.name) == names.end())
            names.push_back(deployment.name);
        }
      }
    }
  }
  return out;
}

Result<std::vector<DeploymentRecord>> DeploymentsOf(Registry& registry, const std::string& project,
                                                    const std::string& service) {
  ASSIGN_OR_RETURN(const auto deployments, registry.deployments().List());
  ASSIGN_OR_RETURN(const auto services, registry.published().List());
  std::vector<DeploymentRecord> out;
  for (const DeploymentRecord& deployment : deployments) {
    for (const PublishedService& each : services) {
      if (each.name == deployment.service && each.project == project &&
          (service.empty() || each.name == service))
        out.push_back(deployment);
    }
  }
  return out;
}

}  // namespace slipway
