#include "slipway/deploy/activity_recorder.h"

#include <algorithm>

namespace slipway {

void ActivityRecorder::Look(const std::string& node, const std::string& deployment,
                            const std::string& service, const Json& metrics,
                            std::vector<ActivityPoint>* points) {
  const Json* endpoints = FindMember(metrics, "endpoints");
  if (endpoints == nullptr || !endpoints->is_array()) return;
  const bool first = seen_.emplace(node, service).second;
  for (const Json& row : *endpoints) {
    if (!row.is_object() || row.value("service", std::string()) != service) continue;
    const std::string endpoint = row.value("endpoint", std::string());
    const std::string generation = row.value("generation", std::string());
    const Counters now{row.value("requests", int64_t{0}), row.value("errors", int64_t{0})};
    const auto key = std::make_tuple(node, service, endpoint, generation);
    auto found = last_.find(key);
    if (found == last_.end()) {
      if (last_.size() >= kMaxSeries) continue;
      found = last_.emplace(key, first ? now : Counters{}).first;
    }
    const bool again = now.requests < found->second.requests;
    const Counters before = again ? Counters{} : found->second;
    found->second = now;
    if (now.requests <= before.requests) continue;
    auto point = std::find_if(points->begin(), points->end(), [&](const ActivityPoint& each) {
      return each.deployment == deployment && each.endpoint == endpoint &&
             each.generation == generation;
    });
    if (point == points->end())
      point = points->insert(points->end(), {deployment, endpoint, generation, 0, 0, 0, 0, 0, 0});
    point->requests += now.requests - before.requests;
    point->errors += std::max<int64_t>(0, now.errors - before.errors);
    point->p50 = std::max(point->p50, row.value("p50Ms", 0.0));
    point->p95 = std::max(point->p95, row.value("p95Ms", 0.0));
    point->p99 = std::max(point->p99, row.value("p99Ms", 0.0));
  }
}

}  // namespace slipway
