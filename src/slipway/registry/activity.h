// What deployments were asked over time: requests, errors and latencies per deployment, endpoint
// and generation, at four resolutions at once, each kept for its own while: 5 s for an hour, a
// minute for a day, an hour for a week, a day for 90 days. So the table is bounded by the number of
// series. Latencies are kept as counts of buckets, which add up; percentiles are made of the sums.
// Thread-safe as Database is.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/registry/latency_buckets.h"
#include "slipway/store/database.h"

namespace slipway {

// What was counted in a span of time.
struct ActivityPoint {
  std::string deployment, endpoint, generation;
  int64_t at = 0;  // seconds since 1970, where the span begins
  int64_t requests = 0, errors = 0;
  LatencyBuckets latencies;
};

class ActivityLog {
 public:
  explicit ActivityLog(Database& database) : database_(database) {}
  // Adds to the spans that `now` lies in (the points' own `at` is not read).
  Status Record(int64_t now, std::span<const ActivityPoint> points);
  // Oldest first, at the finest resolution that reaches back to `since`. "" = all deployments.
  Result<std::vector<ActivityPoint>> Since(int64_t since, int64_t now, std::string_view deployment,
                                           int64_t* resolution) const;
  // Forgets what is older than its resolution is kept for.
  Status Expire(int64_t now);

 private:
  Database& database_;
};

}  // namespace slipway
