#include "slipway/registry/models.h"

#include "slipway/registry/registry.h"
#include "slipway/registry/test_home.h"

namespace slipway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ModelsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(home_.ok);
    auto opened = Registry::OpenForWriting(home_.path, "test");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    registry_ = *std::move(opened);
    ASSERT_TRUE(registry_->projects().Put("p", R"({"models":{"fare":{},"tips":{}}})", "ann").ok());
  }
  Models& models() { return registry_->models(); }
  Result<VersionRecord> Add(bool activate = true) {
    NewVersion version;
    version.bundle_path = home_.File("bundle", "bundle " + std::to_string(++made_));
    version.info_json = R"({"rows":)" + std::to_string(made_) + "}";
    version.who = "ann";
    version.activate = activate;
    version.reason = "retrained";
    return models().AddVersion("p", "fare", version);
  }
  int64_t Active() { return models().Get("p", "fare")->active; }
  int64_t RollBack() {
    auto version = models().Rollback("p", "fare", "bob", "bad answers");
    return version.ok() ? version->number : -1;
  }
  std::vector<int64_t> Numbers() {
    std::vector<int64_t> numbers;
    const auto versions = *models().Versions("p", "fare");
    for (const VersionRecord& version : versions) numbers.push_back(version.number);
    return numbers;
  }
  TestHome home_;
  std::unique_ptr<Registry> registry_;
  int made_ = 0;
};

TEST_F(ModelsTest, AVersionKeepsWhatItWasMadeFrom) {
  NewVersion version;
  version.bundle_path = home_.File("b", "bundle");
  version.reference_path = home_.File("r", "reference");
  version.holdout_path = home_.File("h", "holdout");
  version.move_files = true;
  version.info_json = R"({"metrics":{"rmse":3.5}})";
  version.dataset_fingerprint = "f00d";
  version.build.recipe = "train_fare";
  version.build.inputs = {{"trips", "f00d"}};
  version.note = "first";
  version.who = "ann";
  const VersionRecord made = *models().AddVersion("p", "fare", version);
  EXPECT_FALSE(PathExists(version.bundle_path)) << "moved";
  const VersionRecord read = *models().Resolve(*ParseModelRef("p/fare"));
  EXPECT_EQ(read.number, 1);
  EXPECT_TRUE(read.active);
  EXPECT_EQ(read.info_json, version.info_json);
  EXPECT_EQ(read.dataset_fingerprint, "f00d");
  EXPECT_EQ(read.build.inputs[0].name, "trips");
  EXPECT_EQ(read.note, "first");
  EXPECT_EQ(*ReadFile(*models().BundlePath(read)), "bundle");
  EXPECT_EQ(*ReadFile(*models().ReferencePath(read)), "reference");
  EXPECT_EQ(*ReadFile(*models().HoldoutPath(read)), "holdout");
  ASSERT_TRUE(models().SetNote("p", "fare", 1, "better").ok());
  EXPECT_EQ(models().Resolve(*ParseModelRef("p/fare@1"))->note, "better");
}

TEST_F(ModelsTest, ListsAreReadFromWhereTheyAreAskedFor) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Add().ok());
  NewVersion version;
  version.bundle_path = home_.File("b", "bundle");
  for (const char* name : {"tips", "Tips", "fare.2"})
    ASSERT_TRUE(models().AddVersion("p", name, version).ok());
  const auto names = [&](const char* after, int64_t limit) {
    std::vector<std::string> out;
    const auto list = *models().List("p", after, limit);
    for (const ModelRecord& model : list) out.push_back(model.name);
    return out;
  };
  EXPECT_THAT(names("", 0), ElementsAre("Tips", "fare", "fare.2", "tips"));  // bytewise
  EXPECT_THAT(names("fare", 2), ElementsAre("fare.2", "tips"));
  EXPECT_THAT(names("fare.1", 1), ElementsAre("fare.2"));
  EXPECT_EQ(models().List("p", "Tips", 1)->at(0).versions, 3);
  EXPECT_EQ(models().List("p", "Tips", 1)->at(0).latest, 3);
  EXPECT_EQ(models().Versions("p", "fare", 1, 1)->at(0).number, 2);
  EXPECT_EQ(models().Versions("p", "fare", 1)->size(), 2u);
  EXPECT_TRUE(models().Versions("p", "fare", 3)->empty());
  EXPECT_THAT(*models().VersionNumbers("p", "fare"), ElementsAre(1, 2, 3));
}

TEST_F(ModelsTest, TheFirstVersionIsActiveAndOthersAsAsked) {
  EXPECT_TRUE(Add(false)->active);
  EXPECT_FALSE(Add(false)->active);
  EXPECT_EQ(Active(), 1);
  EXPECT_TRUE(Add(true)->active);
  EXPECT_EQ(Active(), 3);
  EXPECT_EQ(models().Resolve(*ParseModelRef("p/fare@latest"))->number, 3);
}

TEST_F(ModelsTest, EveryActivationIsRecorded) {
  ASSERT_TRUE(Add().ok());
  ASSERT_TRUE(Add().ok());
  ASSERT_TRUE(models().Activate("p", "fare", 1, "bob", "a hunch").ok());
  ASSERT_TRUE(models().Activate("p", "fare", 1, "bob", "again").ok()) << "no change, no row";
  EXPECT_EQ(RollBack(), 2);
  const auto history = *models().History("p", "fare");
  ASSERT_EQ(history.size(), 4u);
  EXPECT_EQ(history[0].kind, "train");
  EXPECT_EQ(history[0].from, 0);
  EXPECT_EQ(history[1].from, 1);
  EXPECT_EQ(history[1].to, 2);
  EXPECT_EQ(history[2].who, "bob");
  EXPECT_EQ(history[2].why, "a hunch");
  EXPECT_EQ(history[3].kind, "rollback");
  EXPECT_EQ(history[3].why, "bad answers");
}

TEST_F(ModelsTest, RollbackGoesBackStepByStep) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Add().ok());
  EXPECT_EQ(RollBack(), 2);
  EXPECT_EQ(RollBack(), 1);
  EXPECT_EQ(models().Rollback("p", "fare", "bob", "").error().code, ErrorCode::kConflict);
  EXPECT_EQ(Active(), 1);
  ASSERT_TRUE(Add().ok());  // 4
  EXPECT_EQ(RollBack(), 1) << "what was rolled back does not come back";
}

TEST_F(ModelsTest, RollbackSkipsDeletedVersions) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Add().ok());
  ASSERT_TRUE(models().DeleteVersion("p", "fare", 2, {}).ok());
  EXPECT_EQ(RollBack(), 1);
  ASSERT_TRUE(models().DeleteVersion("p", "fare", 3, {}).ok());
  EXPECT_EQ(models().Rollback("p", "fare", "bob", "").error().code, ErrorCode::kConflict);
}

TEST(RollbackTarget, FollowsTheUndoList) {
  const auto go = [](const std::string& kind, int64_t to) {
    return Activation{"", "", "", kind, 0, to};
  };
  const std::vector<Activation> there_and_back = {go("train", 1), go("train", 2),
                                                  go("activate", 1)};
  EXPECT_EQ(RollbackTarget(there_and_back, {1, 2}, 1), 2);
  EXPECT_EQ(RollbackTarget(there_and_back, {1}, 1), std::nullopt);
  const std::vector<Activation> undone = {go("train", 1), go("train", 2), go("train", 3),
                                          go("rollback", 2), go("import", 4)};
  EXPECT_EQ(RollbackTarget(undone, {1, 2, 3, 4}, 4), 2);
  EXPECT_EQ(RollbackTarget(undone, {1, 3, 4}, 4), 1);
  EXPECT_EQ(RollbackTarget({}, {1}, 1), std::nullopt);
}

TEST_F(ModelsTest, TheActiveAndThePinnedCannotBeDeletedAndNumbersAreNotReused) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Add().ok());
  EXPECT_EQ(models().DeleteVersion("p", "fare", 3, {}).error().code, ErrorCode::kConflict);
  const Status pinned = models().DeleteVersion("p", "fare", 2, {2});
  EXPECT_EQ(pinned.error().code, ErrorCode::kConflict);
  EXPECT_THAT(pinned.error().message, HasSubstr("fare@2"));
  ASSERT_TRUE(models().Activate("p", "fare", 1, "ann", "").ok());
  ASSERT_TRUE(models().DeleteVersion("p", "fare", 3, {}).ok());
  EXPECT_EQ(Add()->number, 4);
  EXPECT_THAT(Numbers(), ElementsAre(1, 2, 4));
  EXPECT_EQ(models().DeleteModel("p", "fare", false).error().code, ErrorCode::kConflict);
  ASSERT_TRUE(models().DeleteModel("p", "fare", true).ok());
  ASSERT_TRUE(models().DeleteModel("p", "fare", true).ok());
  EXPECT_EQ(Add()->number, 5);
}

TEST_F(ModelsTest, KeepVersionsDeletesTheOldestThatNobodyUses) {
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(Add().ok());
  ASSERT_TRUE(models().Activate("p", "fare", 1, "ann", "").ok());
  EXPECT_TRUE(models().ApplyKeepVersions("p", "fare", 0, {})->empty());
  EXPECT_THAT(*models().ApplyKeepVersions("p", "fare", 3, {3}), ElementsAre(2, 4, 5));
  EXPECT_THAT(Numbers(), ElementsAre(1, 3, 6));
  // Neither the active one, nor the pinned one, nor the newest.
  EXPECT_TRUE(models().ApplyKeepVersions("p", "fare", 1, {3})->empty());
  EXPECT_THAT(Numbers(), ElementsAre(1, 3, 6));
}

TEST_F(ModelsTest, TheSchemaItselfForbidsNoActiveVersion) {
  ASSERT_TRUE(Add().ok());
  Database& database = registry_->database();
  EXPECT_EQ(database.Execute("UPDATE models SET active_version = NULL").error().code,
            ErrorCode::kConflict);
  EXPECT_EQ(database.Execute("UPDATE models SET active_version = 9").error().code,
            ErrorCode::kConflict);
  EXPECT_EQ(database.Execute("DELETE FROM versions").error().code, ErrorCode::kConflict);
  EXPECT_EQ(Active(), 1);
}

TEST_F(ModelsTest, WhatDoesNotExistIsSaidWithWhatDoes) {
  const auto resolve = [&](const char* ref) {
    return models().Resolve(*ParseModelRef(ref)).error();
  };
  EXPECT_THAT(resolve("q/fare").message, HasSubstr("no project 'q'"));
  EXPECT_THAT(resolve("p/fair").hint, HasSubstr("fare"));
  EXPECT_THAT(resolve("p/fare").message, HasSubstr("has no version yet"));
  ASSERT_TRUE(Add().ok());
  EXPECT_THAT(resolve("p/fare@7").message, HasSubstr("has no version 7"));
  EXPECT_THAT(resolve("p/fare@7").hint, HasSubstr("1"));
  EXPECT_EQ(resolve("p/fare@7").code, ErrorCode::kNotFound);
  NewVersion version;
  version.bundle_path = home_.File("b", "x");
  EXPECT_EQ(models().AddVersion("q", "fare", version).error().code, ErrorCode::kNotFound);
  version.bundle_path = home_.dir.File("absent");
  EXPECT_EQ(models().AddVersion("p", "fare", version).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Add()->number, 2) << "a failed one takes no number";
}

TEST(ModelRefs, AllFormsAreReadAndBadOnesExplained) {
  EXPECT_EQ(ParseModelRef("p/m")->ToText(), "p/m");
  EXPECT_EQ(ParseModelRef("p/m@active")->ToText(), "p/m");
  EXPECT_EQ(ParseModelRef("p/m@latest")->ToText(), "p/m@latest");
  EXPECT_EQ(ParseModelRef("p/m@12")->number, 12);
  EXPECT_EQ(ParseModelRefIn("p", "m@3")->ToText(), "p/m@3");
  for (const char* bad :
       {"", "m", "/m", "p/", "p/m@", "p/m@0", "p/m@-1", "p/m@+1", "p/m@1.5", "p/m@newest",
        "p/m@99999999999999999999", "p/../m", "p/m/n", "p/ m", "../m"}) {
    auto ref = ParseModelRef(bad);
    ASSERT_FALSE(ref.ok()) << bad;
    EXPECT_EQ(ref.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(ref.error().hint, HasSubstr("PROJECT/MODEL"));
  }
  EXPECT_FALSE(ParseModelRefIn("p", "q/m").ok());
}

}  // namespace
}  // namespace slipway
