#include "slipway/registry/latency_buckets.h"

#include <vector>

#include <gtest/gtest.h>

namespace slipway {
namespace {

LatencyBuckets Of(std::initializer_list<std::pair<size_t, int64_t>> counts) {
  LatencyBuckets out;
  for (const auto& [at, count] : counts) out.counts[at] = count;
  return out;
}

TEST(LatencyBuckets, QuantilesAreThoseOfTheSum) {
  LatencyBuckets fast = Of({{2, 90}}), slow = Of({{8, 10}});  // up to 0.1 ms; 5 to 10 ms
  EXPECT_DOUBLE_EQ(fast.Quantile(0.5), 0.075);
  EXPECT_DOUBLE_EQ(slow.Quantile(0.5), 7.5);
  fast.Add(slow);
  EXPECT_EQ(fast.Total(), 100);
  EXPECT_LT(fast.Quantile(0.9), 0.1 + 1e-9);
  EXPECT_DOUBLE_EQ(fast.Quantile(0.95), 7.5);
  EXPECT_DOUBLE_EQ(fast.Quantile(1), 10);
  EXPECT_EQ(LatencyBuckets().Quantile(0.5), 0);
  EXPECT_EQ(Of({{18, 1}}).Quantile(0.5), 10'000);
}

TEST(LatencyBuckets, ADifferenceIsAWindowAndAFallIsToldFromIt) {
  LatencyBuckets now = Of({{2, 90}, {8, 30}});
  ASSERT_TRUE(now.Subtract(Of({{2, 90}, {8, 10}})));
  EXPECT_EQ(now, Of({{8, 20}}));
  EXPECT_FALSE(now.Subtract(Of({{2, 1}})));
  EXPECT_EQ(now, Of({{8, 20}}));
}

TEST(LatencyBuckets, OtherBoundsGoToTheNextLargerOne) {
  std::vector<double> bounds;
  std::vector<int64_t> counts;
  for (const double bound : LatencyBuckets::kBoundsMs) {
    bounds.push_back(bound / 1000);
    counts.push_back(1);
  }
  counts.push_back(7);
  LatencyBuckets same;
  ASSERT_TRUE(same.AddCounts(bounds, counts));
  for (size_t i = 0; i + 1 < LatencyBuckets::kCount; ++i) EXPECT_EQ(same.counts[i], 1) << i;
  EXPECT_EQ(same.counts.back(), 7);
  LatencyBuckets other;
  ASSERT_TRUE(other.AddCounts(std::vector<double>{0.0003, 20}, std::vector<int64_t>{4, 5, 6}));
  EXPECT_EQ(other, Of({{4, 4}, {18, 11}}));
  for (const auto& [wrong_bounds, wrong_counts] :
       {std::pair{std::vector<double>{1, 2}, std::vector<int64_t>{1, 2}},
        std::pair{std::vector<double>{2, 1}, std::vector<int64_t>{1, 2, 3}},
        std::pair{std::vector<double>{1}, std::vector<int64_t>{1, -1}}}) {
    EXPECT_FALSE(other.AddCounts(wrong_bounds, wrong_counts));
  }
}

}  // namespace
}  // namespace slipway
