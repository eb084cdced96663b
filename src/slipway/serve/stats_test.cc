#include "slipway/serve/stats.h"

#include <thread>

#include <gtest/gtest.h>

namespace slipway {
namespace {

TEST(EndpointStats, SumsItsSlots) {
  EndpointStats stats(2);
  stats.Observe(0, Answered::kOk, 20'000, 1, 0, 0);
  stats.Observe(1, Answered::kOk, 30'000, 10, 2, 1);
  stats.Observe(1, Answered::kClientError, 1'000, 0, 0, 0);
  stats.Observe(0, Answered::kRejected, 5'000, 0, 0, 0);
  const EndpointStats::Totals totals = stats.Sum();
  EXPECT_EQ(totals.requests[0], 2);
  EXPECT_EQ(totals.requests[1], 1);
  EXPECT_EQ(totals.requests[2], 0);
  EXPECT_EQ(totals.requests[3], 1);
  EXPECT_EQ(totals.AllRequests(), 4);
  EXPECT_EQ(totals.records, 11);
  EXPECT_EQ(totals.ignored, 2);
  EXPECT_EQ(totals.failed, 1);
  EXPECT_EQ(totals.latency_ns, 51'000);
  ASSERT_EQ(totals.buckets.size(), std::size(kLatencyBounds) + 1);
  EXPECT_EQ(totals.buckets[0], 2) << "20 us and 1 us are at most 25 us";
  EXPECT_EQ(totals.buckets[1], 1);
}

TEST(EndpointStats, ABoundBelongsToItsBucketAndLongAnswersToTheLast) {
  EndpointStats stats(1);
  stats.Observe(0, Answered::kOk, 25'000, 1, 0, 0);
  stats.Observe(0, Answered::kOk, 25'001, 1, 0, 0);
  stats.Observe(0, Answered::kOk, 11'000'000'000, 1, 0, 0);
  const EndpointStats::Totals totals = stats.Sum();
  EXPECT_EQ(totals.buckets[0], 1);
  EXPECT_EQ(totals.buckets[1], 1);
  EXPECT_EQ(totals.buckets.back(), 1);
}

TEST(EndpointStats, QuantilesComeFromTheBuckets) {
  EndpointStats stats(1);
  EXPECT_EQ(EndpointStats::Quantile(stats.Sum(), 0.5), 0);
  for (int i = 0; i < 90; ++i) stats.Observe(0, Answered::kOk, 40'000, 1, 0, 0);
  for (int i = 0; i < 10; ++i) stats.Observe(0, Answered::kOk, 4'000'000, 1, 0, 0);
  const EndpointStats::Totals totals = stats.Sum();
  EXPECT_NEAR(EndpointStats::Quantile(totals, 0.5), 25e-6 + 25e-6 * 50 / 90, 1e-9);
  EXPECT_GT(EndpointStats::Quantile(totals, 0.99), 2.5e-3);
  EXPECT_LE(EndpointStats::Quantile(totals, 1.0), 5e-3);
}

TEST(EndpointStats, CountsWhileItIsRead) {
  EndpointStats stats(2);
  constexpr int kEach = 50'000;
  std::vector<std::thread> threads;
  for (int slot = 0; slot < 2; ++slot)
    threads.emplace_back([&stats, slot] {
      for (int i = 0; i < kEach; ++i) stats.Observe(slot, Answered::kOk, i, 1, 0, 0);
    });
  int64_t before = 0;
  for (int i = 0; i < 100; ++i) {
    const int64_t now = stats.Sum().records;
    EXPECT_GE(now, before) << "counters never go back";
    before = now;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stats.Sum().records, 2 * kEach);
}

TEST(StatsRegistry, GivesTheSameBlockForTheSameNames) {
  StatsRegistry registry(1);
  const auto a = registry.Get("fares", "fare", "v1");
  EXPECT_EQ(a, registry.Get("fares", "fare", "v1"));
  EXPECT_NE(a, registry.Get("fares", "fare", "v2"));
  a->Observe(0, Answered::kOk, 1, 1, 0, 0);
  ASSERT_EQ(registry.Rows().size(), 2U);
  EXPECT_EQ(registry.Rows()[0].generation, "v1");
  EXPECT_EQ(registry.Rows()[0].totals.records, 1);
}

TEST(StatsRegistry, FoldsTheOldestIdleRowsAndLosesNoCount) {
  StatsRegistry registry(1);
  const auto kept = registry.Get("fares", "fare", "a");
  const int many = static_cast<int>(StatsRegistry::kMaxRows) + 50;
  for (int i = 0; i < many; ++i)
    registry.Get("fares", "fare", "v" + std::to_string(i))->Observe(0, Answered::kOk, 1, 1, 0, 0);
  kept->Observe(0, Answered::kOk, 1, 1, 0, 0);
  const std::vector<StatsRegistry::Row> rows = registry.Rows();
  EXPECT_LE(rows.size(), StatsRegistry::kMaxRows + 1);
  int64_t records = 0;
  bool kept_is_there = false, other = false;
  for (const StatsRegistry::Row& row : rows) {
    records += row.totals.records;
    kept_is_there = kept_is_there || row.generation == "a";
    other = other || row.generation == "other";
    EXPECT_NE(row.generation, "v0") << "the oldest goes first";
  }
  EXPECT_EQ(records, many + 1);
  EXPECT_TRUE(kept_is_there) << "in use, although it is the oldest";
  EXPECT_TRUE(other);
}

}  // namespace
}  // namespace slipway
