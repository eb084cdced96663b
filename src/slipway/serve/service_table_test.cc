#include "slipway/serve/service_table.h"

#include <map>

#include "slipway/serve/node_state_for_test.h"

namespace slipway {
namespace {

class ServiceTableTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempDir(*TempDir::Make());
    for (const char* id : {"v1", "v2", "v3"}) {
      const std::string unpacked = folder_->File(id);
      EXPECT_TRUE(UnpackPackage(MakeSmallPackage(*folder_, {.id = id}), unpacked).ok());
      (*loaded_)[id] = *Generation::Load(unpacked);
    }
  }
  static void TearDownTestSuite() {
    loaded_->clear();
    delete folder_;
    folder_ = nullptr;
  }
  static ServedService Service(const std::vector<std::pair<std::string, double>>& mapping) {
    ServedService service;
    service.id = "shop";
    service.enabled = true;
    for (const auto& [id, probability] : mapping)
      service.generations.push_back({loaded_->at(id), probability, {}});
    return service;
  }
  static std::string ByKey(const ServedService& service, int key) {
    return service.Choose({.forced_generation = {}, .key = "customer " + std::to_string(key)}, 0)
        ->generation->id();
  }

  static TempDir* folder_;
  static std::map<std::string, std::shared_ptr<const Generation>>* loaded_;
};
TempDir* ServiceTableTest::folder_ = nullptr;
std::map<std::string, std::shared_ptr<const Generation>>* ServiceTableTest::loaded_ =
    new std::map<std::string, std::shared_ptr<const Generation>>();

constexpr int kKeys = 20'000;

TEST_F(ServiceTableTest, ForcedWinsOverKeyAndWeights) {
  const ServedService service = Service({{"v1", 1}, {"v2", 0}});
  EXPECT_EQ(service.Choose({.forced_generation = "v2", .key = "k"}, 0)->generation->id(), "v2");
  EXPECT_EQ(service.Choose({.forced_generation = "v3", .key = "k"}, 0), nullptr);
  EXPECT_EQ(service.Choose({.forced_generation = {}, .key = "k"}, 0)->generation->id(), "v1");
}

TEST_F(ServiceTableTest, NothingMappedIsNothingChosen) {
  EXPECT_EQ(Service({}).Choose({}, 0.5), nullptr);
  EXPECT_EQ(Service({{"v1", 0}}).Choose({}, 0.5), nullptr);
  EXPECT_EQ(Service({{"v1", 0}}).Choose({.forced_generation = {}, .key = "k"}, 0.5), nullptr);
}

TEST_F(ServiceTableTest, RandomFollowsTheWeights) {
  const ServedService service = Service({{"v1", 0.2}, {"v2", 0.5}, {"v3", 0.3}});
  const auto at = [&](double random) { return service.Choose({}, random)->generation->id(); };
  EXPECT_EQ(at(0), "v1");
  EXPECT_EQ(at(0.1999), "v1");
  EXPECT_EQ(at(0.2001), "v2");
  EXPECT_EQ(at(0.6999), "v2");
  EXPECT_EQ(at(0.7001), "v3");
  EXPECT_EQ(at(0.9999999999999999), "v3");
}

TEST_F(ServiceTableTest, KeysStickAndFollowTheWeightsWhateverTheOrder) {
  const ServedService service = Service({{"v1", 0.2}, {"v2", 0.5}, {"v3", 0.3}});
  const ServedService other_order = Service({{"v3", 0.3}, {"v1", 0.2}, {"v2", 0.5}});
  std::map<std::string, int> counts;
  for (int key = 0; key < kKeys; ++key) {
    const std::string chosen = ByKey(service, key);
    ++counts[chosen];
    EXPECT_EQ(ByKey(other_order, key), chosen);
  }
  // Within eight standard deviations.
  EXPECT_NEAR(counts["v1"], 0.2 * kKeys, 460);
  EXPECT_NEAR(counts["v2"], 0.5 * kKeys, 570);
  EXPECT_NEAR(counts["v3"], 0.3 * kKeys, 520);
}

// Pinned: a client's key finds the same generation after every restart and release.
TEST_F(ServiceTableTest, TheChoiceIsTheSameForEver) {
  const ServedService service = Service({{"v1", 0.5}, {"v2", 0.5}});
  std::string chosen;
  for (int key = 0; key < 24; ++key) chosen += ByKey(service, key).back();
  EXPECT_EQ(chosen, "211211212122121111221121");
}

TEST_F(ServiceTableTest, AGenerationThatJoinsTakesItsShareAndMovesNoOtherKey) {
  const ServedService before = Service({{"v1", 0.5}, {"v2", 0.5}});
  const ServedService after = Service({{"v1", 0.4}, {"v2", 0.4}, {"v3", 0.2}});
  int moved = 0;
  for (int key = 0; key < kKeys; ++key) {
    const std::string was = ByKey(before, key), is = ByKey(after, key);
    if (was == is) continue;
    ++moved;
    EXPECT_EQ(is, "v3");
  }
  EXPECT_NEAR(moved, 0.2 * kKeys, 460);
}

TEST_F(ServiceTableTest, ReadersSeeWhatIsPublishedAndKeepWhatTheyRead) {
  ServiceTableHolder holder;
  ServiceTableReader reader(&holder);
  EXPECT_EQ(reader.Refresh()->Find("shop"), nullptr);
  auto table = std::make_shared<ServiceTable>();
  table->services.emplace("shop", Service({{"v1", 1}}));
  const uint64_t version = holder.version();
  holder.Publish(std::move(table));
  EXPECT_NE(holder.version(), version);
  const std::shared_ptr<const ServiceTable> kept = reader.Refresh();
  ASSERT_NE(kept->Find("shop"), nullptr);
  holder.Publish(std::make_shared<ServiceTable>());
  EXPECT_EQ(reader.Refresh()->Find("shop"), nullptr);
  EXPECT_NE(kept->Find("shop"), nullptr);
}

TEST(ServedServiceRules, AnEndpointsOwnAreMergedAndCountedApart) {
  ServedService service;
  service.id = "shop";
  EXPECT_EQ(service.RulesOf("a").settings, &service.settings);
  ServiceSettings settings;
  settings.max_records = 9;
  settings.max_concurrent = 4;
  settings.endpoints["a"].max_concurrent = 1;
  settings.endpoints["b"].rate_per_key = 2;
  service.SetSettings(settings);
  const CallRules a = service.RulesOf("a"), b = service.RulesOf("b"), c = service.RulesOf("c");
  EXPECT_EQ(a.settings->max_concurrent, 1);
  EXPECT_EQ(a.settings->max_records, 9);
  EXPECT_EQ(*a.running_as, "shop/a");
  EXPECT_EQ(*a.rated_as, "shop");
  EXPECT_EQ(b.settings->max_concurrent, 4);
  EXPECT_EQ(*b.running_as, "shop");
  EXPECT_EQ(*b.rated_as, "shop/b");
  EXPECT_EQ(c.settings, &service.settings);
  service.SetSettings({});
  EXPECT_EQ(service.RulesOf("a").settings, &service.settings);
}

}  // namespace
}  // namespace slipway
