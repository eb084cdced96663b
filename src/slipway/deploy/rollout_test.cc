#include "slipway/deploy/rollout.h"

#include <fstream>

#include "slipway/base/file.h"
#include "slipway/deploy/fake_node_for_test.h"

namespace slipway {
namespace {

// Fake nodes take the package's bytes for the generation's name.
class RolloutTest : public ::testing::Test {
 protected:
  explicit RolloutTest(size_t count = 3) : fakes(count) {
    folder = *TempDir::Make();
    for (const char* version : {"v1", "v2"}) {
      packages[version] = folder.File(version);
      std::ofstream(packages[version]) << version;
    }
    for (FakeNode& fake : fakes) clients.emplace_back(&http, fake.url(), "key");
    for (NodeClient& client : clients) client.set_epoch(1);
  }
  RolloutInput Input(std::vector<std::pair<std::string, double>> generations) {
    RolloutInput input;
    input.service = "s";
    input.wish.desired.generations = std::move(generations);
    input.packages = packages;
    for (NodeClient& client : clients) input.nodes.push_back(&client);
    input.log = [this](const std::string& line, double) { lines.push_back(line); };
    return input;
  }
  RolloutResult Run(const std::string& generation) { return RunRollout(Input({{generation, 1}})); }
  std::vector<std::string> Serves() {
    std::vector<std::string> out;
    for (FakeNode& fake : fakes) out.push_back(fake.serves());
    return out;
  }

  HttpClient http;
  std::vector<FakeNode> fakes;
  std::vector<NodeClient> clients;
  TempDir folder;
  std::map<std::string, std::string> packages;
  std::vector<std::string> lines;
};

using Served = std::vector<std::string>;

TEST_F(RolloutTest, BringsEveryNodeToWhatIsWantedAndDoesNothingTwice) {
  EXPECT_EQ(Run("v1").end, RolloutEnd::kDone);
  EXPECT_EQ(Serves(), (Served{"v1", "v1", "v1"}));
  const int changes = fakes[0].changes();
  const RolloutResult again = Run("v1");
  EXPECT_EQ(again.end, RolloutEnd::kDone);
  EXPECT_EQ(again.changed, 0);
  EXPECT_EQ(fakes[0].changes(), changes);
  EXPECT_EQ(RunRollout(Input({{"v1", 0.75}, {"v2", 0.25}})).end, RolloutEnd::kDone);
  EXPECT_EQ(Serves(), Served(3, "v1 0.75, v2 0.25"));
}

TEST_F(RolloutTest, AFailedTestQueryOnOneNodeMovesNoTrafficAnywhere) {
  ASSERT_EQ(Run("v1").end, RolloutEnd::kDone);
  fakes[2].tests_pass = false;
  const RolloutResult result = Run("v2");
  EXPECT_EQ(result.end, RolloutEnd::kUnchanged);
  EXPECT_NE(result.error->message.find("test query 'q' of endpoint 'e' fails with v2"),
            std::string::npos)
      << result.error->message;
  EXPECT_NE(result.error->message.find(fakes[2].url()), std::string::npos);
  EXPECT_EQ(Serves(), Served(3, "v1"));
}

TEST_F(RolloutTest, ANodeThatCannotBeReachedStopsItBeforeAnythingChanges) {
  ASSERT_EQ(Run("v1").end, RolloutEnd::kDone);
  NodeClient nowhere(&http, "http://127.0.0.1:1", "key");
  RolloutInput input = Input({{"v2", 1}});
  input.nodes.push_back(&nowhere);
  const int changes = fakes[0].changes();
  const RolloutResult result = RunRollout(input);
  EXPECT_EQ(result.end, RolloutEnd::kUnchanged);
  EXPECT_EQ(result.error->code, ErrorCode::kUnavailable);
  EXPECT_EQ(fakes[0].changes(), changes);
}

// Whatever call a node dies at, and whether it still carried it out: no silent mix.
TEST_F(RolloutTest, AtWhateverCallANodeDiesTheOthersEndInOneState) {
  for (const bool carried_out : {false, true}) {
    for (int n = 1; n <= 12; ++n) {
      for (FakeNode& fake : fakes) fake.Heal();
      ASSERT_EQ(Run("v1").end, RolloutEnd::kDone);
      ASSERT_EQ(Serves(), Served(3, "v1"));
      fakes[1].DieAtChange(n, carried_out);
      const RolloutResult result = Run("v2");
      const Served served = Serves();
      EXPECT_EQ(served[0], served[2]) << n;
      switch (result.end) {
        case RolloutEnd::kDone:
          EXPECT_EQ(served, Served(3, "v2")) << n;
          break;
        case RolloutEnd::kUnchanged:
        case RolloutEnd::kWentBack:
          EXPECT_EQ(served, Served(3, "v1")) << n;
          break;
        case RolloutEnd::kPartial:
          EXPECT_EQ(served[0], "v1") << n;
          EXPECT_NE(result.error->message.find(fakes[1].url()), std::string::npos);
      }
      // When it is back, one more update brings all nodes to one state.
      for (FakeNode& fake : fakes) fake.Heal();
      ASSERT_EQ(Run("v2").end, RolloutEnd::kDone);
      ASSERT_EQ(Serves(), Served(3, "v2"));
    }
  }
}

TEST_F(RolloutTest, ASwitchThatFailsTakesBackTheSettingsToo) {
  RolloutInput input = Input({{"v1", 1}});
  input.wish.desired.settings = {{"max_records", 7}};
  ASSERT_EQ(RunRollout(input).end, RolloutEnd::kDone);
  input.wish.desired.settings = {{"max_records", 9}};
  fakes[1].DieAtChange(1, false);
  EXPECT_EQ(RunRollout(input).end, RolloutEnd::kPartial);
  EXPECT_EQ(clients[0].Observe("s").settings, (Json{{"max_records", 7}}));
  EXPECT_EQ(fakes[2].serves(), "v1");
}

TEST_F(RolloutTest, AfterAFailedFirstDeploymentTheServiceIsGoneAgain) {
  fakes[2].tests_pass = false;
  EXPECT_EQ(Run("v1").end, RolloutEnd::kUnchanged);
  for (NodeClient& client : clients) EXPECT_FALSE(client.Observe("s").has_service);
}

TEST_F(RolloutTest, AnOlderDeployerIsRefusedAndNothingMoves) {
  ASSERT_EQ(Run("v1").end, RolloutEnd::kDone);
  fakes[1].highest_epoch = 5;
  const RolloutResult result = Run("v2");
  EXPECT_EQ(result.end, RolloutEnd::kUnchanged);
  ASSERT_TRUE(result.error);
  EXPECT_TRUE(IsFenced(*result.error)) << result.error->message;
  EXPECT_EQ(Serves(), Served(3, "v1"));
}

TEST_F(RolloutTest, AnAbortBetweenStepsGoesBack) {
  ASSERT_EQ(Run("v1").end, RolloutEnd::kDone);
  std::atomic<bool> cancel = false;
  RolloutInput input = Input({{"v2", 1}});
  input.cancel = &cancel;
  input.log = [&](const std::string& line, double) {
    if (line.find("switch to v2") != std::string::npos) cancel = true;
  };
  const RolloutResult result = RunRollout(input);
  EXPECT_EQ(result.end, RolloutEnd::kWentBack);
  EXPECT_EQ(result.error->code, ErrorCode::kCancelled);
  EXPECT_EQ(Serves(), Served(3, "v1"));
}

TEST_F(RolloutTest, OneCallTellsOfAllServicesWhatACallForEachDoes) {
  ASSERT_EQ(Run("v1").end, RolloutEnd::kDone);
  const ObservedNode one = clients[0].Observe("s");
  for (const bool tells_all : {true, false}) {
    fakes[0].tells_all = tells_all;
    const auto all = clients[0].ObserveServices(5);
    ASSERT_TRUE(all.ok()) << all.error().message;
    ASSERT_EQ(all->size(), 1u);
    const ObservedNode& same = all->at("s");
    EXPECT_EQ(DescribeNode(same), "v1");
    EXPECT_EQ(same.url, one.url);
    EXPECT_EQ(same.serving, one.serving);
    EXPECT_EQ(same.settings, one.settings);
    EXPECT_EQ(same.generations.size(), one.generations.size());
  }
  NodeClient nobody(&http, "http://127.0.0.1:1", "key");
  EXPECT_FALSE(nobody.ObserveServices(5).ok());
}

}  // namespace
}  // namespace slipway
