// What must hold when the power goes at any moment: every change that was answered is there,
// nothing is half. SLIPWAY_POWER_LOSSES (default 50) losses of a home at work; the seeds are fixed.
#include <cstdlib>
#include <fstream>
#include <optional>
#include <random>
#include <set>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lossy_disk.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slipway/base/file.h"
#include "slipway/registry/backup.h"
#include "slipway/registry/registry.h"

namespace slipway {
namespace {

int Losses() {
  const char* asked = std::getenv("SLIPWAY_POWER_LOSSES");
  return asked != nullptr ? std::atoi(asked) : 50;
}

// What the worker was told was done, and what it had begun when the power went.
struct Told {
  int64_t version = 0, active = 0, data = 0, revision = 0, job = 0;
  int64_t activating = 0;  // begun
};

std::string Bytes(std::mt19937& random) {
  return std::string(100 + random() % 9000, static_cast<char>('a' + random() % 26)) +
         std::to_string(random());
}

// Changes of every kind, one after the other, until the power goes. Each is told once it is
// answered.
int Work(const std::string& home, uint32_t seed, int out) {
  std::mt19937 random(seed);
  auto opened = Registry::OpenForWriting(home, "worker");
  if (!opened.ok()) return 50;
  Registry& registry = **opened;
  Told told;
  const auto tell = [&] { return ::write(out, &told, sizeof told) == ssize_t{sizeof told}; };
  for (;;) {
    NewJob plan;
    plan.project = "p";
    auto job = registry.jobs().Create(plan);
    if (!job.ok() || !registry.jobs().Start(job->id).ok()) return 51;
    told.job = std::atoll(job->id.c_str() + 4);
    if (!tell()) return 60;
    NewVersion version;
    version.bundle_path = JoinPath(job->work_folder, "bundle");
    version.move_files = random() % 2 == 0;
    version.activate = false;  // but the first one, which is always active
    std::ofstream(version.bundle_path) << Bytes(random);
    auto added = registry.models().AddVersion("p", "m", version);
    if (!added.ok()) return 52;
    told.version = added->number;
    if (told.active == 0) told.active = registry.models().Get("p", "m")->active;
    if (!tell()) return 60;
    const int64_t target =
        1 + static_cast<int64_t>(random() % static_cast<uint64_t>(added->number));
    told.activating = target;
    if (!tell() || !registry.models().Activate("p", "m", target, "w", "").ok()) return 53;
    told.active = target;
    told.activating = 0;
    if (!tell()) return 60;
    NewDatasetData data;
    data.path = JoinPath(job->work_folder, "out.parquet");
    const std::string content = Bytes(random);
    std::ofstream(data.path) << content;
    data.rows = static_cast<int64_t>(content.size());
    auto published = registry.datasets().Publish("p", "d", data);
    if (!published.ok()) return 54;
    told.data = published->version;
    if (!tell()) return 60;
    auto put = registry.projects().Put("p", "{\"n\": \"" + Bytes(random) + "\"}", "w");
    if (!put.ok()) return 55;
    told.revision = put->revision;
    if (!tell() || !registry.jobs().Finish(job->id, JobStatus::kDone).ok()) return 56;
    if (random() % 4 == 0 && !registry.CollectGarbage(0).ok()) return 57;
  }
}

// In a child, until the power goes; nullopt: it ended otherwise.
std::optional<Told> WorkUntilPowerLoss(const PowerLoss& plan, const Told& before) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  const pid_t child = ::fork();
  if (child == 0) {
    BeginPowerLoss(plan);
    ::_exit(Work(plan.root, static_cast<uint32_t>(plan.seed), ends[1]));
  }
  ::close(ends[1]);
  Told told = before, now;
  while (::read(ends[0], &now, sizeof now) == ssize_t{sizeof now}) {
    const auto keep = [](int64_t* kept, int64_t told_now) {
      *kept = told_now != 0 ? told_now : *kept;
    };
    keep(&told.version, now.version);
    keep(&told.active, now.active);
    keep(&told.data, now.data);
    keep(&told.revision, now.revision);
    keep(&told.job, now.job);
    told.activating = now.activating;
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != kPowerLost) {
    ADD_FAILURE() << "the worker ended with " << WEXITSTATUS(status);
    return std::nullopt;
  }
  return told;
}

// "" when the home is as it must be.
std::string Check(const std::string& home, const Told& told) {
  auto opened = Registry::OpenForWriting(home, "check");
  if (!opened.ok()) return "it does not open: " + opened.error().message;
  Registry& registry = **opened;
  if (auto marked = registry.jobs().MarkInterruptedJobs(); !marked.ok())
    return marked.error().message;
  const auto findings = registry.CheckIntegrity(true);
  if (!findings.ok()) return findings.error().message;
  for (const Finding& finding : *findings) {
    if (finding.error) return finding.message;
  }
  if (told.job != 0 && !registry.jobs().Get(std::to_string(told.job)).ok()) return "a job is lost";
  if (registry.projects().Get("p")->revision < told.revision) return "a project's change is lost";
  if (told.version != 0) {
    auto model = registry.models().Get("p", "m");
    if (!model.ok()) return "the model is lost";
    std::set<int64_t> numbers;
    for (const VersionRecord& version : *registry.models().Versions("p", "m"))
      numbers.insert(version.number);
    for (int64_t number = 1; number <= told.version; ++number) {
      if (!numbers.contains(number)) return "version " + std::to_string(number) + " is lost";
    }
    if (model->active != told.active && model->active != told.activating)
      return "version " + std::to_string(model->active) + " is active instead of " +
             std::to_string(told.active);
  }
  if (told.data == 0) return "";
  const auto data = *registry.datasets().Find("p", "d");
  if (!data || data->version < told.data) return "a dataset's data is lost";
  auto content = ReadFile(data->path);
  if (!content.ok() || static_cast<int64_t>(content->size()) != data->rows) return "half a dataset";
  if (content->find('\0') != std::string::npos) return "a dataset's data has holes";
  if (!registry.CollectGarbage(0).ok() || !registry.CheckIntegrity(true)->empty())
    return "leftovers stay";
  return "";
}

// Losses of one home after the other, ten in a row for each, until one is not survived; its number
// and reason, or nullopt.
std::optional<std::string> Survive(int losses, uint64_t seed,
                                   const std::function<bool(const std::string&)>& ignored) {
  std::mt19937 random(static_cast<uint32_t>(seed));
  std::optional<TempDir> dir;
  std::string home;
  Told told;
  for (int loss = 0; loss < losses; ++loss) {
    if (loss % 10 == 0) {
      dir = *TempDir::Make();
      home = dir->File("home-0");
      told = {};
      if (!InitHome(home).ok()) return "no home";
      auto registry = *Registry::OpenForWriting(home, "set-up");
      if (!registry->projects().Put("p", "{}", "w").ok()) return "no project";
      told.revision = 1;
    }
    PowerLoss plan;
    plan.root = home;
    plan.image = dir->File("home-" + std::to_string(loss + 1));
    plan.after = 1 + static_cast<int64_t>(random() % 600);
    plan.seed = seed * 100'000 + static_cast<uint64_t>(loss);
    plan.ignored_sync = ignored;
    const auto now = WorkUntilPowerLoss(plan, told);
    if (!now) return "the worker failed before loss " + std::to_string(loss);
    told = *now;
    if (const std::string wrong = Check(plan.image, told); !wrong.empty())
      return "loss " + std::to_string(loss) + ": " + wrong;
    // What was begun was done, or not: from here on it is what was found.
    if (told.version != 0) {
      auto registry = *Registry::OpenForReading(plan.image);
      told.active = registry->models().Get("p", "m")->active;
      told.activating = 0;
    }
    (void)RemoveAll(home).ok();
    home = plan.image;
  }
  return std::nullopt;
}

TEST(PowerLossTest, WhatWasAnsweredIsThereAndNothingIsHalf) {
  const auto wrong = Survive(Losses(), 1, {});
  EXPECT_FALSE(wrong.has_value()) << *wrong;
}

// Each sync that the design names is needed: without it the same test fails.
struct Missing {
  const char* name;
  bool (*ignored)(const std::string& path);
};
class ASyncLess : public testing::TestWithParam<Missing> {};

bool EndsWith(const std::string& path, std::string_view end) { return path.ends_with(end); }
bool Has(const std::string& path, std::string_view part) {
  return path.find(part) != std::string::npos;
}

constexpr Missing kMissing[] = {
    {"TheDatabase", [](const std::string& p) { return EndsWith(p, "/registry.db"); }},
    {"ItsJournal", [](const std::string& p) { return EndsWith(p, "/registry.db-journal"); }},
    {"TheJournalsFolder", [](const std::string& p) { return Has(BaseName(p), "home-"); }},
    {"Blobs", [](const std::string& p) { return Has(p, "/blobs/sha256/.tmp-"); }},
    {"BlobsFolders",
     [](const std::string& p) {
       return BaseName(DirName(p)) == "sha256" && BaseName(p).size() == 2;
     }},
    {"DataFiles", [](const std::string& p) { return EndsWith(p, ".parquet"); }},
    {"DataFolders", [](const std::string& p) { return EndsWith(p, "/data/p/d"); }}};

TEST_P(ASyncLess, IsNoticed) {
  const auto wrong = Survive(300, 2, GetParam().ignored);
  ASSERT_TRUE(wrong.has_value())
      << "300 losses without this sync were survived: the test would not notice";
  EXPECT_THAT(*wrong, testing::Not(testing::HasSubstr("the worker failed")));
}
INSTANTIATE_TEST_SUITE_P(Each, ASyncLess, testing::ValuesIn(kMissing),
                         [](const auto& one) { return std::string(one.param.name); });

// The power goes at each change of `work` in turn; `check` sees what was left and whether `work`
// had ended.
void AtEachChange(const std::function<void(const std::string& root)>& prepare,
                  const std::function<int(const std::string& root)>& work,
                  const std::function<std::string(const std::string& image, bool ended)>& check) {
  bool ended = false;
  for (int64_t after = 0; !ended && after < 5000; ++after) {
    for (uint64_t seed = 0; seed < (Losses() < 1000 ? 1u : 5u); ++seed) {
      const TempDir dir = *TempDir::Make();
      PowerLoss plan{dir.File("root"),
                     dir.File("image"),
                     after,
                     seed * 1000 + static_cast<uint64_t>(after),
                     {}};
      ASSERT_TRUE(MakeDirs(plan.root).ok());
      prepare(plan.root);
      const pid_t child = ::fork();
      if (child == 0) {
        BeginPowerLoss(plan);
        if (work(plan.root) != 0) ::_exit(50);
        std::ofstream(dir.File("ended")) << "x";
        LosePowerNow();
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      ASSERT_EQ(WEXITSTATUS(status), kPowerLost) << "after " << after;
      ended = PathExists(dir.File("ended"));
      EXPECT_EQ(check(plan.image, ended), "") << "after " << after << " changes, seed " << seed;
    }
  }
  EXPECT_TRUE(ended);
}

TEST(PowerLossTest, AFileIsTheOldOrTheNewOne) {
  AtEachChange(
      [](const std::string& root) {
        ASSERT_TRUE(WriteFileAtomic(root + "/f", std::string(3000, 'o')).ok());
      },
      [](const std::string& root) {
        return WriteFileAtomic(root + "/f", std::string(5000, 'n')).ok() ? 0 : 1;
      },
      [](const std::string& image, bool ended) -> std::string {
        auto text = ReadFile(image + "/f");
        if (!text.ok()) return text.error().message;
        if (*text == std::string(5000, 'n')) return "";
        return *text == std::string(3000, 'o') && !ended ? "" : "neither";
      });
}

TEST(PowerLossTest, AnInitIsCompletedByTheNextAndIsThereOnceAnswered) {
  AtEachChange([](const std::string&) {},
               [](const std::string& root) { return InitHome(root + "/home").ok() ? 0 : 1; },
               [](const std::string& image, bool ended) -> std::string {
                 const std::string home = image + "/home";
                 if (ended && !PathExists(home + "/home.json")) return "the home is gone";
                 auto again = InitHome(home);
                 if (!again.ok()) return again.error().message;
                 auto opened = Registry::OpenForWriting(home, "check");
                 if (!opened.ok()) return opened.error().message;
                 return (*opened)->CheckIntegrity(true)->empty() ? "" : "not sound";
               });
}

TEST(PowerLossTest, ABackupIsWholeOrNotThere) {
  AtEachChange(
      [](const std::string& root) {
        ASSERT_TRUE(InitHome(root + "/home").ok());
        auto registry = *Registry::OpenForWriting(root + "/home", "set-up");
        ASSERT_TRUE(registry->projects().Put("p", "{}", "w").ok());
        NewVersion version;
        version.bundle_path = root + "/bundle";
        std::ofstream(version.bundle_path) << "the bundle";
        ASSERT_TRUE(registry->models().AddVersion("p", "m", version).ok());
      },
      [](const std::string& root) {
        return CreateBackup(root + "/home", root + "/b.tar", {}).ok() ? 0 : 1;
      },
      [](const std::string& image, bool ended) -> std::string {
        if (!PathExists(image + "/b.tar")) return ended ? "the backup is gone" : "";
        auto whole = VerifyBackup(image + "/b.tar");
        return whole.ok() ? "" : whole.error().message;
      });
}

}  // namespace
}  // namespace slipway
