#include "slipway/deploy/node_metrics.h"

#include <algorithm>

namespace slipway {
namespace {

int64_t CountOf(const Json& object, const char* key) {
  const Json* value = FindMember(object, key);
  return value != nullptr && value->is_number_integer() ? value->get<int64_t>() : 0;
}

}  // namespace

NodeMetrics ReadNodeMetrics(const Json& json) {
  NodeMetrics out;
  if (!json.is_object()) return out;
  out.known = true;
  out.started_on = CountOf(json, "startedOn");
  std::vector<double> bounds;
  if (const Json* list = FindMember(json, "latencyBounds"); list != nullptr && list->is_array()) {
    for (const Json& bound : *list) bounds.push_back(bound.is_number() ? bound.get<double>() : 0);
  }
  const Json* endpoints = FindMember(json, "endpoints");
  if (endpoints == nullptr || !endpoints->is_array()) return out;
  std::vector<int64_t> counts;
  for (const Json& row : *endpoints) {
    if (!row.is_object()) continue;
    EndpointCounters counters{TextMember(row, "service"),
                              TextMember(row, "endpoint"),
                              TextMember(row, "generation"),
                              CountOf(row, "requests"),
                              CountOf(row, "errors"),
                              CountOf(row, "serverErrors"),
                              {}};
    if (const Json* buckets = FindMember(row, "latencyBuckets"); buckets && buckets->is_array()) {
      counts.clear();
      for (const Json& count : *buckets)
        counts.push_back(count.is_number_integer() ? count.get<int64_t>() : -1);
      counters.latencies.AddCounts(bounds, counts);
    }
    out.endpoints.push_back(std::move(counters));
  }
  return out;
}

void PutPercentiles(const LatencyBuckets& latencies, Json* row) {
  (*row)["p50_ms"] = latencies.Quantile(0.5);
  (*row)["p95_ms"] = latencies.Quantile(0.95);
  (*row)["p99_ms"] = latencies.Quantile(0.99);
}

void EndpointRows::Add(const NodeMetrics& metrics, const std::string& service) {
  for (const EndpointCounters& counters : metrics.endpoints) {
    if (counters.service != service) continue;
    auto row = std::find_if(rows_.begin(), rows_.end(), [&](const Row& each) {
      return each.sum.endpoint == counters.endpoint && each.sum.generation == counters.generation;
    });
    if (row == rows_.end()) {
      rows_.push_back({counters, 1});
      continue;
    }
    row->sum.requests += counters.requests;
    row->sum.errors += counters.errors;
    row->sum.server_errors += counters.server_errors;
    row->sum.latencies.Add(counters.latencies);
    ++row->nodes;
  }
}

Json EndpointRows::ToJson() const {
  Json out = Json::array();
  for (const Row& row : rows_) {
    Json json = {{"endpoint", row.sum.endpoint},           {"generation", row.sum.generation},
                 {"requests", row.sum.requests},           {"errors", row.sum.errors},
                 {"server_errors", row.sum.server_errors}, {"nodes", row.nodes}};
    PutPercentiles(row.sum.latencies, &json);
    out.push_back(std::move(json));
  }
  return out;
}

}  // namespace slipway
