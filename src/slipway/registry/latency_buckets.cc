#include "slipway/registry/latency_buckets.h"

#include <algorithm>

namespace slipway {

bool LatencyBuckets::AddCounts(std::span<const double> bounds_seconds,
                               std::span<const int64_t> more) {
  if (more.size() != bounds_seconds.size() + 1) return false;
  LatencyBuckets mine;
  for (size_t i = 0; i < more.size(); ++i) {
    if (more[i] < 0 ||
        (i > 0 && i < bounds_seconds.size() && !(bounds_seconds[i] > bounds_seconds[i - 1]))) {
      return false;
    }
    size_t at = kBoundsMs.size();
    if (i < bounds_seconds.size()) {
      // A millionth of slack: 0.25 ms may come as 0.000250000001 s.
      const double bound = bounds_seconds[i] * 1000 * (1 - 1e-6);
      at = static_cast<size_t>(std::lower_bound(kBoundsMs.begin(), kBoundsMs.end(), bound) -
                               kBoundsMs.begin());
    }
    mine.counts[at] += more[i];
  }
  Add(mine);
  return true;
}

void LatencyBuckets::Add(const LatencyBuckets& other) {
  for (size_t i = 0; i < kCount; ++i) counts[i] += other.counts[i];
}

bool LatencyBuckets::Subtract(const LatencyBuckets& before) {
  for (size_t i = 0; i < kCount; ++i) {
    if (counts[i] < before.counts[i]) return false;
  }
  for (size_t i = 0; i < kCount; ++i) counts[i] -= before.counts[i];
  return true;
}

int64_t LatencyBuckets::Total() const {
  int64_t total = 0;
  for (const int64_t count : counts) total += count;
  return total;
}

double LatencyBuckets::Quantile(double q) const {
  const double rank = std::clamp(q, 0.0, 1.0) * static_cast<double>(Total());
  double below = 0;
  for (size_t i = 0; i < kBoundsMs.size(); ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (here > 0 && below + here >= rank) {
      const double low = i == 0 ? 0 : kBoundsMs[i - 1];
      return low + (kBoundsMs[i] - low) * std::max(rank - below, 0.0) / here;
    }
    below += here;
  }
  return counts.back() > 0 ? kBoundsMs.back() : 0;
}

}  // namespace slipway
