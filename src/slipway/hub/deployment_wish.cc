#include "slipway/hub/deployment_wish.h"

#include <set>

#include "slipway/base/text.h"
#include "slipway/deploy/rollout_plan.h"
#include "slipway/hub/deploy_views.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/route_helpers.h"

namespace slipway {
namespace {

// Shares that sum to 1, of published versions.
Result<std::vector<std::pair<std::string, double>>> ReadWeights(Hub& hub,
                                                                const std::string& service,
                                                                const Json& weights) {
  if (!weights.is_object() || weights.empty())
    return InvalidArgument("'weights' is an object: {\"v1\": 90, \"v2\": 10}");
  std::vector<std::pair<std::string, double>> out;
  double sum = 0;
  for (const auto& [version, weight] : weights.items()) {
    if (!weight.is_number() || !(weight.get<double>() >= 0) || weight.get<double>() > 1e9)
      return InvalidArgument("the weight of '" + version + "' is not a number from 0 on");
    RETURN_IF_ERROR(hub.registry().published().GetVersion(service, version));
    out.emplace_back(version, weight.get<double>());
    sum += weight.get<double>();
  }
  if (!(sum > 0)) return InvalidArgument("the weights are all 0", "one must be more");
  if (out.size() == 1 && sum != 1 && sum != 100)
    return InvalidArgument(
        "the weights give " + FormatDouble(sum) + " to '" + out.front().first +
            "' and name no other version: it would get all of the traffic",
        "name the others too (v1=90,v2=10), or give it all: --version " + out.front().first);
  for (auto& [version, weight] : out) weight /= sum;
  return out;
}

// A misspelt endpoint would silently have the service's settings. `named`: what a body says.
Status CheckSettingsEndpoints(Hub& hub, const DeploymentRecord& record, const DeploymentSpec& spec,
                              const Json& named) {
  const Json* endpoints = FindMember(named, "endpoints");
  if (endpoints == nullptr || !endpoints->is_object()) return {};
  std::set<std::string> there;
  ASSIGN_OR_RETURN(const PublishedService service, hub.registry().published().Get(record.service));
  for (const auto& [generation, weight] : spec.generations) {
    for (const PublishedVersion& version : service.versions) {
      if (version.version != generation) continue;
      const Json shown = PublishedVersionToJson(version);
      for (const Json& endpoint : shown["endpoints"]) there.insert(endpoint.get<std::string>());
    }
  }
  const std::vector<std::string> names(there.begin(), there.end());
  for (const auto& [endpoint, own] : endpoints->items()) {
    if (own.is_null() || there.contains(endpoint)) continue;
    const std::string meant = DidYouMean(endpoint, names);
    return InvalidArgument("settings.endpoints: " + DescribeSpec(spec) + " of service '" +
                               record.service + "' has no endpoint '" + endpoint + "'",
                           meant.empty() ? "endpoints are " + QuotedList(names) : meant);
  }
  return {};
}

}  // namespace

// What the body asks for, on top of what is wanted now.
Result<DeploymentSpec> ReadWish(Hub& hub, const DeploymentRecord& record, const Json& body) {
  DeploymentSpec spec = record.desired;
  const Json* weights = FindMember(body, "weights");
  const std::string version = BodyText(body, "version");
  if (weights != nullptr && !weights->is_null() && !version.empty())
    return InvalidArgument("a version or weights, not both");
  if (weights != nullptr && !weights->is_null()) {
    ASSIGN_OR_RETURN(spec.generations, ReadWeights(hub, record.service, *weights));
  } else if (!version.empty()) {
    ASSIGN_OR_RETURN(
        const PublishedVersion found,
        hub.registry().published().GetVersion(record.service, version == "latest" ? "" : version));
    spec.generations = {{found.version, 1.0}};
  }
  if (const Json* settings = FindMember(body, "settings"); settings && !settings->is_null()) {
    RETURN_IF_ERROR(CheckSettingsEndpoints(hub, record, spec, *settings));
    MergeSettings(*settings, &spec.settings);
  }
  return spec;
}

Result<CanaryOptions> ReadCanary(const Json& json) {
  if (!json.is_object()) return InvalidArgument("'canary' is a JSON object");
  CanaryOptions out;
  ASSIGN_OR_RETURN(const Json* steps, GetArray(json, "steps"));
  double last = 0;
  for (const Json& step : *steps) {
    const double percent = step.is_number() ? step.get<double>() : -1;
    if (!(percent > last) || percent > 100)
      return InvalidArgument("canary steps are rising percentages up to 100",
                             "for example 10,50,100");
    last = percent;
    out.shares.push_back(percent / 100);
  }
  if (out.shares.empty()) return InvalidArgument("a canary has steps", "for example 10,50,100");
  if (last < 100) out.shares.push_back(1);
  const auto number = [&](const char* key, double fallback) {
    const Json* value = FindMember(json, key);
    return value != nullptr && value->is_number() ? value->get<double>() : fallback;
  };
  const double minutes = number("step_minutes", -1), requests = number("step_requests", -1);
  out.step_seconds = minutes >= 0 ? minutes * 60 : requests >= 0 ? 0 : 300;
  out.step_requests = requests >= 0 ? static_cast<int64_t>(requests) : 0;
  out.max_wait_seconds = number("max_wait_minutes", 60) * 60;
  out.max_error_rate = number("max_error_rate", out.max_error_rate);
  out.max_latency_ratio = number("max_latency_ratio", out.max_latency_ratio);
  out.max_different = number("max_different", out.max_different);
  return out;
}

}  // namespace slipway
