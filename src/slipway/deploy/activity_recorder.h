// Turns the nodes' counters, which only rise, into what happened between two looks. Pure but for
// what it remembers; confined to one thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "slipway/deploy/node_metrics.h"
#include "slipway/registry/activity.h"

namespace slipway {

class ActivityRecorder {
 public:
  static constexpr size_t kMaxSeries = 10'000;  // of all nodes; beyond, new ones are not followed
  using Place = std::pair<std::string, std::string>;  // node, service

  // A node's metrics for the deployment of a service on it; adds to `points` what is new since the
  // last look, with its own latencies. The first look at a node only remembers. Counters of a node
  // that started again count from zero; so does one that fell.
  void Look(const std::string& node, const std::string& deployment, const std::string& service,
            const NodeMetrics& metrics, std::vector<ActivityPoint>* points);
  // Forgets all but these.
  void Keep(const std::set<Place>& places);

 private:
  struct Seen {
    int64_t started_on = 0;
    std::map<Place, EndpointCounters> last;  // by endpoint and generation
  };
  std::map<Place, Seen> seen_;
  size_t series_ = 0;
};

}  // namespace slipway
