// What the node counts: per service, endpoint and generation, one block per loop so that the hot
// path shares no cache line; summed when /metrics or the admin API asks.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/mutex.h"

namespace slipway {

// Upper bounds of the latency buckets in seconds; the last bucket is +Inf.
inline constexpr double kLatencyBounds[] = {25e-6,  50e-6,  100e-6, 250e-6, 500e-6, 1e-3,
                                            2.5e-3, 5e-3,   10e-3,  25e-3,  50e-3,  100e-3,
                                            250e-3, 500e-3, 1.0,    2.5,    5.0,    10.0};

enum class Answered { kOk, kClientError, kServerError, kRejected };

// Counters of one (service, endpoint, generation). Thread-safe: relaxed atomics, one block per
// slot; a slot (loop or worker) is written by one thread, except for kRejected, which any thread
// may count.
class EndpointStats {
 public:
  explicit EndpointStats(int slots);
  ~EndpointStats();
  void Observe(int slot, Answered how, int64_t latency_ns, int64_t records, int64_t ignored,
               int64_t failed);

  struct Totals {
    int64_t requests[4] = {};  // by Answered
    int64_t records = 0, ignored = 0, failed = 0;
    int64_t latency_ns = 0;        // the sum
    std::vector<int64_t> buckets;  // not cumulative; one more than kLatencyBounds

    int64_t AllRequests() const { return requests[0] + requests[1] + requests[2] + requests[3]; }
    void Add(const Totals& other);
  };
  Totals Sum() const;
  // From the buckets, by linear interpolation; seconds. 0 without requests.
  static double Quantile(const Totals& totals, double q);

 private:
  struct Block;
  std::vector<std::unique_ptr<Block>> blocks_;
};

// Finds or makes the block of a (service, endpoint, generation); pointers stay valid. Thread-safe.
// Kept after the generation is gone (counters must not go back), up to a bound; then the oldest
// idle ones are folded into generation="other".
class StatsRegistry {
 public:
  static constexpr size_t kMaxRows = 1000;  // of each kind
  explicit StatsRegistry(int slots) : slots_(slots) {}
  std::shared_ptr<EndpointStats> Get(std::string_view service, std::string_view endpoint,
                                     std::string_view generation) EXCLUDES_LOCK(mutex_);
  struct Row {
    std::string service, endpoint, generation;
    EndpointStats::Totals totals;
  };
  std::vector<Row> Rows() const EXCLUDES_LOCK(mutex_);
  int slots() const { return slots_; }

 private:
  using Key = std::tuple<std::string, std::string, std::string>;
  struct Entry {
    std::shared_ptr<EndpointStats> stats;
    uint64_t made = 0;  // when, in order
  };
  void FoldOldest() REQUIRES_LOCK(mutex_);

  int slots_;
  mutable Mutex mutex_;
  uint64_t made_ GUARDED_BY(mutex_) = 0;
  std::map<Key, Entry> rows_ GUARDED_BY(mutex_);
  // What became of entries that nobody uses any more, by service and endpoint.
  std::map<Key, EndpointStats::Totals> folded_ GUARDED_BY(mutex_);
};

// Requests that were refused before an endpoint had them (no key, too often, disabled, no such
// endpoint), by service ("": none that is here) and HTTP status. Thread-safe.
class RefusalCounts {
 public:
  void Count(std::string_view service, int status) EXCLUDES_LOCK(mutex_);
  std::map<std::pair<std::string, int>, int64_t> Rows() const EXCLUDES_LOCK(mutex_);

 private:
  mutable Mutex mutex_;
  std::map<std::pair<std::string, int>, int64_t> rows_ GUARDED_BY(mutex_);
};

}  // namespace slipway
