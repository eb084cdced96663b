#include "slipway/serve/node_state.h"

#include <functional>

#include <sys/stat.h>
#include <unistd.h>

#include "slipway/serve/generation_store.h"
#include "slipway/serve/node_state_for_test.h"

namespace slipway {
namespace {

class NodeStateTest : public testing::Test {
 protected:
  std::string Home() const { return folder_.File("home"); }
  void Open() {
    state_.reset();
    state_ = OpenNodeState(Home());
    ASSERT_NE(state_, nullptr);
  }
  void SetUp() override { Open(); }
  std::string Package(const SmallPackage& wanted) { return MakeSmallPackage(folder_, wanted); }
  void Import(const SmallPackage& wanted) {
    const Result<std::string> id = state_->Import(wanted.service, Package(wanted), true, {});
    ASSERT_TRUE(id.ok()) << id.error().message;
    EXPECT_EQ(*id, wanted.id);
  }
  std::vector<std::string> Folders(const std::string& service = "shop") const {
    Result<std::vector<std::string>> names = ListDir(JoinPath(Home(), "generations/" + service));
    return names.ok() ? *names : std::vector<std::string>();
  }
  GenerationInfo Info(const std::string& generation) const {
    const Result<ServiceInfo> service = state_->Service("shop");
    EXPECT_TRUE(service.ok());
    for (const GenerationInfo& info : service->generations) {
      if (info.id == generation) return info;
    }
    ADD_FAILURE() << "no generation " << generation;
    return {};
  }
  // One byte of the model on disk.
  void Damage(const std::string& generation) {
    const std::string path = JoinPath(Home(), "generations/shop/" + generation + "/bare.txt");
    std::string bytes = *ReadFile(path);
    bytes[bytes.size() / 2] ^= 1;
    ASSERT_TRUE(WriteFileAtomic(path, bytes).ok());
  }

  TempDir folder_ = *TempDir::Make();
  std::unique_ptr<NodeState> state_;
};

const SmallPackage kV1{.id = "v1"};
const SmallPackage kV2{.id = "v2", .answer = 0.5, .expected = 0.5};
const SmallPackage kV3{.id = "v3", .answer = 0.75, .expected = 0.75};
const SmallPackage kBad{.id = "bad", .answer = 0.5, .expected = 0.125};

TEST_F(NodeStateTest, AFreshHomeIsReadyAndServesNothing) {
  EXPECT_TRUE(state_->Services().empty());
  std::string reason;
  EXPECT_TRUE(state_->Ready(&reason));
  EXPECT_EQ(reason, "");
  for (const char* name : {"import", "spool", "generations"}) {
    struct stat info{};
    ASSERT_EQ(::stat(JoinPath(Home(), name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777, 0700u) << name;
  }
  EXPECT_TRUE(PathExists(JoinPath(Home(), "desired.json")));
}

TEST_F(NodeStateTest, TwoNodesCannotShareAHome) {
  EXPECT_FAILS(kUnavailable, NodeState::Open(Home(), nullptr), "another node");
  state_.reset();
  Open();
}

TEST_F(NodeStateTest, AnImportedGenerationTakesTrafficOnlyAfterASwitch) {
  ASSERT_STATUS(state_->CreateService("shop", {}));
  EXPECT_FAILS(kConflict, state_->CreateService("shop", {}), "already");
  Import(kV1);
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "disabled");
  EXPECT_EQ(Info("v1").status, "imported");
  EXPECT_FAILS(kConflict, state_->SetEnabled("shop", true, {}), "switch");
  const Result<std::string> newest = state_->SwitchToNewest("shop", {});
  ASSERT_TRUE(newest.ok()) << newest.error().message;
  EXPECT_EQ(*newest, "v1");
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v1=1");
  EXPECT_EQ(Info("v1").status, "loaded");
  EXPECT_TRUE(state_->Service("shop")->serving);
  Import(kV2);
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v1=1");
  ASSERT_STATUS(state_->SetMapping("shop", {{"v1", 0.75}, {"v2", 0.25}}, {}));
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v1=0.75 v2=0.25");
  ASSERT_STATUS(state_->SetMapping("shop", {{"v1", 0}, {"v2", 1}}, {}));
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v2=1 v1=0");
  // Back, and the other one goes.
  ASSERT_STATUS(state_->SetMapping("shop", {{"v1", 1}}, {}));
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v1=1");
  EXPECT_FALSE(Info("v2").loaded);
}

TEST_F(NodeStateTest, MappingsThatMakeNoSense) {
  Import(kV1);
  Import(kV2);
  EXPECT_FAILS(kInvalidArgument, state_->SetMapping("shop", {}, {}), "entries");
  EXPECT_FAILS(kInvalidArgument, state_->SetMapping("shop", {{"v1", 0.5}}, {}), "0.5");
  EXPECT_FAILS(kInvalidArgument, state_->SetMapping("shop", {{"v1", 0.5}, {"v1", 0.5}}, {}),
               "twice");
  EXPECT_FAILS(kInvalidArgument, state_->SetMapping("shop", {{"v1", 1.5}, {"v2", -0.5}}, {}),
               "1.5");
  EXPECT_FAILS(kNotFound, state_->SetMapping("shop", {{"v9", 1}}, {}), "v1");
  EXPECT_FAILS(kNotFound, state_->SetMapping("shpo", {{"v1", 1}}, {}), "shop");
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "disabled");
}

TEST_F(NodeStateTest, ABadGenerationNeverTakesTrafficAndSaysWhichQueryFailed) {
  Import(kV1);
  ASSERT_TRUE(state_->SwitchToNewest("shop", {}).ok());
  Import(kBad);
  const std::string before = *ReadFile(JoinPath(Home(), "desired.json"));
  EXPECT_FAILS(kCorruption, state_->SwitchToNewest("shop", {}), "'small' of endpoint 'bare'");
  EXPECT_FAILS(kCorruption, state_->SetMapping("shop", {{"v1", 0.5}, {"bad", 0.5}}, {}), "0.125");
  EXPECT_FAILS(kCorruption, state_->Preload("shop", "bad", {}), "0.125");
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v1=1");
  EXPECT_EQ(*ReadFile(JoinPath(Home(), "desired.json")), before);
  EXPECT_EQ(Info("bad").status, "failed");
  EXPECT_NE(Info("bad").error.find("small"), std::string::npos);
  const Result<std::vector<TestOutcome>> outcomes = state_->Test("shop", "bad");
  ASSERT_TRUE(outcomes.ok()) << outcomes.error().message;
  ASSERT_EQ(outcomes->size(), 1u);
  EXPECT_FALSE(outcomes->front().ok);
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v1=1");
}

TEST_F(NodeStateTest, APreloadedGenerationAnswersOnlyWhenForcedAlsoAfterARestart) {
  Import(kV1);
  Import(kV2);
  ASSERT_STATUS(state_->SetMapping("shop", {{"v1", 1}}, {}));
  ASSERT_STATUS(state_->Preload("shop", "v2", {}));
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v1=1 v2=0");
  Open();
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v1=1 v2=0");
  const auto table = state_->tables().Get();
  const ServedService* served = table->Find("shop");
  for (const double random : {0.0, 0.5, 0.999999})
    EXPECT_EQ(served->Choose({}, random)->generation->id(), "v1");
  EXPECT_EQ(served->Choose({.forced_generation = "v2", .key = {}}, 0)->generation->id(), "v2");
  EXPECT_EQ(served->Choose({.forced_generation = "v9", .key = {}}, 0), nullptr);
  ASSERT_STATUS(state_->Unload("shop", "v2", {}));
  ASSERT_STATUS(state_->Unload("shop", "v2", {}));
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v1=1");
  EXPECT_FAILS(kConflict, state_->Unload("shop", "v1", {}), "mapping");
  EXPECT_FAILS(kNotFound, state_->Unload("shop", "v9", {}), "v9");
}

TEST_F(NodeStateTest, TheSamePackageAgainIsNoErrorAnotherOfItsNameIs) {
  Import(kV1);
  Import(kV1);
  EXPECT_EQ(Folders(), (std::vector<std::string>{"v1"}));
  EXPECT_FAILS(kConflict,
               state_->Import("shop", Package({.id = "v1", .answer = 9, .expected = 9}), true, {}),
               "another generation");
  EXPECT_EQ(state_->Service("shop")->generations.size(), 1u);
}

TEST_F(NodeStateTest, ADamagedPackageLeavesNothingBehind) {
  Import(kV1);
  std::string bytes = *ReadFile(Package(kV2));
  for (const size_t at : {bytes.size() / 3, bytes.size() / 2, bytes.size() - 30}) {
    std::string broken = bytes;
    broken[at] ^= 1;
    ASSERT_TRUE(WriteFileAtomic(folder_.File("broken.zip"), broken).ok());
    EXPECT_FALSE(state_->Import("shop", folder_.File("broken.zip"), true, {}).ok()) << at;
  }
  ASSERT_TRUE(WriteFileAtomic(folder_.File("broken.zip"), bytes.substr(0, bytes.size() / 2)).ok());
  EXPECT_FALSE(state_->Import("shop", folder_.File("broken.zip"), true, {}).ok());
  EXPECT_EQ(Folders(), (std::vector<std::string>{"v1"}));
  EXPECT_EQ(Folders(""), (std::vector<std::string>{"shop"}));
}

TEST_F(NodeStateTest, ImportsReadTheImportFolderOnly) {
  const std::string import = JoinPath(Home(), "import");
  const std::string package = Package(kV1);
  ASSERT_EQ(::symlink(package.c_str(), JoinPath(import, "link.zip").c_str()), 0);
  ASSERT_EQ(::symlink(folder_.path().c_str(), JoinPath(import, "out").c_str()), 0);
  ASSERT_EQ(::mkfifo(JoinPath(import, "fifo.zip").c_str(), 0600), 0);
  const std::string name = BaseName(package);
  for (const std::string& path :
       {package, std::string("/etc/passwd"), "../../" + name, JoinPath(import, "../../" + name),
        std::string("link.zip"), "out/" + name, JoinPath(import, "link.zip"), import + "-x/a.zip"})
    EXPECT_FAILS(kPermissionDenied, state_->Import("shop", path, false, {}), "import");
  EXPECT_FAILS(kInvalidArgument, state_->Import("shop", "fifo.zip", false, {}), "not a file");
  EXPECT_FAILS(kInvalidArgument, state_->Import("shop", "", false, {}), "filePath");
  EXPECT_FAILS(kNotFound, state_->Import("shop", "none.zip", false, {}), "none.zip");
  EXPECT_TRUE(state_->Services().empty());

  ASSERT_TRUE(WriteFileAtomic(JoinPath(import, "good.zip"), *ReadFile(package)).ok());
  ASSERT_TRUE(MakeDirs(JoinPath(import, "deep/er")).ok());
  ASSERT_TRUE(WriteFileAtomic(JoinPath(import, "deep/er/v2.zip"), *ReadFile(Package(kV2))).ok());
  EXPECT_TRUE(state_->Import("shop", "good.zip", false, {}).ok());
  EXPECT_TRUE(state_->Import("shop", JoinPath(import, "good.zip"), false, {}).ok());
  EXPECT_TRUE(state_->Import("shop", "deep/../deep/er/v2.zip", false, {}).ok());
  ASSERT_TRUE(WriteFileAtomic(JoinPath(import, "no.zip"), "no zip at all").ok());
  EXPECT_FAILS(kCorruption, state_->Import("shop", "no.zip", false, {}), "");
  const Result<std::string> shown = state_->Import("shop", "no.zip", false, {});
  EXPECT_EQ(shown.error().message.find("/proc/"), std::string::npos) << shown.error().message;
  EXPECT_NE(shown.error().message.find("package 'no.zip'"), std::string::npos)
      << shown.error().message;
}

TEST_F(NodeStateTest, ANodeComesBackAsItWas) {
  Import(kV1);
  Import(kV2);
  Import({.id = "v1", .service = "other"});
  ASSERT_STATUS(state_->SetMapping("shop", {{"v1", 0.25}, {"v2", 0.75}}, 7));
  ASSERT_STATUS(state_->SetMapping("other", {{"v1", 1}}, 8));
  ASSERT_STATUS(state_->SetEnabled("other", false, {}));
  ServiceSettings settings;
  settings.auth = "api_keys";
  settings.redact = {"name"};
  settings.deadline_ms = 12.5;
  settings.endpoints["sold"].rate_per_key = 2.5;
  settings.endpoints["sold"].max_concurrent = 0;
  ASSERT_STATUS(state_->SetSettings("shop", settings, {}));
  const std::string before = *ReadFile(JoinPath(Home(), "desired.json"));
  Open();
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v1=0.25 v2=0.75");
  EXPECT_EQ(PublishedMapping(*state_, "other"), "disabled");
  EXPECT_EQ(state_->epoch(), 8);
  EXPECT_EQ(ServiceSettingsToJson(state_->Service("shop")->settings),
            ServiceSettingsToJson(settings));
  EXPECT_EQ(*ReadFile(JoinPath(Home(), "desired.json")), before);
  ASSERT_STATUS(state_->SetEnabled("other", true, {}));
  EXPECT_EQ(PublishedMapping(*state_, "other"), "v1=1");
  std::string reason;
  EXPECT_TRUE(state_->Ready(&reason)) << reason;
}

TEST_F(NodeStateTest, ADamagedGenerationStopsItsServiceNotTheNode) {
  Import(kV1);
  Import({.id = "v1", .service = "other"});
  ASSERT_TRUE(state_->SwitchToNewest("shop", {}).ok());
  ASSERT_TRUE(state_->SwitchToNewest("other", {}).ok());
  state_.reset();
  Damage("v1");
  Open();
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "");
  EXPECT_EQ(PublishedMapping(*state_, "other"), "v1=1");
  EXPECT_FALSE(state_->Service("shop")->serving);
  EXPECT_NE(state_->Service("shop")->reason.find("bare.txt"), std::string::npos)
      << state_->Service("shop")->reason;
  std::string reason;
  EXPECT_FALSE(state_->Ready(&reason));
  EXPECT_NE(reason.find("'shop'"), std::string::npos);
  EXPECT_EQ(reason.find("'other'"), std::string::npos);
  // The same package repairs it, and it serves again.
  Import(kV1);
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v1=1");
  EXPECT_TRUE(state_->Ready(&reason)) << reason;
  Open();
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v1=1");
}

TEST_F(NodeStateTest, OneOfTwoMappedGenerationsIsBetterThanNone) {
  Import(kV1);
  Import(kV2);
  ASSERT_STATUS(state_->SetMapping("shop", {{"v1", 0.9}, {"v2", 0.1}}, {}));
  state_.reset();
  Damage("v2");
  Open();
  EXPECT_FALSE(state_->Service("shop")->serving);
  const auto table = state_->tables().Get();
  for (const double random : {0.0, 0.95, 0.999999}) {
    const ServedGeneration* chosen = table->Find("shop")->Choose({}, random);
    ASSERT_NE(chosen, nullptr);
    EXPECT_EQ(chosen->generation->id(), "v1");
  }
}

TEST_F(NodeStateTest, AnotherPackageUnderTheSameNameIsNotLoaded) {
  Import(kV1);
  ASSERT_TRUE(state_->SwitchToNewest("shop", {}).ok());
  state_.reset();
  const std::string folder = JoinPath(Home(), "generations/shop/v1");
  ASSERT_TRUE(RemoveAll(folder).ok());
  ASSERT_TRUE(UnpackPackage(Package({.id = "v1", .answer = 7, .expected = 7}), folder).ok());
  Open();
  EXPECT_NE(state_->Service("shop")->reason.find("not what was imported"), std::string::npos)
      << state_->Service("shop")->reason;
  state_.reset();
  ASSERT_TRUE(RemoveAll(folder).ok());
  Open();
  EXPECT_NE(state_->Service("shop")->reason.find("gone"), std::string::npos);
}

TEST_F(NodeStateTest, AnEpochNeverGoesBack) {
  ASSERT_STATUS(state_->CreateService("shop", 5));
  EXPECT_EQ(state_->epoch(), 5);
  EXPECT_FAILS(kConflict, state_->DeleteService("shop", 4), "epoch 4");
  ASSERT_STATUS(state_->SetSettings("shop", {}, 5));
  ASSERT_STATUS(state_->SetSettings("shop", {}, {}));
  // Also of a change that fails: whoever sent it is the newest.
  EXPECT_FAILS(kNotFound, state_->SetMapping("shop", {{"v1", 1}}, 9), "v1");
  EXPECT_EQ(state_->epoch(), 9);
  Open();
  EXPECT_EQ(state_->epoch(), 9);
  EXPECT_FAILS(kConflict, state_->SwitchToNewest("shop", 8), "epoch 8");
  EXPECT_FAILS(kConflict, state_->Import("shop", Package(kV1), true, 8), "epoch 8");
  EXPECT_FAILS(kConflict, state_->CleanUnused(8), "epoch 8");
}

// Called in the middle of a switch of "shop", once its generation is loaded.
std::function<void()> g_meanwhile;
void RunMeanwhile(const char* step) {
  if (std::string_view(step) != "tested" || !g_meanwhile) return;
  const std::function<void()> run = std::exchange(g_meanwhile, nullptr);
  run();
}

TEST_F(NodeStateTest, SlowWorkHoldsUpNeitherReadersNorOtherServicesAndANewerDeployerWins) {
  Import(kV1);
  Import({.id = "v1", .service = "other"});
  g_node_step = RunMeanwhile;
  bool ran = false;
  g_meanwhile = [&] {
    EXPECT_EQ(state_->Services().size(), 2u);
    EXPECT_TRUE(state_->SwitchToNewest("other", 20).ok());
    EXPECT_EQ(PublishedMapping(*state_, "other"), "v1=1");
    ran = true;
  };
  EXPECT_FAILS(kConflict, state_->SwitchToNewest("shop", 10), "epoch 10");
  g_node_step = nullptr;
  EXPECT_TRUE(ran);
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "disabled");
  while (state_->memory().freed == 0) ::usleep(1000);
  EXPECT_EQ(state_->memory().generations, 1);
  EXPECT_TRUE(state_->SwitchToNewest("shop", 20).ok());
}

TEST_F(NodeStateTest, WhatHasTrafficIsNotDeleted) {
  for (const SmallPackage& package : {kV1, kV2, kV3}) Import(package);
  ASSERT_STATUS(state_->SetMapping("shop", {{"v1", 0.5}, {"v2", 0.5}}, {}));
  EXPECT_FAILS(kConflict, state_->DeleteGeneration("shop", "v2", {}), "mapping");
  EXPECT_FAILS(kNotFound, state_->DeleteGeneration("shop", "v9", {}), "v9");
  ServiceSettings settings;
  settings.shadow = "v3";
  ASSERT_STATUS(state_->SetSettings("shop", settings, {}));
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v1=0.5 v2=0.5 v3=0");
  EXPECT_FAILS(kConflict, state_->DeleteGeneration("shop", "v3", {}), "shadow");
  settings.shadow = "v9";
  EXPECT_FAILS(kNotFound, state_->SetSettings("shop", settings, {}), "v9");
  ASSERT_STATUS(state_->SetSettings("shop", {}, {}));
  ASSERT_STATUS(state_->DeleteGeneration("shop", "v3", {}));
  EXPECT_EQ(Folders(), (std::vector<std::string>{"v1", "v2"}));
  ASSERT_STATUS(state_->DeleteService("shop", {}));
  EXPECT_EQ(Folders(""), std::vector<std::string>());
  EXPECT_FAILS(kNotFound, state_->Service("shop"), "shop");
}

TEST_F(NodeStateTest, CleaningKeepsWhatIsMappedAndTheNewest) {
  for (const SmallPackage& package : {kV1, kV2, kV3, kBad}) Import(package);
  ASSERT_STATUS(state_->SetMapping("shop", {{"v2", 1}}, {}));
  const Result<std::vector<std::string>> removed = state_->CleanUnused({});
  ASSERT_TRUE(removed.ok());
  EXPECT_EQ(*removed, (std::vector<std::string>{"shop/v1", "shop/v3"}));
  EXPECT_EQ(Folders(), (std::vector<std::string>{"bad", "v2"}));
}

TEST_F(NodeStateTest, AGenerationLivesAsLongAsARequestOnIt) {
  Import(kV1);
  Import(kV2);
  ASSERT_STATUS(state_->SetMapping("shop", {{"v1", 1}}, {}));
  EXPECT_EQ(state_->memory().generations, 1);
  EXPECT_GT(state_->memory().bytes, 0);
  auto request = state_->tables().Get()->Find("shop")->Choose({}, 0)->generation;
  ASSERT_STATUS(state_->SetMapping("shop", {{"v2", 1}}, {}));
  ASSERT_STATUS(state_->DeleteGeneration("shop", "v1", {}));
  EXPECT_EQ(state_->memory().generations, 2);
  EXPECT_TRUE(request->RunTestQueries().front().ok);
  std::weak_ptr<const Generation> watched = request;
  request.reset();
  EXPECT_TRUE(watched.expired());
  while (state_->memory().freed == 0) ::usleep(1000);
  EXPECT_EQ(state_->memory().generations, 1);
  // Disabled, nothing is kept.
  ASSERT_STATUS(state_->SetEnabled("shop", false, {}));
  while (state_->memory().freed == 1) ::usleep(1000);
  EXPECT_EQ(state_->memory().bytes, 0);
}

TEST_F(NodeStateTest, WhatCannotBeWrittenDoesNotHappen) {
  Import(kV1);
  Import(kV2);
  ASSERT_STATUS(state_->SetMapping("shop", {{"v1", 1}}, {}));
  // A folder in the document's place: the write fails at its last step.
  const std::string desired = JoinPath(Home(), "desired.json");
  const std::string content = *ReadFile(desired);
  ASSERT_TRUE(RemoveAll(desired).ok());
  ASSERT_TRUE(MakeDirs(JoinPath(desired, "in the way")).ok());
  EXPECT_FALSE(state_->SetMapping("shop", {{"v2", 1}}, {}).ok());
  EXPECT_FALSE(state_->Import("shop", Package(kV3), true, {}).ok());
  EXPECT_FALSE(state_->DeleteGeneration("shop", "v2", {}).ok());
  EXPECT_FALSE(state_->SetEnabled("shop", false, {}).ok());
  EXPECT_EQ(PublishedMapping(*state_, "shop"), "v1=1");
  EXPECT_EQ(Folders(), (std::vector<std::string>{"v1", "v2"}));
  EXPECT_EQ(state_->Service("shop")->generations.size(), 2u);
  ASSERT_TRUE(RemoveAll(desired).ok());
  ASSERT_TRUE(WriteFileAtomic(desired, content).ok());
  ASSERT_STATUS(state_->SetMapping("shop", {{"v2", 1}}, {}));
}

TEST_F(NodeStateTest, ADocumentThatIsNotOursIsNotGuessedAt) {
  Import(kV1);
  state_.reset();
  const std::string desired = JoinPath(Home(), "desired.json");
  const std::string content = *ReadFile(desired);
  Json newer = *ParseJson(content);
  newer["format"] = 2;
  Json unknown = *ParseJson(content);
  unknown["services"]["shop"]["color"] = "red";
  for (const std::string& bytes : {std::string("{"), std::string(), content.substr(0, 50),
                                   DumpJson(newer), DumpJson(unknown)}) {
    ASSERT_TRUE(WriteFileAtomic(desired, bytes).ok());
    EXPECT_FAILS(kCorruption, NodeState::Open(Home(), nullptr), "desired.json");
  }
  ASSERT_TRUE(RemoveAll(desired).ok());
  EXPECT_FAILS(kCorruption, NodeState::Open(Home(), nullptr), "gone");
  ASSERT_TRUE(WriteFileAtomic(desired, content).ok());
  Open();
  EXPECT_EQ(Folders(), (std::vector<std::string>{"v1"}));
}

TEST_F(NodeStateTest, SettingsAreStrict) {
  EXPECT_TRUE(ServiceSettingsFromJson(Json::object()).ok());
  EXPECT_TRUE(ServiceSettingsFromJson(ServiceSettingsToJson({})).ok());
  EXPECT_FAILS(kInvalidArgument, ServiceSettingsFromJson({{"atuh", "public"}}), "auth");
  EXPECT_FAILS(kInvalidArgument, ServiceSettingsFromJson({{"auth", "open"}}), "api_keys");
  EXPECT_FAILS(kInvalidArgument, ServiceSettingsFromJson({{"log_sample", 1.5}}), "log_sample");
  EXPECT_FAILS(kInvalidArgument, ServiceSettingsFromJson({{"max_concurrent", -1}}), "-1");
  EXPECT_FAILS(kInvalidArgument, ServiceSettingsFromJson({{"redact", "name"}}), "redact");
  EXPECT_FAILS(kInvalidArgument, ServiceSettingsFromJson(Json::array()), "object");
}

// Every change of the settings was refused, for the mapping had made the named shadow the answer.
TEST_F(NodeStateTest, APromotedShadowIsInNobodysWay) {
  Import(kV1);
  Import(kV2);
  ASSERT_STATUS(state_->SetMapping("shop", {{"v1", 1}}, {}));
  ServiceSettings settings;
  settings.shadow = "v2";
  ASSERT_STATUS(state_->SetSettings("shop", settings, {}));
  ASSERT_STATUS(state_->SetMapping("shop", {{"v2", 1}}, {}));
  settings.auth = "api_keys";
  ASSERT_STATUS(state_->SetSettings("shop", settings, {}));
  settings.shadow = "v1";
  ASSERT_STATUS(state_->SetSettings("shop", settings, {}));
  settings.shadow = "v2";
  EXPECT_FAILS(kConflict, state_->SetSettings("shop", settings, {}), "all the traffic");
}

TEST_F(NodeStateTest, NamesAreNames) {
  for (const std::string& id : {std::string(), std::string(".."), std::string("a/b"),
                                std::string(".hidden"), std::string("a b"), std::string(129, 'x')})
    EXPECT_FAILS(kInvalidArgument, state_->CreateService(id, {}), "id");
}

}  // namespace
}  // namespace slipway
