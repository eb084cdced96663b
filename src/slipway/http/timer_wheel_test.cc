#include "slipway/http/timer_wheel.h"

#include <vector>

#include <gtest/gtest.h>

namespace slipway {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST(HttpTimerWheel, FiresNotBeforeAndSoonAfter) {
  HttpTimerWheel wheel(5 * kSecond);
  HttpTimer soon, later, beyond;
  wheel.Set(&soon, 6 * kSecond);
  wheel.Set(&later, 30 * kSecond);
  wheel.Set(&beyond, 500 * kSecond);  // beyond the ring
  std::vector<std::pair<HttpTimer*, int64_t>> fired;
  for (int64_t now = 5 * kSecond; now < 600 * kSecond; now += 10'000'000) {
    if (now < wheel.next_ns()) continue;
    while (HttpTimer* timer = wheel.Pop(now)) fired.emplace_back(timer, now);
  }
  ASSERT_EQ(fired.size(), 3U);
  const std::vector<std::pair<HttpTimer*, int64_t>> wanted = {
      {&soon, 6 * kSecond}, {&later, 30 * kSecond}, {&beyond, 500 * kSecond}};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(fired[i].first, wanted[i].first);
    EXPECT_GE(fired[i].second, wanted[i].second);
    EXPECT_LE(fired[i].second, wanted[i].second + 2 * HttpTimerWheel::kTickNs);
  }
}

TEST(HttpTimerWheel, LaterIsAStoreAndEarlierMoves) {
  HttpTimerWheel wheel(0);
  HttpTimer timer;
  wheel.Set(&timer, kSecond);
  const int64_t tick = timer.tick;
  wheel.Set(&timer, 10 * kSecond);
  EXPECT_EQ(timer.tick, tick);
  EXPECT_EQ(wheel.Pop(2 * kSecond), nullptr);
  wheel.Set(&timer, 3 * kSecond);
  EXPECT_EQ(wheel.Pop(4 * kSecond), &timer);
  EXPECT_FALSE(timer.linked());
}

TEST(HttpTimerWheel, ALongSleepLosesNothing) {
  HttpTimerWheel wheel(0);
  std::vector<HttpTimer> timers(200);
  for (size_t i = 0; i < timers.size(); ++i) {
    wheel.Set(&timers[i], static_cast<int64_t>(i) * kSecond);
  }
  HttpTimerWheel::Remove(&timers[7]);
  int fired = 0;
  while (wheel.Pop(1000 * kSecond) != nullptr) ++fired;
  EXPECT_EQ(fired, 199);
  HttpTimer after;
  wheel.Set(&after, 1001 * kSecond);
  EXPECT_EQ(wheel.Pop(1000 * kSecond), nullptr);
  EXPECT_EQ(wheel.Pop(1002 * kSecond), &after);
}

}  // namespace
}  // namespace slipway
