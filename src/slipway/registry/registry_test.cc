#include "slipway/registry/registry.h"

#include <csignal>

#include <sys/stat.h>

#include "slipway/base/hash.h"
#include "slipway/registry/sequence.h"
#include "slipway/registry/test_home.h"

namespace slipway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class RegistryTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(home_.ok);
    auto opened = Registry::OpenForWriting(home_.path, "test");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    registry_ = *std::move(opened);
    ASSERT_TRUE(registry_->projects().Put("p", R"({"models":{"fare":{},"tips":{}}})", "ann").ok());
  }
  Result<DatasetState> Publish(const std::string& content, const std::string& dataset = "d") {
    NewDatasetData data;
    data.path = home_.File("out.parquet", content);
    data.rows = 3;
    data.build.recipe = "make";
    data.build.inputs = {{"raw", "f1"}};
    data.who = "ann";
    return registry_->datasets().Publish("p", dataset, data);
  }
  TestHome home_;
  std::unique_ptr<Registry> registry_;
};

TEST(Home, InitIsRepeatableAndRefusesOtherFolders) {
  TempDir dir = *TempDir::Make();
  EXPECT_TRUE(*InitHome(dir.File("h")));
  EXPECT_FALSE(*InitHome(dir.File("h")));
  ASSERT_TRUE(MakeDirs(dir.File("full")).ok());
  std::ofstream(dir.File("full/thesis.txt")) << "mine";
  auto refused = InitHome(dir.File("full"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  // An init that was interrupted before home.json is completed by the next.
  ASSERT_EQ(::unlink(dir.File("h/home.json").c_str()), 0);
  EXPECT_TRUE(*InitHome(dir.File("h")));
}

TEST(Home, OthersDoNotReadIt) {
  const TempDir dir = *TempDir::Make();
  const auto mode = [&](const std::string& name) {
    struct stat info{};
    return ::stat(dir.File(name).c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
  };
  ASSERT_TRUE(InitHome(dir.File("h")).ok());
  EXPECT_EQ(mode("h"), 0700u);
  EXPECT_EQ(mode("h/registry.db"), 0600u);
  const auto registry = Registry::OpenForWriting(dir.File("h"), "test");
  ASSERT_TRUE(registry.ok());
  ASSERT_TRUE((*registry)->idempotency().Put("s", "k", "h", {200, ""}).ok());
  EXPECT_EQ(mode("h"), 0700u);
  for (const char* file : {"h/registry.db", "h/registry.db-wal", "h/registry.db-shm"})
    EXPECT_EQ(mode(file) & 077, 0u) << file;
  // Whoever opens their own to others has reasons.
  ASSERT_EQ(::chmod(dir.File("h").c_str(), 0750), 0);
  ASSERT_TRUE((*registry)->idempotency().Put("s", "l", "h", {200, ""}).ok());
  EXPECT_EQ(mode("h"), 0750u);
}

TEST(Home, WhatIsNoHomeOrANewerOneIsRefusedWithTheWayOut) {
  TempDir dir = *TempDir::Make();
  auto none = Registry::OpenForReading(dir.path());
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(none.error().hint, HasSubstr("slipway init"));
  ASSERT_TRUE(InitHome(dir.File("h")).ok());
  std::ofstream(dir.File("h/home.json")) << R"({"format":3,"created":"2030-01-01T00:00:00Z"})";
  auto newer = Registry::OpenForReading(dir.File("h"));
  ASSERT_FALSE(newer.ok());
  EXPECT_THAT(newer.error().message, HasSubstr("made by a newer Slipway"));
  std::ofstream(dir.File("h/home.json")) << "{";
  EXPECT_EQ(Registry::OpenForReading(dir.File("h")).error().code, ErrorCode::kCorruption);
}

TEST(Home, ANewerSchemaIsRefused) {
  const TestHome home;
  {
    auto registry = *Registry::OpenUnlocked(home.path);
    ASSERT_TRUE(
        registry->database()
            .Execute("INSERT INTO schema_history(version, name, at) VALUES (99, 'future', '')")
            .ok());
  }
  EXPECT_THAT(Registry::OpenForReading(home.path).error().message,
              HasSubstr("made by a newer Slipway"));
  EXPECT_THAT(Registry::OpenForWriting(home.path, "x").error().message,
              HasSubstr("made by a newer Slipway"));
}

TEST(Home, AHomeThatMayNotBeWrittenIsSaidAndCanBeRead) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root to become another user";
  const TestHome home;
  ASSERT_EQ(::chmod(home.dir.path().c_str(), 0755), 0);
  // As its owner may open it to others, until something is written to it again.
  ASSERT_EQ(::chmod(home.path.c_str(), 0755), 0);
  if (home.registry.empty()) {
    ASSERT_EQ(::chmod(JoinPath(home.path, "registry.db").c_str(), 0644), 0);
  }
  EXPECT_EQ(WaitForChild(StartChild([&] {
              if (::setuid(65534) != 0) return 50;
              auto writing = Registry::OpenForWriting(home.path, "x", 0);
              if (writing.ok()) return 51;
              if (writing.error().code != ErrorCode::kPermissionDenied) return 52;
              return Registry::OpenForReading(home.path).ok() ? 0 : 53;
            })),
            0);
}

TEST_F(RegistryTest, ASharedRegistryTakesSeveralWriters) {
  if (!OnPostgres()) GTEST_SKIP() << "one writer at a time with registry.db";
  auto second = Registry::OpenForWriting(home_.path, "second", 0);
  ASSERT_TRUE(second.ok()) << second.error().message;
  ASSERT_TRUE((*second)->projects().Put("q", "{}", "bob").ok());
  EXPECT_THAT(*registry_->projects().Names(), ElementsAre("p", "q"));
}

TEST_F(RegistryTest, ASecondWriterIsToldWhoHoldsTheHome) {
  if (OnPostgres()) GTEST_SKIP() << "a shared registry takes several writers";
  auto second = Registry::OpenForWriting(home_.path, "second", 0);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(second.error().message,
              HasSubstr("process " + std::to_string(::getpid()) + ": test"));
  EXPECT_TRUE(Registry::OpenForReading(home_.path).ok()) << "reading takes no lock";
  registry_.reset();
  EXPECT_TRUE(Registry::OpenForWriting(home_.path, "second", 0).ok());
  EXPECT_FALSE(PathExists(JoinPath(home_.path, "lock.info")));
}

TEST_F(RegistryTest, AReaderCannotWrite) {
  auto reader = *Registry::OpenForReading(home_.path);
  EXPECT_EQ(reader->projects().Put("q", "{}", "bob").error().code, ErrorCode::kPermissionDenied);
  EXPECT_THAT(*registry_->projects().Names(), ElementsAre("p"));
}

TEST_F(RegistryTest, ProjectsHaveRevisionsAndEtags) {
  const ProjectRecord first = *registry_->projects().Get("p");
  EXPECT_EQ(first.revision, 1);
  EXPECT_EQ(first.created_by, "ann");
  EXPECT_EQ(registry_->projects().Put("p", first.definition_json, "bob")->revision, 1)
      << "the same";
  const ProjectRecord second = *registry_->projects().Put("p", "{}", "bob", first.etag);
  EXPECT_EQ(second.revision, 2);
  EXPECT_EQ(second.created_by, "ann");
  EXPECT_EQ(second.updated_by, "bob");
  EXPECT_EQ(registry_->projects().Put("p", "{\"a\":1}", "eve", first.etag).error().code,
            ErrorCode::kConflict);
  EXPECT_EQ(registry_->projects().Put("p", "{}", "eve", "new").error().code, ErrorCode::kConflict);
  EXPECT_EQ(registry_->projects().Put("../x", "{}", "eve").error().code,
            ErrorCode::kInvalidArgument);
  ASSERT_TRUE(registry_->projects().Put("ny_taxi", "{}", "ann").ok());
  const auto typo = registry_->projects().Get("ny_taxy");
  EXPECT_EQ(typo.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(typo.error().hint, HasSubstr("ny_taxi"));
}

TEST_F(RegistryTest, SeveralChangesAreOneTransaction) {
  {
    auto transaction = registry_->Begin();
    ASSERT_TRUE(registry_->projects().Put("q", "{}", "ann").ok());
    ASSERT_TRUE(registry_->idempotency().Put("ann POST /apply", "k1", "h", {200, "answer"}).ok());
  }
  EXPECT_FALSE(*registry_->projects().Exists("q"));
  EXPECT_EQ(*registry_->idempotency().Find("ann POST /apply", "k1", "h"), std::nullopt);
}

TEST_F(RegistryTest, AnIdempotencyKeyGivesTheSameAnswerForTheSameRequestOnly) {
  Idempotency& keys = registry_->idempotency();
  ASSERT_TRUE(keys.Put("s", "k", "hash1", {201, "made"}).ok());
  const auto found = *keys.Find("s", "k", "hash1");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->status, 201);
  EXPECT_EQ(found->body, "made");
  EXPECT_EQ(keys.Find("s", "k", "hash2").error().code, ErrorCode::kConflict);
  EXPECT_FALSE(keys.Find("other", "k", "hash2")->has_value());
  EXPECT_EQ(*keys.Expire(3600), 0);
  EXPECT_EQ(*keys.Expire(0), 1);
}

TEST_F(RegistryTest, APublishedDatasetReplacesTheOldOneAndKeepsThePrevious) {
  const DatasetState one = *Publish("first");
  EXPECT_EQ(one.version, 1);
  EXPECT_EQ(one.bytes, 5);
  EXPECT_EQ(one.fingerprint.size(), 32u);
  EXPECT_EQ(one.build.inputs[0].fingerprint, "f1");
  EXPECT_FALSE(PathExists(home_.dir.File("out.parquet"))) << "moved";
  const DatasetState two = *Publish("second");
  EXPECT_NE(two.fingerprint, one.fingerprint);
  EXPECT_EQ(two.previous_path, one.path);
  EXPECT_TRUE(PathExists(one.path));
  const DatasetState three = *Publish("third");
  EXPECT_FALSE(PathExists(one.path)) << "kept until the next publish only";
  EXPECT_EQ(*ReadFile(two.path), "second");
  EXPECT_EQ(*ReadFile(three.path), "third");
  EXPECT_EQ(Publish("first")->fingerprint, one.fingerprint);
  ASSERT_TRUE(registry_->datasets().Clear("p", "d").ok());
  EXPECT_FALSE(registry_->datasets().Find("p", "d")->has_value());
  EXPECT_FALSE(PathExists(three.path));
  EXPECT_EQ(Publish("again")->version, 5) << "numbers are not used twice";
}

TEST_F(RegistryTest, AFailedPublishLeavesTheOldDataAndTheNewFile) {
  ASSERT_TRUE(Publish("first").ok());
  NewDatasetData data;
  data.path = home_.File("new.parquet", "new");
  EXPECT_EQ(registry_->datasets().Publish("nowhere", "d", data).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(*ReadFile(data.path), "new") << "back where it was";
  EXPECT_EQ(registry_->datasets().Publish("p", "../../x", data).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(*ReadFile((*registry_->datasets().Find("p", "d"))->path), "first");
}

TEST_F(RegistryTest, FilesStatesAreRemembered) {
  FilesState state;
  state.definition_hash = "h";
  state.inspection_json = "{}";
  state.fingerprint = "f";
  ASSERT_TRUE(registry_->datasets().PutFilesState("p", "trips", state).ok());
  state.rows = 12;
  ASSERT_TRUE(registry_->datasets().PutFilesState("p", "trips", state).ok());
  EXPECT_EQ((*registry_->datasets().FindFilesState("p", "trips"))->rows, 12);
  ASSERT_TRUE(registry_->datasets().ForgetFilesState("p", "trips").ok());
  EXPECT_FALSE(registry_->datasets().FindFilesState("p", "trips")->has_value());
}

TEST_F(RegistryTest, JobsAreListedNewestFirstBeforeOneAndOnWhatMayBeSeen) {
  for (const char* project : {"p", "q", "p", "r", "p"}) {
    NewJob job;
    job.project = project;
    ASSERT_TRUE(registry_->jobs().Create(job).ok());
  }
  NewJob deploys;
  deploys.project = "p";
  deploys.scope = "infra:dev";
  deploys.who = "ann";
  ASSERT_TRUE(registry_->jobs().Create(deploys).ok());
  EXPECT_EQ(registry_->jobs().Get("6")->scope, "infra:dev");
  EXPECT_EQ(*registry_->jobs().Scopes(),
            (std::vector<std::string>{"infra:dev", "project:p", "project:q", "project:r"}));
  const auto ids = [&](const JobFilter& filter, const char* before, int64_t limit) {
    std::string out;
    const auto jobs = *registry_->jobs().ListBefore(filter, before, limit);
    for (const JobRecord& job : jobs) out += job.id.back();
    return out;
  };
  using Scopes = std::set<std::string>;
  EXPECT_EQ(ids({}, "", 10), "654321");
  EXPECT_EQ(ids({}, "job-000004", 2), "32");
  EXPECT_EQ(ids({.project = "p"}, "", 2), "65");
  EXPECT_EQ(ids({.scopes = Scopes({"project:p"})}, "", 2), "53");
  EXPECT_EQ(ids({.scopes = Scopes({"project:q", "project:r"})}, "job-000004", 10), "2");
  EXPECT_EQ(ids({.scopes = Scopes({"project:q"}), .or_of = "ann"}, "", 10), "62");
  EXPECT_EQ(ids({.project = "p", .scopes = Scopes(), .or_of = "ann"}, "", 10), "6");
  EXPECT_EQ(ids({.scopes = Scopes()}, "", 10), "");
  EXPECT_EQ(ids({}, "nonsense", 10), "");
}

TEST_F(RegistryTest, JobsThatDiedAreMarkedAndTheirWorkRemoved) {
  NewJob plan;
  plan.project = "p";
  plan.targets = {"p/fare", "p/d"};
  plan.who = "ann";
  plan.activities = {{"make", "d", "queued", "the recipe changed", {}, 0, "", ""},
                     {"train", "fare", "queued", "its input changed", {}, 0, "", ""}};
  std::string dead;
  JobHandle alive = *registry_->jobs().Create(plan);
  EXPECT_EQ(alive.id, "job-000001");
  {
    JobHandle handle = *registry_->jobs().Create(plan);
    dead = handle.id;
    ASSERT_TRUE(registry_->jobs().Start(dead).ok());
    ActivityRecord running = plan.activities[0];
    running.status = "running";
    ASSERT_TRUE(registry_->jobs().PutActivity(dead, 0, running).ok());
    std::ofstream(JoinPath(handle.work_folder, "half.parquet")) << "half";
    EXPECT_TRUE(registry_->jobs().MarkInterruptedJobs()->empty()) << "its lock is held";
  }
  const auto marked = *registry_->jobs().MarkInterruptedJobs();
  ASSERT_EQ(marked.size(), 1u);
  EXPECT_EQ(marked[0].id, dead);
  EXPECT_TRUE(marked[0].interrupted);
  EXPECT_EQ(marked[0].status, JobStatus::kFailed);
  EXPECT_EQ(marked[0].activities[0].status, "failed");
  EXPECT_EQ(marked[0].activities[1].status, "aborted");
  EXPECT_EQ(marked[0].targets, plan.targets);
  EXPECT_FALSE(PathExists(registry_->home().JobWorkFolder(dead)));
  EXPECT_TRUE(PathExists(marked[0].log_path));
  EXPECT_TRUE(registry_->jobs().MarkInterruptedJobs()->empty());

  // Killed before its row was written: the folder is all there is.
  const std::string never_made = registry_->home().JobFolder("job-000003");
  ASSERT_TRUE(MakeDirs(JoinPath(never_made, "work")).ok());
  std::ofstream(JoinPath(never_made, "log.txt"));
  EXPECT_EQ(*registry_->jobs().StrayFolders(), std::vector<std::string>{never_made});
  ASSERT_TRUE(registry_->CollectGarbage(0).ok());
  EXPECT_FALSE(PathExists(never_made));
  EXPECT_TRUE(PathExists(marked[0].log_path));

  EXPECT_FALSE(registry_->jobs().AbortRequested(alive.id));
  ASSERT_TRUE(registry_->jobs().RequestAbort("1", "bob").ok());
  EXPECT_TRUE(registry_->jobs().AbortRequested(alive.id));
  ASSERT_TRUE(registry_->jobs().Finish(alive.id, JobStatus::kAborted).ok());
  EXPECT_EQ(registry_->jobs().Finish(alive.id, JobStatus::kDone).error().code,
            ErrorCode::kConflict);
  EXPECT_EQ(registry_->jobs().Get("job-77").error().code, ErrorCode::kNotFound);
  const auto all = *registry_->jobs().List("p");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].id, dead) << "newest first";

  // Each of it is in the audit log, the abort by who asked for it.
  std::vector<std::string> log;
  for (const AuditRecord& record : *registry_->audit().List({.project = "p"})) {
    EXPECT_EQ(record.how, "job");
    log.push_back(BaseName(record.path) + ": " + record.action + " by " + record.who);
  }
  EXPECT_THAT(log, testing::ElementsAre(
                       alive.id + ": job aborted by bob", dead + ": job interrupted by ann",
                       dead + ": job started by ann", alive.id + ": job started by ann"));
}

TEST_F(RegistryTest, TheIntegrityCheckFindsEachKindOfDamage) {
  const DatasetState data = *Publish("data");
  NewVersion version;
  version.bundle_path = home_.File("bundle", "the bundle");
  const VersionRecord made = *registry_->models().AddVersion("p", "fare", version);
  auto findings = *registry_->CheckIntegrity(true);
  EXPECT_TRUE(findings.empty()) << findings[0].message;

  const std::string blob = *registry_->models().BundlePath(made);
  std::ofstream(blob) << "the BUNDLE";  // same size
  EXPECT_TRUE(registry_->CheckIntegrity(false)->empty());
  EXPECT_EQ(registry_->CheckIntegrity(true)->size(), 1u);
  std::ofstream(blob) << "short";
  EXPECT_EQ(registry_->CheckIntegrity(false)->size(), 1u);
  EXPECT_EQ(registry_->models().BundlePath(made).error().code, ErrorCode::kCorruption);
  ASSERT_EQ(::unlink(data.path.c_str()), 0);
  EXPECT_EQ(registry_->CheckIntegrity(false)->size(), 2u);
  // The same content put again heals the blob.
  ASSERT_TRUE(registry_->models().AddVersion("p", "fare", version).ok());
  std::ofstream(JoinPath(DirName(data.path), "v9.parquet")) << "stray";
  findings = *registry_->CheckIntegrity(true);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_TRUE(findings[0].error);
  EXPECT_FALSE(findings[1].error);
  EXPECT_THAT(findings[1].message, HasSubstr("v9.parquet"));
}

TEST_F(RegistryTest, GarbageIsWhatNothingRefersToAndIsOld) {
  NewVersion version;
  version.bundle_path = home_.File("bundle", "one");
  ASSERT_TRUE(registry_->models().AddVersion("p", "fare", version).ok());
  version.bundle_path = home_.File("bundle", "two");
  ASSERT_TRUE(registry_->models().AddVersion("p", "fare", version).ok());
  const Blob orphan = *registry_->blobs().PutBytes("orphan");
  ASSERT_TRUE(registry_->models().DeleteVersion("p", "fare", 1, {}).ok());
  EXPECT_EQ(registry_->CollectGarbage()->blobs, 0) << "too young";
  const GarbageReport report = *registry_->CollectGarbage(0);
  EXPECT_EQ(report.blobs, 2);
  EXPECT_EQ(report.bytes, 9);
  EXPECT_FALSE(PathExists(registry_->home().BlobPath(orphan.hash)));
  EXPECT_TRUE(registry_->CheckIntegrity(true)->empty());
  EXPECT_EQ(*registry_->blobs().Read(Sha256Hex("two")), "two");
}

TEST_F(RegistryTest, ADeletedProjectLeavesNothingAndItsNumbersAreNotReused) {
  ASSERT_TRUE(Publish("data").ok());
  NewVersion version;
  version.bundle_path = home_.File("bundle", "one");
  ASSERT_TRUE(registry_->models().AddVersion("p", "fare", version).ok());
  EXPECT_EQ(registry_->projects().Delete("p", false).error().code, ErrorCode::kConflict);
  ASSERT_TRUE(registry_->projects().Delete("p", true).ok());
  EXPECT_FALSE(PathExists(registry_->home().ProjectDataFolder("p")));
  ASSERT_TRUE(registry_->projects().Put("p", "{}", "ann").ok());
  EXPECT_EQ(registry_->models().AddVersion("p", "fare", version)->number, 2);
}

TEST(BuildRecords, ReadBackAsTheyWere) {
  BuildRecord record{"train_fare", "h", R"({"type":"train"})", {{"trips", "f"}},
                     "m",          3,   "job-000001",          R"({"lightgbm":"4.7.0"})"};
  const BuildRecord back = *BuildRecordFromText(BuildRecordToText(record));
  EXPECT_EQ(back.recipe_json, record.recipe_json);
  EXPECT_EQ(back.extra_json, record.extra_json);
  EXPECT_EQ(back.model_version, 3);
  EXPECT_EQ(back.inputs[0].name, "trips");
  EXPECT_TRUE(BuildRecordFromText(BuildRecordToText({}))->recipe_json.empty());
  EXPECT_EQ(BuildRecordFromText("nonsense").error().code, ErrorCode::kCorruption);
}

}  // namespace
}  // namespace slipway
