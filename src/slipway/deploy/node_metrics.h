// What a node counts (GET /admin/api/metrics, docs/admin-api.md), as the deployer reads it. Values
// and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/registry/latency_buckets.h"

namespace slipway {

// Of a generation's endpoint, since the node started.
struct EndpointCounters {
  std::string service, endpoint, generation;
  int64_t requests = 0, errors = 0, server_errors = 0;
  LatencyBuckets latencies;
};

struct NodeMetrics {
  bool known = false;      // the node answered
  int64_t started_on = 0;  // milliseconds since 1970; 0: it does not say
  std::vector<EndpointCounters> endpoints;
};
// What makes no sense is left out: nodes are of several releases.
NodeMetrics ReadNodeMetrics(const Json& json);

// Adds the node's counters of the service to `rows`: [{"endpoint", "generation", "requests",
// "errors", "server_errors", "p50_ms", "p95_ms", "p99_ms", "nodes"}] over all nodes that were
// added.
class EndpointRows {
 public:
  void Add(const NodeMetrics& metrics, const std::string& service);
  Json ToJson() const;

 private:
  struct Row {
    EndpointCounters sum;
    int64_t nodes = 0;
  };
  std::vector<Row> rows_;
};

// "p50_ms", "p95_ms", "p99_ms" of these requests.
void PutPercentiles(const LatencyBuckets& latencies, Json* row);

}  // namespace slipway
