#include "slipway/serve/rate_limit.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace slipway {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST(RateLimiter, ABucketHoldsASecondsWorth) {
  RateLimiter limiter;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(limiter.Take("s", "k", 10, 0), 0) << i;
  EXPECT_NEAR(limiter.Take("s", "k", 10, 0), 0.1, 1e-5);
  EXPECT_NEAR(limiter.Take("s", "k", 10, kSecond / 20), 0.05, 1e-5);
  EXPECT_EQ(limiter.Take("s", "k", 10, kSecond / 10), 0);
  EXPECT_GT(limiter.Take("s", "k", 10, kSecond / 10), 0);
  // Idle for long, it is full and no fuller.
  int good = 0;
  for (int i = 0; i < 100; ++i) good += limiter.Take("s", "k", 10, 100 * kSecond) == 0;
  EXPECT_EQ(good, 10);
}

TEST(RateLimiter, CallersAndServicesDoNotShare) {
  RateLimiter limiter;
  EXPECT_EQ(limiter.Take("s", "a", 1, 0), 0);
  EXPECT_GT(limiter.Take("s", "a", 1, 0), 0);
  EXPECT_EQ(limiter.Take("s", "b", 1, 0), 0);
  EXPECT_EQ(limiter.Take("t", "a", 1, 0), 0);
}

TEST(RateLimiter, LessThanOnePerSecond) {
  RateLimiter limiter;
  EXPECT_EQ(limiter.Take("s", "a", 0.5, 0), 0);
  EXPECT_NEAR(limiter.Take("s", "a", 0.5, 0), 2, 1e-5);
  EXPECT_EQ(limiter.Take("s", "a", 0.5, 2 * kSecond), 0);
}

TEST(RateLimiter, SteadyTrafficAtTheRateGoesOn) {
  RateLimiter limiter;
  for (int64_t i = 0; i < 100'000; ++i)
    ASSERT_EQ(limiter.Take("s", "k", 3000, i * kSecond / 3000), 0) << i;
}

TEST(RateLimiter, IsBounded) {
  RateLimiter limiter;
  for (int i = 0; i < 400'000; ++i) (void)limiter.Take("s", std::to_string(i), 1, i);
  EXPECT_LE(limiter.callers(), 16U * 8192U);
}

TEST(RateLimiter, ManyThreads) {
  RateLimiter limiter;
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) good += limiter.Take("s", "k", 100, 5) == 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 100);
}

}  // namespace
}  // namespace slipway
