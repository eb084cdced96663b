#include "slipway/serve/rate_limit.h"

#include <algorithm>
#include <cmath>

#include "slipway/base/hash.h"

namespace slipway {

double RateLimiter::Take(std::string_view service, std::string_view caller, double per_second,
                         int64_t now_ns) {
  // Callers that share a hash share a bucket, which nobody can bring about on purpose for another.
  const uint64_t key = Xxh3(caller, Xxh3(service, 0x51c0ffee));
  Shard& shard = shards_[key % kShards];
  const double interval = 1e9 / per_second;
  const double room = std::max(1.0, per_second) * interval;  // of a whole bucket, in nanoseconds
  const std::lock_guard<std::mutex> lock(shard.mutex);
  if (shard.full_at.size() >= kPerShard) {
    std::erase_if(shard.full_at, [now_ns](const auto& each) { return each.second <= now_ns; });
    bool other = false;
    if (shard.full_at.size() >= kPerShard)
      std::erase_if(shard.full_at, [&other](const auto&) { return other = !other; });
  }
  int64_t& full_at = shard.full_at.try_emplace(key, now_ns).first->second;
  const double used = static_cast<double>(std::max<int64_t>(0, full_at - now_ns));
  const double after = used + interval;
  // Half a nanosecond per request of rounding must not cost one.
  if (after > room + 1e3) return (after - room) / 1e9;
  full_at = now_ns + std::llround(after);
  return 0;
}

size_t RateLimiter::callers() const {
  size_t total = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard<std::mutex> lock(shard.mutex);
    total += shard.full_at.size();
  }
  return total;
}

}  // namespace slipway
