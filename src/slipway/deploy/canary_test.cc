#include "slipway/deploy/canary.h"

#include <gtest/gtest.h>

#include "slipway/deploy/deployer.h"

namespace slipway {
namespace {

CanaryOptions Options() {
  CanaryOptions options;
  options.shares = {0.1, 1};
  options.step_seconds = 60;
  options.step_requests = 100;
  return options;
}

TEST(Canary, WaitsForTheTimeAndForTheRequests) {
  std::string why;
  CanaryLook look;
  look.fresh = {99, 0, 99};
  look.old = {900, 0, 900};
  look.seconds = 61;
  EXPECT_EQ(JudgeCanary(Options(), look, &why), CanaryVerdict::kWait);
  look.fresh.requests = 100;
  EXPECT_EQ(JudgeCanary(Options(), look, &why), CanaryVerdict::kGoOn);
  EXPECT_EQ(why, "100 requests, 0 % failed, 0.99 ms each");
  look.seconds = 59;
  EXPECT_EQ(JudgeCanary(Options(), look, &why), CanaryVerdict::kWait);
}

TEST(Canary, SaysHowLongAStepLasts) {
  CanaryOptions options;
  options.step_seconds = 300;
  EXPECT_EQ(DescribeStep(options, "v2"), "for 5 min 0 s");
  options.step_requests = 3000;
  EXPECT_EQ(DescribeStep(options, "v2"),
            "until v2 has answered 3,000 requests, for at least 5 min 0 s");
  options.step_seconds = 0;
  EXPECT_EQ(DescribeStep(options, "v2"), "until v2 has answered 3,000 requests");
}

TEST(Canary, GoesBackAtOnceWhenMoreOfTheNewAnswersFail) {
  std::string why;
  CanaryLook look;
  look.seconds = 1;
  look.fresh = {50, 2, 50};
  look.old = {500, 1, 500};
  EXPECT_EQ(JudgeCanary(Options(), look, &why), CanaryVerdict::kGoBack);
  EXPECT_EQ(why, "4 % of 50 requests failed, 0.2 % of the old generation's");
  look.old.errors = 20;  // the old one is as bad: it is not the new one's fault
  EXPECT_EQ(JudgeCanary(Options(), look, &why), CanaryVerdict::kWait);
  look.fresh = {5, 5, 5};  // too few to tell
  look.old.errors = 0;
  EXPECT_EQ(JudgeCanary(Options(), look, &why), CanaryVerdict::kWait);
}

TEST(Canary, GoesBackWhenAnswersTakeMuchLongerButNotForNoise) {
  std::string why;
  CanaryLook look;
  look.seconds = 1;
  look.fresh = {50, 0, 50 * 8.0};
  look.old = {500, 0, 500 * 2.0};
  EXPECT_EQ(JudgeCanary(Options(), look, &why), CanaryVerdict::kGoBack);
  EXPECT_EQ(why, "an answer takes 8 ms, one of the old generation 2 ms");
  look.fresh.milliseconds = 50 * 0.08;  // four times 0.02 ms is nothing
  look.old.milliseconds = 500 * 0.02;
  EXPECT_EQ(JudgeCanary(Options(), look, &why), CanaryVerdict::kWait);
}

TEST(Canary, DifferentAnswersCountOnlyWhenTheyAreLimited) {
  std::string why;
  CanaryLook look;
  look.seconds = 100;
  look.fresh = {200, 0, 200};
  look.old = {900, 0, 900};
  look.equal = 10;
  look.different = 90;
  EXPECT_EQ(JudgeCanary(Options(), look, &why), CanaryVerdict::kGoOn);
  EXPECT_NE(why.find("90 of 100 answers differ"), std::string::npos);
  CanaryOptions strict = Options();
  strict.max_different = 0.5;
  EXPECT_EQ(JudgeCanary(strict, look, &why), CanaryVerdict::kGoBack);
  strict.max_different = 0.95;
  EXPECT_EQ(JudgeCanary(strict, look, &why), CanaryVerdict::kGoOn);
}

TEST(Canary, WithoutTrafficItIsGivenUpInTheEnd) {
  std::string why;
  CanaryLook look;
  look.seconds = 3599;
  look.fresh.requests = 3;
  EXPECT_EQ(JudgeCanary(Options(), look, &why), CanaryVerdict::kWait);
  look.seconds = 3601;
  EXPECT_EQ(JudgeCanary(Options(), look, &why), CanaryVerdict::kGoBack);
  EXPECT_EQ(why, "only 3 of 100 requests came");
}

TEST(Canary, SharesAreTakenFromWhatServesInProportion) {
  DeploymentSpec base;
  base.generations = {{"v1", 0.75}, {"v2", 0.25}};
  EXPECT_EQ(DescribeSpec(WithShare(base, "v3", 0.2)), "v1 60 %, v2 20 %, v3 20 %");
  EXPECT_EQ(DescribeSpec(WithShare(base, "v2", 0.5)), "v1 50 %, v2 50 %");
  EXPECT_EQ(DescribeSpec(WithShare(base, "v3", 1)), "v3");
}

TEST(Canary, CountersOfNodesAreSummedByGeneration) {
  const Json metrics = {{"endpoints",
                         {{{"service", "s"},
                           {"endpoint", "a"},
                           {"generation", "v1"},
                           {"requests", 10},
                           {"serverErrors", 1},
                           {"meanMs", 2.0}},
                          {{"service", "s"},
                           {"endpoint", "b"},
                           {"generation", "v1"},
                           {"requests", 30},
                           {"serverErrors", 0},
                           {"meanMs", 1.0}},
                          {{"service", "s"},
                           {"endpoint", "a"},
                           {"generation", "v2"},
                           {"requests", 5},
                           {"serverErrors", 5},
                           {"meanMs", 4.0}},
                          {{"service", "other"},
                           {"endpoint", "a"},
                           {"generation", "v2"},
                           {"requests", 99},
                           {"serverErrors", 9},
                           {"meanMs", 4.0}}}},
                        {"shadows",
                         {{{"service", "s"},
                           {"generation", "v1"},
                           {"shadow", "v2"},
                           {"equal", 3},
                           {"different", 4}}}}};
  ServiceCounters counters;
  counters.Add(metrics, "s", "v2");
  counters.Add(metrics, "s", "v2");
  EXPECT_EQ(counters.Of("v1").requests, 80);
  EXPECT_EQ(counters.Of("v1").milliseconds, 100);
  EXPECT_EQ(counters.Of("v2").errors, 10);
  EXPECT_EQ(counters.AllBut("v2").requests, 80);
  EXPECT_EQ(counters.equal, 6);
  EXPECT_EQ(counters.different, 8);
}

TEST(Health, SaysWhyOfEveryNodeAndIsTheWorstThatTrafficSees) {
  DeploymentRecord record;
  DeploymentSpec applied;
  applied.generations = {{"v1", 1}};
  ObservedNode good;
  good.has_service = good.enabled = good.serving = true;
  good.generations = {{"v1", "loaded", "", 1, true, true}};
  EXPECT_EQ(JudgeNode(record, good).health, "unknown");
  EXPECT_EQ(JudgeDeployment(record, {{"unknown", ""}}), "unknown");
  record.applied = record.desired = applied;
  record.state = "deployed";
  EXPECT_EQ(JudgeNode(record, good).health, "healthy");
  ObservedNode dead;
  dead.reachable = Unavailable("connection refused");
  EXPECT_EQ(JudgeNode(record, dead).health, "error");
  EXPECT_EQ(JudgeNode(record, dead).reason, "connection refused");
  ObservedNode other = good;
  other.generations[0].id = "v2";
  EXPECT_EQ(JudgeNode(record, other).health, "warning");
  ObservedNode sick = good;
  sick.serving = false;
  sick.reason = "v1 is damaged";
  EXPECT_EQ(JudgeNode(record, sick).health, "error");
  EXPECT_EQ(JudgeDeployment(record, {{"healthy", ""}, {"healthy", ""}}), "healthy");
  EXPECT_EQ(JudgeDeployment(record, {{"healthy", ""}, {"error", ""}}), "warning");
  EXPECT_EQ(JudgeDeployment(record, {{"error", ""}, {"error", ""}}), "error");
  record.state = "partial";
  EXPECT_EQ(JudgeDeployment(record, {{"healthy", ""}}), "warning");
}

}  // namespace
}  // namespace slipway
