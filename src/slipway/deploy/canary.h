// Canary: a new generation gets a growing share of the traffic; after each step it is compared with
// what served before, and goes on or goes back by itself. The judgement is pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/registry/deployments.h"

namespace slipway {

struct CanaryOptions {
  std::vector<double> shares;      // of the new generation, rising, in (0, 1]; the last is 1
  double step_seconds = 0;         // a step lasts at least so long,
  int64_t step_requests = 0;       // and until the new generation has answered so many
  double max_wait_seconds = 3600;  // for these requests: then it is given up
  double max_error_rate = 0.01;    // of the new generation, above that of the old one
  double max_latency_ratio = 3;    // of the means, new to old
  double max_different = -1;       // share of answers that differ; negative: only reported
};

// What was counted since the step began, over all nodes and endpoints.
struct CanaryCounts {
  int64_t requests = 0, errors = 0;  // errors: the node's own, not the callers'
  double milliseconds = 0;           // the sum of the latencies
};
struct CanaryLook {
  CanaryCounts fresh, old;
  int64_t equal = 0, different = 0;  // answers of the new generation beside the old one's
  double seconds = 0;                // since the step began
};

enum class CanaryVerdict { kWait, kGoOn, kGoBack };
// `why` says what was seen, for kGoOn and kGoBack.
CanaryVerdict JudgeCanary(const CanaryOptions& options, const CanaryLook& look, std::string* why);

// How long a step lasts, for people: "for 5 min 0 s", "until v2 has answered 30 requests".
std::string DescribeStep(const CanaryOptions& options, const std::string& fresh);

// Counters of a service by generation, out of the metrics of a node (docs/admin-api.md).
struct ServiceCounters {
  std::vector<std::pair<std::string, CanaryCounts>> generations;
  int64_t equal = 0, different = 0;  // of the shadow
  void Add(const Json& metrics, const std::string& service, const std::string& shadow);
  CanaryCounts Of(const std::string& generation) const;
  CanaryCounts AllBut(const std::string& generation) const;
};

// `base` with a share of `fresh` in it.
DeploymentSpec WithShare(const DeploymentSpec& base, const std::string& fresh, double share);

}  // namespace slipway
