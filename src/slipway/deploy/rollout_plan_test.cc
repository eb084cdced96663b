#include "slipway/deploy/rollout_plan.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

ObservedNode Node(const std::string& url, std::vector<ObservedGeneration> generations,
                  bool enabled = true) {
  ObservedNode node;
  node.url = url;
  node.has_service = true;
  node.enabled = enabled;
  node.serving = enabled;
  node.generations = std::move(generations);
  return node;
}
ObservedNode Empty(const std::string& url) {
  ObservedNode node;
  node.url = url;
  return node;
}
ObservedGeneration Serves(const std::string& id, double share) {
  return {id, "loaded", "", share, true, true};
}
ObservedGeneration Idle(const std::string& id) { return {id, "imported", "", 0, false, false}; }

DeploymentSpec Wants(std::vector<std::pair<std::string, double>> generations) {
  DeploymentSpec spec;
  spec.generations = std::move(generations);
  return spec;
}

// "upload n0 v2; load and test n0 v2 | switch n0 | switch n1"
std::string Text(const RolloutPlan& plan) {
  std::string out;
  const auto add = [&](const RolloutStep& step) {
    if (!out.empty() && !out.ends_with("| ")) out += "; ";
    out += std::string(StepKindName(step.kind)) + " n" + std::to_string(step.node) +
           (step.generation.empty() ? "" : " " + step.generation);
  };
  for (const RolloutStep& step : plan.prepare) add(step);
  for (const auto& wave : plan.switches) {
    out += out.empty() ? "| " : " | ";
    for (const RolloutStep& step : wave) add(step);
  }
  return out;
}

TEST(RolloutPlan, EverythingIsPreparedOnAllNodesBeforeTheFirstSwitch) {
  const RolloutPlan plan =
      MakeRolloutPlan({Wants({{"v1", 1}})}, {Empty("a"), Empty("b"), Empty("c")});
  EXPECT_EQ(Text(plan),
            "upload n0 v1; load and test n0 v1; upload n1 v1; load and test n1 v1; upload n2 v1; "
            "load and test n2 v1 | switch n0 | switch n1 | switch n2");
  EXPECT_EQ(plan.prepare[0].reason, "it is not there");
  EXPECT_EQ(plan.switches[0][0].reason, "it serves nothing");
}

TEST(RolloutPlan, NodesSwitchInWavesOfTheParallelNumberInTheirOrder) {
  const std::vector<ObservedNode> nodes(5, Node("n", {Serves("v1", 1), Serves("v2", 0)}));
  EXPECT_EQ(Text(MakeRolloutPlan({Wants({{"v1", 0.5}, {"v2", 0.5}}), 2}, nodes)),
            "| switch n0; switch n1 | switch n2; switch n3 | switch n4");
  EXPECT_EQ(MakeRolloutPlan({Wants({{"v1", 0.5}, {"v2", 0.5}}), 100}, nodes).switches.size(), 1u);
  EXPECT_EQ(MakeRolloutPlan({Wants({{"v1", 0.5}, {"v2", 0.5}}), 0}, nodes).switches.size(), 5u);
}

TEST(RolloutPlan, ANodeThatIsAsWantedIsLeftAlone) {
  const auto nodes = {Node("a", {Serves("v1", 1)}), Node("b", {Serves("v1", 1), Idle("v2")})};
  EXPECT_TRUE(MakeRolloutPlan({Wants({{"v1", 1}})}, nodes).empty());
  // What is there but takes no traffic is brought and tested again: it may be damaged.
  const RolloutPlan plan = MakeRolloutPlan({Wants({{"v2", 1}})}, nodes);
  EXPECT_EQ(Text(plan),
            "upload n0 v2; load and test n0 v2; upload n1 v2; load and test n1 v2 | switch n0 | "
            "switch n1");
  EXPECT_EQ(plan.prepare[2].reason, "it takes no traffic there");
}

TEST(RolloutPlan, WhatAnotherBroughtIsNotTrusted) {
  const RolloutPlan plan =
      MakeRolloutPlan({Wants({{"v1", 1}}), 1, false}, {Node("a", {Serves("v1", 1)})});
  EXPECT_EQ(Text(plan), "upload n0 v1; load and test n0 v1");
  EXPECT_EQ(plan.prepare[0].reason, "what is there was not brought by this deployment");
}

TEST(RolloutPlan, AFailedGenerationIsBroughtAgainAndSaysWhy) {
  ObservedGeneration failed{"v1", "failed", "its bundle is damaged", 1, true, false};
  const RolloutPlan plan = MakeRolloutPlan({Wants({{"v1", 1}})}, {Node("a", {failed})});
  EXPECT_EQ(Text(plan), "upload n0 v1; load and test n0 v1");
  EXPECT_EQ(plan.prepare[0].reason, "it failed there: its bundle is damaged");
}

TEST(RolloutPlan, SettingsComeBeforeTheMappingOfTheSameNode) {
  DeploymentSpec wanted = Wants({{"v2", 1}});
  wanted.settings = {{"max_concurrent", 4}};
  ObservedNode same = Node("b", {Serves("v1", 1)});
  same.settings = {{"max_concurrent", 4}, {"auth", ""}};
  EXPECT_EQ(Text(MakeRolloutPlan({wanted}, {Node("a", {Serves("v1", 1)}), same})),
            "upload n0 v2; load and test n0 v2; upload n1 v2; load and test n1 v2 | settings n0; "
            "switch n0 | switch n1");
}

TEST(RolloutPlan, DisablingNeedsNoPackagesAndEnablingMapsAgain) {
  DeploymentSpec off = Wants({{"v1", 1}});
  off.enabled = false;
  EXPECT_EQ(Text(MakeRolloutPlan({off, 10}, {Node("a", {Serves("v1", 1)}), Empty("b"),
                                             Node("c", {Serves("v1", 1)}, false)})),
            "| disable n0");
  EXPECT_EQ(Text(MakeRolloutPlan({Wants({{"v1", 1}})}, {Node("a", {Serves("v1", 1)}, false)})),
            "| switch n0");
}

TEST(RolloutPlan, UnreachableNodesAreNamedAndGetNoSteps) {
  ObservedNode dead = Empty("http://b");
  dead.reachable = Unavailable("connection refused");
  const RolloutPlan plan = MakeRolloutPlan({Wants({{"v1", 1}})}, {Empty("http://a"), dead});
  EXPECT_EQ(plan.unreachable, std::vector<std::string>{"http://b: connection refused"});
  EXPECT_EQ(AtNode("local:dev/1", "node local:dev/1: it is not running"),
            "node local:dev/1: it is not running");
  for (const RolloutStep& step : plan.prepare) EXPECT_EQ(step.node, 0u);
}

TEST(RolloutPlan, DifferencesAreSaidForPeople) {
  EXPECT_EQ(DescribeDifference(Wants({{"v1", 1}}), Node("a", {Serves("v1", 1)})), "");
  EXPECT_EQ(
      DescribeDifference(Wants({{"v2", 1}}), Node("a", {Serves("v1", 0.9), Serves("v2", 0.1)})),
      "it serves v1 90 %, v2 10 % instead of v2");
  EXPECT_EQ(DescribeDifference(Wants({{"v1", 1}}), Empty("a")), "it does not have the service");
  EXPECT_EQ(DescribeDifference(Wants({{"v1", 1}}), Node("a", {Serves("v1", 1)}, false)),
            "its service is disabled");
  ObservedNode other = Node("a", {Serves("v1", 1)});
  other.settings = {{"max_records", 5}};
  EXPECT_EQ(DescribeDifference(Wants({{"v1", 1}}), other),
            "its settings are other ones: max_records is 5 and shall be 0");
  DeploymentSpec off = Wants({{"v1", 1}});
  off.enabled = false;
  EXPECT_EQ(DescribeDifference(off, Node("a", {Serves("v1", 1)})), "it serves v1");
  EXPECT_EQ(DescribeDifference(off, Empty("a")), "");
}

TEST(RolloutPlan, SettingsOfEndpointsAreCompared) {
  const Json own = {{"endpoints", {{"fare", {{"max_records", 5}}}}}};
  EXPECT_EQ(SettingsDifference(own, own), "");
  EXPECT_EQ(SettingsDifference(Json::object(), {{"endpoints", {{"fare", Json::object()}}}}), "");
  EXPECT_EQ(SettingsDifference(own, Json::object()),
            "endpoint fare: max_records is the service's and shall be 5");
  EXPECT_EQ(SettingsDifference(Json::object(), own),
            "endpoint fare: max_records is 5 and shall be the service's");
  EXPECT_EQ(SettingsDifference({{"auth", ""}}, {{"of_a_newer_node", 1}}), "");
}

TEST(RolloutPlan, SettingsMergeAndNullTakesThemBack) {
  Json settings = {{"max_records", 5}};
  MergeSettings({{"endpoints", {{"fare", {{"max_records", 9}, {"auth", "public"}}}}}}, &settings);
  MergeSettings({{"max_records", Json()}, {"endpoints", {{"fare", {{"auth", Json()}}}}}},
                &settings);
  EXPECT_EQ(settings, Json({{"endpoints", {{"fare", {{"max_records", 9}}}}}}));
  MergeSettings({{"endpoints", {{"fare", Json()}}}}, &settings);
  EXPECT_EQ(settings, Json::object());
}

TEST(RolloutPlan, WhatANodeHasIsWhereItGoesBackTo) {
  ObservedNode node = Node("a", {Serves("v1", 0.75), Serves("v2", 0.25), Idle("v3")});
  node.settings = {{"auth", "public"}};
  const DeploymentSpec spec = SpecOfNode(node);
  EXPECT_EQ(DescribeSpec(spec), "v1 75 %, v2 25 %");
  EXPECT_EQ(spec.settings, node.settings);
  EXPECT_FALSE(SpecOfNode(Empty("a")).enabled);
}

}  // namespace
}  // namespace slipway
