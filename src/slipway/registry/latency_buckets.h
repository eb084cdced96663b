// How many requests took how long: counts by the API nodes' latency buckets (docs/admin-api.md).
// They add up over nodes and over time, as percentiles do not. A value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace slipway {

struct LatencyBuckets {
  // Upper bounds in milliseconds; one more bucket holds what is above the last.
  static constexpr std::array<double, 18> kBoundsMs = {
      0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10'000};
  static constexpr size_t kCount = kBoundsMs.size() + 1;

  std::array<int64_t, kCount> counts = {};

  // What a node counted, by its own bounds in seconds: one count more than bounds. Counts of a
  // bucket that is none of ours go to the next larger one. False: that is no such list.
  bool AddCounts(std::span<const double> bounds_seconds, std::span<const int64_t> more);
  void Add(const LatencyBuckets& other);
  // Leaves what came since `before`. False, and nothing is changed: a count fell meanwhile.
  bool Subtract(const LatencyBuckets& before);
  int64_t Total() const;
  // Milliseconds, linear within a bucket; 0 without requests, the last bound above it.
  double Quantile(double q) const;

  bool operator==(const LatencyBuckets&) const = default;
};

}  // namespace slipway
