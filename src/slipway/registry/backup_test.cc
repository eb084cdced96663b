#include "slipway/registry/backup.h"

#include "slipway/base/tar.h"
#include "slipway/registry/test_home.h"
#include "slipway/store/sqlite.h"

namespace slipway {
namespace {

using testing::HasSubstr;

class BackupTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(home_.ok);
    file_ = home_.dir.File("backup.tar");
    new_home_ = home_.dir.File("restored");
    auto opened = Registry::OpenForWriting(home_.path, "test");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    registry_ = *std::move(opened);
    ASSERT_TRUE(registry_->projects().Put("p", R"({"models":{"fare":{}}})", "ann").ok());
    AddVersion("one");
    AddVersion("two");
    Publish("the data");
    NewJob plan;
    plan.project = "p";
    plan.activities = {{"make", "d", "queued", "why", {}, 0.25, "", "{}"}};
    JobHandle job = *registry_->jobs().Create(plan);
    ASSERT_TRUE(registry_->jobs().Start(job.id).ok());
    std::ofstream(job.log_path) << "a line";
  }
  void AddVersion(const std::string& content) {
    NewVersion version;
    version.bundle_path = home_.File("bundle", content);
    version.activate = true;
    auto added = registry_->models().AddVersion("p", "fare", version);
    ASSERT_TRUE(added.ok()) << added.error().message;
  }
  void Publish(const std::string& content) {
    NewDatasetData data;
    data.path = home_.File("out.parquet", content);
    data.rows = 3;
    ASSERT_TRUE(registry_->datasets().Publish("p", "d", data).ok());
  }
  // The restored home's registry: of this binary's kind.
  static std::string NewRegistry() {
    return OnPostgres() ? PostgresServer::Shared()->NewUrl() : std::string();
  }
  void ExpectRestored(const std::string& path, bool with_data = true) {
    auto opened = Registry::OpenForWriting(path, "check");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    Registry& restored = **opened;
    EXPECT_NE(restored.home().id(), registry_->home().id());
    const auto findings = *restored.CheckIntegrity(true);
    for (const Finding& finding : findings) ADD_FAILURE() << finding.message;
    const auto versions = *restored.models().Versions("p", "fare");
    ASSERT_EQ(versions.size(), 2u);
    EXPECT_EQ(restored.models().Get("p", "fare")->active, 2);
    EXPECT_EQ(restored.models().History("p", "fare")->size(), 2u);
    std::set<std::string> bundles;
    for (const VersionRecord& version : versions)
      bundles.insert(*restored.blobs().Read(version.bundle));
    EXPECT_EQ(bundles, (std::set<std::string>{"one", "two"}));
    const auto data = *restored.datasets().Find("p", "d");
    ASSERT_EQ(data.has_value(), with_data);
    if (with_data) {
      EXPECT_EQ(*ReadFile(data->path), "the data");
    }
    const JobRecord job = *restored.jobs().Get("1");
    EXPECT_TRUE(job.interrupted) << "it ran when the backup was made";
    EXPECT_EQ(job.activities[0].seconds, 0.25);
    // Numbers go on after those that were given.
    NewVersion version;
    version.bundle_path = home_.File("bundle", "three");
    EXPECT_EQ(restored.models().AddVersion("p", "fare", version)->number, 3);
    EXPECT_EQ(restored.models().AddVersion("p", "tips", version)->number, 1);
    EXPECT_EQ(restored.jobs().Create({})->id, "job-000002");
  }
  void Flip(int64_t at) const {
    std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const char c = static_cast<char>(file.get());
    file.seekp(at);
    file.put(static_cast<char>(c ^ 0x21));
  }

  TestHome home_;
  std::string file_, new_home_;
  std::unique_ptr<Registry> registry_;
};

TEST_F(BackupTest, IsMadeBesideAWriterAndMakesTheSameHomeAgain) {
  const BackupReport made = *CreateBackup(home_.path, file_, {});
  EXPECT_EQ(made.blobs, 2);
  EXPECT_EQ(made.datasets, 1);
  EXPECT_EQ(made.logs, 0);
  AddVersion("after the backup");
  auto restored = RestoreBackup(file_, new_home_, NewRegistry());
  ASSERT_TRUE(restored.ok()) << restored.error().message;
  ExpectRestored(new_home_);
}

TEST_F(BackupTest, ARegistryMovesFromOneDatabaseToTheOther) {
  if (PostgresServer::Shared() == nullptr) GTEST_SKIP() << PostgresServer::why();
  ASSERT_TRUE(CreateBackup(home_.path, file_, {}).ok());
  const std::string other = OnPostgres() ? "" : PostgresServer::Shared()->NewUrl();
  auto restored = RestoreBackup(file_, new_home_, other);
  ASSERT_TRUE(restored.ok()) << restored.error().message;
  EXPECT_EQ(Home::Open(new_home_)->shared(), !OnPostgres());
  ExpectRestored(new_home_);
}

TEST_F(BackupTest, DataCanBeLeftOutAndLogsTakenIn) {
  const BackupReport made = *CreateBackup(home_.path, file_, {.data = false, .logs = true});
  EXPECT_EQ(made.datasets, 0);
  EXPECT_EQ(made.logs, 1);
  ASSERT_TRUE(RestoreBackup(file_, new_home_, NewRegistry()).ok());
  EXPECT_EQ(*ReadFile(Home::Open(new_home_)->JobLogPath("job-000001")), "a line");
  ExpectRestored(new_home_, false);
}

TEST_F(BackupTest, EveryDamagedByteIsFoundAndLeavesNothing) {
  ASSERT_TRUE(CreateBackup(home_.path, file_, {}).ok());
  const int64_t size = *FileSize(file_);
  const std::string whole = *ReadFile(file_);
  int64_t found = 0, tried = 0;
  // Up to the manifest: its moment and its counts are for people, its hashes are compared.
  const auto end = static_cast<int64_t>(whole.find("manifest.json"));
  ASSERT_LT(end, size);
  for (int64_t at = 0; at < end; at += 101) {
    // Between files there are zeros that say nothing.
    if (whole[static_cast<size_t>(at)] == '\0') continue;
    Flip(at);
    auto read = VerifyBackup(file_);
    ++tried;
    // Mode, owner and time in a header do not matter; its sum does.
    found += read.ok() ? 0 : 1;
    if (!read.ok()) {
      EXPECT_EQ(read.error().code, ErrorCode::kCorruption) << read.error().message;
    }
    Flip(at);
  }
  EXPECT_GT(tried, 100);
  EXPECT_EQ(found, tried);
  Flip(whole.find("one") == std::string::npos ? 600 : static_cast<int64_t>(whole.find("one")));
  EXPECT_EQ(RestoreBackup(file_, new_home_, NewRegistry()).error().code, ErrorCode::kCorruption);
  EXPECT_FALSE(PathExists(new_home_));
}

TEST_F(BackupTest, ACutOneIsRefusedWhereverItWasCut) {
  ASSERT_TRUE(CreateBackup(home_.path, file_, {}).ok());
  const std::string whole = *ReadFile(file_);
  for (size_t length = 0; length < whole.size() - 1024; length += 4096) {
    std::ofstream(file_, std::ios::binary | std::ios::trunc) << whole.substr(0, length);
    EXPECT_EQ(VerifyBackup(file_).error().code, ErrorCode::kCorruption) << length;
  }
  std::ofstream(file_, std::ios::trunc)
      << "not a backup at all, only words" << std::string(2000, 'x');
  EXPECT_EQ(VerifyBackup(file_).error().code, ErrorCode::kCorruption);
  EXPECT_EQ(VerifyBackup(home_.dir.File("none")).error().code, ErrorCode::kNotFound);
}

TEST_F(BackupTest, ADamagedOrMissingBlobOfTheHomeFailsItAndIsNamed) {
  const std::string hash = (*registry_->models().Versions("p", "fare"))[0].bundle;
  const std::string path = registry_->home().BlobPath(hash);
  const std::string content = *ReadFile(path);
  std::ofstream(path) << std::string(content.size(), 'X');
  auto damaged = CreateBackup(home_.path, file_, {});
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code, ErrorCode::kCorruption);
  EXPECT_THAT(damaged.error().message, HasSubstr(path));
  ASSERT_EQ(::unlink(path.c_str()), 0);
  auto missing = CreateBackup(home_.path, file_, {});
  EXPECT_EQ(missing.error().code, ErrorCode::kCorruption);
  EXPECT_THAT(missing.error().message, HasSubstr(path));
  EXPECT_FALSE(PathExists(file_));
  for (const std::string& name : *ListDir(home_.dir.path()))
    EXPECT_FALSE(name.starts_with("backup.tar")) << name;
}

TEST_F(BackupTest, NothingIsEverOverwritten) {
  ASSERT_TRUE(CreateBackup(home_.path, file_, {}).ok());
  EXPECT_EQ(CreateBackup(home_.path, file_, {}).error().code, ErrorCode::kConflict);
  EXPECT_EQ(RestoreBackup(file_, home_.path).error().code, ErrorCode::kConflict);
  ASSERT_TRUE(MakeDirs(new_home_).ok());
  EXPECT_TRUE(RestoreBackup(file_, new_home_, NewRegistry()).ok())
      << "an empty folder is as good as none";
  if (OnPostgres()) {
    auto taken = RestoreBackup(file_, home_.dir.File("third"), home_.registry);
    EXPECT_EQ(taken.error().code, ErrorCode::kConflict);
    EXPECT_FALSE(PathExists(home_.dir.File("third")));
  }
}

// Each snapshot is one moment: versions and bundles come and go in other processes meanwhile.
TEST_F(BackupTest, MadeWhileOthersWriteItIsOfOneMoment) {
  registry_.reset();
  const pid_t writer = StartChild([&] {
    auto registry = Registry::OpenForWriting(home_.path, "writer");
    if (!registry.ok()) return 50;
    for (int i = 0; !PathExists(home_.dir.File("stop")); ++i) {
      NewVersion version;
      version.bundle_path = home_.File("w", "content " + std::to_string(i));
      version.activate = true;
      auto added = (*registry)->models().AddVersion("p", "fare", version);
      NewDatasetData data;
      data.path = home_.File("w.parquet", "data " + std::to_string(i));
      if (!added.ok() || !(*registry)->datasets().Publish("p", "d", data).ok()) return 51;
      if (added->number > 6) {
        if (!(*registry)->models().DeleteVersion("p", "fare", added->number - 4, {}).ok())
          return 52;
        (void)(*registry)->CollectGarbage(0).ok();  // of what is young too, unlike the real one
      }
    }
    return 0;
  });
  for (int round = 0; round < 8; ++round) {
    const std::string file = home_.dir.File("b" + std::to_string(round));
    auto made = CreateBackup(home_.path, file, {});
    ASSERT_TRUE(made.ok()) << made.error().message;
    const std::string restored = home_.dir.File("r" + std::to_string(round));
    auto back = RestoreBackup(file, restored, NewRegistry());
    EXPECT_TRUE(back.ok()) << back.error().message;
  }
  std::ofstream(home_.dir.File("stop")) << "x";
  EXPECT_EQ(WaitForChild(writer), 0);
}

TEST(Tar, LongNamesReadBackAndOddOnesAreRefused) {
  TempDir dir = *TempDir::Make();
  const std::string name =
      "data/" + std::string(128, 'p') + "/" + std::string(128, 'd') + "/v1.parquet";
  {
    auto tar = *TarWriter::Create(dir.File("a.tar"));
    ASSERT_TRUE(tar->AddBytes(name, "content").ok());
    ASSERT_TRUE(tar->AddBytes("empty", "").ok());
    EXPECT_EQ(tar->AddBytes("../up", "x").error().code, ErrorCode::kInternal);
    ASSERT_TRUE(tar->Finish().ok());
  }
  std::vector<std::string> names;
  std::string content;
  ASSERT_TRUE(ReadTar(dir.File("a.tar"), {.on_entry = [](const TarEntry&) { return Status(); },
                                          .on_bytes =
                                              [&](std::string_view b) {
                                                content += b;
                                                return Status();
                                              },
                                          .on_end =
                                              [&](const TarEntry& e) {
                                                names.push_back(e.name);
                                                return Status();
                                              }})
                  .ok());
  EXPECT_THAT(names, testing::ElementsAre(name, "empty"));
  EXPECT_EQ(content, "content");
  EXPECT_EQ(::system(("tar -tf " + dir.File("a.tar") + " >/dev/null").c_str()), 0)
      << "any tar reads it";
}

}  // namespace
}  // namespace slipway
