#include "slipway/deploy/activity_recorder.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

Json Metrics(int64_t requests, int64_t errors, const char* generation = "v1") {
  return {{"endpoints",
           {{{"service", "s"},
             {"endpoint", "e"},
             {"generation", generation},
             {"requests", requests},
             {"errors", errors},
             {"p95Ms", 2.5}}}}};
}

TEST(ActivityRecorder, OnlyWhatIsNewSinceTheLastLookCounts) {
  ActivityRecorder recorder;
  std::vector<ActivityPoint> points;
  recorder.Look("a", "d", "s", Metrics(100, 3), &points);
  EXPECT_TRUE(points.empty());  // who knows over how long
  recorder.Look("a", "d", "s", Metrics(100, 3), &points);
  EXPECT_TRUE(points.empty());
  recorder.Look("a", "d", "s", Metrics(110, 4), &points);
  recorder.Look("b", "d", "s", Metrics(0, 0), &points);
  recorder.Look("b", "d", "s", Metrics(5, 0), &points);
  ASSERT_EQ(points.size(), 1u);  // of both nodes together
  EXPECT_EQ(points[0].requests, 15);
  EXPECT_EQ(points[0].errors, 1);
  EXPECT_EQ(points[0].p95, 2.5);
}

TEST(ActivityRecorder, ANodeThatStartedAgainAndANewGenerationCountFromZero) {
  ActivityRecorder recorder;
  std::vector<ActivityPoint> points;
  recorder.Look("a", "d", "s", Metrics(100, 50), &points);
  recorder.Look("a", "d", "s", Metrics(7, 1), &points);
  ASSERT_EQ(points.size(), 1u);
  EXPECT_EQ(points[0].requests, 7);
  EXPECT_EQ(points[0].errors, 1);
  recorder.Look("a", "d", "s", Metrics(9, 0, "v2"), &points);
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[1].requests, 9);
}

}  // namespace
}  // namespace slipway
