#include "slipway/deploy/activity_recorder.h"

#include <algorithm>

namespace slipway {
namespace {

// What `now` has more than `before`.
ActivityPoint Difference(const EndpointCounters& now, const EndpointCounters& before) {
  ActivityPoint point;
  point.requests = now.requests - before.requests;
  point.errors = std::max<int64_t>(0, now.errors - before.errors);
  point.latencies = now.latencies;
  // Counters are read one after the other while they rise; they never fall.
  if (!point.latencies.Subtract(before.latencies)) point.latencies = {};
  return point;
}

// A deployment's points stand together: its nodes are looked at one after the other.
ActivityPoint& PointOf(const std::string& deployment, const EndpointCounters& counters,
                       std::vector<ActivityPoint>* points) {
  for (auto at = points->rbegin(); at != points->rend() && at->deployment == deployment; ++at) {
    if (at->endpoint == counters.endpoint && at->generation == counters.generation) return *at;
  }
  ActivityPoint& made = points->emplace_back();
  made.deployment = deployment;
  made.endpoint = counters.endpoint;
  made.generation = counters.generation;
  return made;
}

}  // namespace

void ActivityRecorder::Look(const std::string& node, const std::string& deployment,
                            const std::string& service, const NodeMetrics& metrics,
                            std::vector<ActivityPoint>* points) {
  if (!metrics.known) return;
  const auto [place, first] = seen_.try_emplace({node, service});
  Seen& seen = place->second;
  const bool again = !first && metrics.started_on != seen.started_on;
  seen.started_on = metrics.started_on;
  std::map<Place, EndpointCounters> last;
  for (const EndpointCounters& now : metrics.endpoints) {
    if (now.service != service) continue;
    const Place key{now.endpoint, now.generation};
    const auto found = seen.last.find(key);
    if (found == seen.last.end() && series_ >= kMaxSeries) continue;
    if (found == seen.last.end()) ++series_;
    EndpointCounters before = first ? now : EndpointCounters{};
    if (found != seen.last.end() && !again && now.requests >= found->second.requests)
      before = found->second;
    last[key] = now;
    if (now.requests <= before.requests) continue;
    const ActivityPoint more = Difference(now, before);
    ActivityPoint& point = PointOf(deployment, now, points);
    point.requests += more.requests;
    point.errors += more.errors;
    point.latencies.Add(more.latencies);
  }
  for (const auto& [key, counters] : seen.last) series_ -= last.contains(key) ? 0 : 1;
  seen.last = std::move(last);
}

void ActivityRecorder::Keep(const std::set<Place>& places) {
  std::erase_if(seen_, [&](const auto& each) {
    if (places.contains(each.first)) return false;
    series_ -= each.second.last.size();
    return true;
  });
}

}  // namespace slipway
