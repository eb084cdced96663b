#include "slipway/deploy/activity_recorder.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

// `fast` requests of 0.05 to 0.1 ms and `slow` ones of 5 to 10 ms.
NodeMetrics Metrics(int64_t fast, int64_t slow, int64_t errors = 0, const char* generation = "v1",
                    int64_t started_on = 1) {
  EndpointCounters counters{"s", "e", generation, fast + slow, errors, 0, {}};
  counters.latencies.counts[2] = fast;
  counters.latencies.counts[8] = slow;
  return {true, started_on, {counters}};
}

class ActivityRecorderTest : public ::testing::Test {
 protected:
  void Look(const NodeMetrics& metrics, const char* node = "a") {
    points.clear();
    recorder.Look(node, "d", "s", metrics, &points);
  }
  ActivityRecorder recorder;
  std::vector<ActivityPoint> points;
};

TEST_F(ActivityRecorderTest, OnlyWhatIsNewSinceTheLastLookCounts) {
  Look(Metrics(100, 0, 3));
  EXPECT_TRUE(points.empty());  // who knows over how long
  Look(Metrics(100, 0, 3));
  EXPECT_TRUE(points.empty());
  Look(Metrics(0, 0), "b");
  points.clear();
  recorder.Look("a", "d", "s", Metrics(110, 0, 4), &points);
  recorder.Look("b", "d", "s", Metrics(5, 0), &points);
  recorder.Look("b", "other", "s", Metrics(6, 0), &points);
  ASSERT_EQ(points.size(), 2u);  // of both nodes together
  EXPECT_EQ(points[0].requests, 15);
  EXPECT_EQ(points[0].errors, 1);
  EXPECT_EQ(points[1].deployment, "other");
}

TEST_F(ActivityRecorderTest, PercentilesAreTheWindowsOwn) {
  Look(Metrics(1'000'000, 0));
  Look(Metrics(1'000'000, 10));  // a million fast ones before do not hide ten slow ones now
  ASSERT_EQ(points.size(), 1u);
  EXPECT_EQ(points[0].requests, 10);
  EXPECT_EQ(points[0].latencies.Total(), 10);
  EXPECT_GT(points[0].latencies.Quantile(0.5), 5);
  Look(Metrics(1'000'090, 20));
  EXPECT_LT(points[0].latencies.Quantile(0.5), 0.1);
  EXPECT_GT(points[0].latencies.Quantile(0.95), 5);
}

TEST_F(ActivityRecorderTest, NodesAreAddedUpBeforePercentilesAreMade) {
  Look(Metrics(0, 0));
  Look(Metrics(0, 0), "b");
  points.clear();
  recorder.Look("a", "d", "s", Metrics(98, 0), &points);
  recorder.Look("b", "d", "s", Metrics(0, 2), &points);
  ASSERT_EQ(points.size(), 1u);
  EXPECT_LT(points[0].latencies.Quantile(0.95), 0.1);
  EXPECT_GT(points[0].latencies.Quantile(0.99), 5);
}

TEST_F(ActivityRecorderTest, ANodeThatStartedAgainAndANewGenerationCountFromZero) {
  Look(Metrics(100, 0, 50));
  Look(Metrics(7, 0, 1, "v1", 2));
  ASSERT_EQ(points.size(), 1u);
  EXPECT_EQ(points[0].requests, 7);
  EXPECT_EQ(points[0].errors, 1);
  // More requests than before it ended: only its start tells.
  Look(Metrics(0, 9, 0, "v1", 3));
  ASSERT_EQ(points.size(), 1u);
  EXPECT_EQ(points[0].requests, 9);
  EXPECT_EQ(points[0].latencies.counts[8], 9);
  // A node that does not say when it started: its counters fell.
  Look(Metrics(4, 0, 0, "v1", 3));
  EXPECT_EQ(points.at(0).requests, 4);
  Look(Metrics(9, 0, 0, "v2", 3));
  ASSERT_EQ(points.size(), 1u);
  EXPECT_EQ(points[0].requests, 9);
}

TEST_F(ActivityRecorderTest, ANodeThatDidNotAnswerGoesOnWhereItWas) {
  Look(Metrics(100, 0));
  Look({});
  EXPECT_TRUE(points.empty());
  Look(Metrics(103, 0));
  ASSERT_EQ(points.size(), 1u);
  EXPECT_EQ(points[0].requests, 3);
}

TEST_F(ActivityRecorderTest, WhatIsNoLongerFollowedIsForgotten) {
  Look(Metrics(100, 0));
  recorder.Keep({{"a", "s"}});
  Look(Metrics(101, 0));
  EXPECT_EQ(points.size(), 1u);
  recorder.Keep({});
  Look(Metrics(200, 0));
  EXPECT_TRUE(points.empty());
}

TEST(ReadNodeMetrics, WhatMakesNoSenseIsLeftOut) {
  for (const Json& wrong : {Json(), Json(3), Json::object(), Json{{"endpoints", 1}}})
    EXPECT_TRUE(ReadNodeMetrics(wrong).endpoints.empty());
  const NodeMetrics read =
      ReadNodeMetrics({{"startedOn", 5},
                       {"latencyBounds", {0.001, 0.01}},
                       {"endpoints",
                        {1,
                         {{"service", 7}, {"requests", "many"}},
                         {{"service", "s"}, {"requests", 3}, {"latencyBuckets", {1, 2}}},
                         {{"service", "s"}, {"requests", 3}, {"latencyBuckets", {1, 2, 0}}}}}});
  EXPECT_EQ(read.started_on, 5);
  ASSERT_EQ(read.endpoints.size(), 3u);
  EXPECT_EQ(read.endpoints[0].requests, 0);
  EXPECT_EQ(read.endpoints[1].latencies.Total(), 0);
  EXPECT_EQ(read.endpoints[2].latencies.Total(), 3);
}

}  // namespace
}  // namespace slipway
