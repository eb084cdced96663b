// A limit of requests per second for each caller of a service: a token bucket that holds one
// second's worth (at least one request), kept as the time at which it would be full again (GCRA).
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace slipway {

// Thread-safe. Bounded: of too many callers, those that ask seldom are forgotten, which costs them
// nothing.
class RateLimiter {
 public:
  // 0: the request may go on and is counted. Else the seconds after which one may. `now_ns` of a
  // steady clock. REQUIRES: per_second > 0.
  double Take(std::string_view service, std::string_view caller, double per_second, int64_t now_ns);

  size_t callers() const;

 private:
  static constexpr size_t kShards = 16, kPerShard = 8192;
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    std::unordered_map<uint64_t, int64_t> full_at;  // by hash of service and caller
  };
  std::array<Shard, kShards> shards_;
};

}  // namespace slipway
