// Turns the nodes' counters, which only rise, into what happened between two looks. Pure but for
// what it remembers; confined to one thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/registry/activity.h"

namespace slipway {

class ActivityRecorder {
 public:
  static constexpr size_t kMaxSeries = 10'000;  // of all nodes; beyond, new ones are not followed

  // A node's metrics (docs/admin-api.md) for the deployment of a service on it; adds to `points`
  // what is new since the last look. The first look at a node only remembers; a counter that fell
  // is that of a node which started again.
  void Look(const std::string& node, const std::string& deployment, const std::string& service,
            const Json& metrics, std::vector<ActivityPoint>* points);

 private:
  struct Counters {
    int64_t requests = 0, errors = 0;
  };
  std::map<std::tuple<std::string, std::string, std::string, std::string>, Counters> last_;
  std::set<std::pair<std::string, std::string>> seen_;  // node, service
};

}  // namespace slipway
