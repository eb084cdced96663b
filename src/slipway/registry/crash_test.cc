// What must hold when several processes write at once, when one is killed, and when the disk is
// full.
#include <csignal>
#include <cstdlib>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

#include "slipway/base/clock.h"
#include "slipway/registry/registry.h"
#include "slipway/registry/test_home.h"

namespace slipway {
namespace {

constexpr int kProcesses = 4;
constexpr int kRounds = 25;

void MakeProject(const std::string& home) {
  auto registry = Registry::OpenUnlocked(home);
  ASSERT_TRUE(registry.ok());
  ASSERT_TRUE((*registry)->projects().Put("p", "{}", "ann").ok());
}

// One writer's turn: adds a version, activates one at random, deletes one at random. The added
// number goes to `out`.
int Turn(Registry& registry, const TestHome& home, std::mt19937& random, std::ostream& out) {
  NewVersion version;
  const std::string content = std::to_string(::getpid()) + " " + std::to_string(random());
  version.bundle_path = home.File("bundle-" + std::to_string(::getpid()), content);
  version.who = "process";
  version.activate = random() % 2 == 0;
  auto added = registry.models().AddVersion("p", "fare", version);
  if (!added.ok()) {
    std::fprintf(stderr, "add: %s\n", added.error().message.c_str());
    return 60;
  }
  out << added->number << "\n" << std::flush;
  auto versions = registry.models().Versions("p", "fare");
  if (!versions.ok()) return 61;
  const auto pick = [&] { return (*versions)[random() % versions->size()].number; };
  // Another process may have deleted or activated it meanwhile: those two refusals are right.
  auto activated = registry.models().Activate("p", "fare", pick(), "process", "");
  if (!activated.ok() && activated.error().code != ErrorCode::kNotFound) return 62;
  const Status deleted = registry.models().DeleteVersion("p", "fare", pick(), {});
  if (!deleted.ok() && deleted.error().code != ErrorCode::kNotFound &&
      deleted.error().code != ErrorCode::kConflict) {
    return 63;
  }
  return 0;
}

void ManyProcesses(bool locked) {
  const TestHome home;
  ASSERT_TRUE(home.ok);
  MakeProject(home.path);
  std::vector<pid_t> children;
  for (int c = 0; c < kProcesses; ++c) {
    children.push_back(StartChild([&, c] {
      std::ofstream out(home.dir.File("numbers-" + std::to_string(c)));
      std::mt19937 random(static_cast<unsigned>(c));
      auto registry = Registry::OpenUnlocked(home.path);
      for (int i = 0; i < kRounds; ++i) {
        if (locked) registry = Registry::OpenForWriting(home.path, "turn", 60);
        if (!registry.ok()) return 59;
        if (const int code = Turn(**registry, home, random, out); code != 0) return code;
        if (locked) registry = Unavailable("given back");
      }
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(WaitForChild(child), 0);

  std::set<int64_t> given;
  for (int c = 0; c < kProcesses; ++c) {
    std::ifstream numbers(home.dir.File("numbers-" + std::to_string(c)));
    for (int64_t number = 0; numbers >> number;)
      EXPECT_TRUE(given.insert(number).second) << number << " twice";
  }
  EXPECT_EQ(given.size(), static_cast<size_t>(kProcesses * kRounds));
  EXPECT_EQ(*given.rbegin(), kProcesses * kRounds);
  auto registry = *Registry::OpenForWriting(home.path, "check");
  int active = 0;
  const auto versions = *registry->models().Versions("p", "fare");
  for (const VersionRecord& version : versions) {
    active += version.active ? 1 : 0;
    const Status sound = registry->blobs().Verify(version.bundle);
    EXPECT_TRUE(sound.ok()) << sound.error().message;
  }
  EXPECT_EQ(active, 1);
  // The history is one chain: each activation starts from where the one before ended.
  int64_t current = 0;
  const auto history = *registry->models().History("p", "fare");
  for (const Activation& step : history) {
    EXPECT_EQ(step.from, current);
    current = step.to;
  }
  EXPECT_EQ(current, registry->models().Get("p", "fare")->active);
  const auto findings = *registry->CheckIntegrity(true);
  for (const Finding& finding : findings) ADD_FAILURE() << finding.message;
}

TEST(ManyProcesses, TakingTurnsWithTheHomesLockLoseNothing) { ManyProcesses(true); }
TEST(ManyProcesses, WithoutTheLockTransactionsAloneLoseNothing) { ManyProcesses(false); }

// What a killed writer had been told was done.
struct Acknowledged {
  std::set<int64_t> versions;
  int64_t data_version = 0;
};

// Writes versions and datasets for ever; each acknowledgement goes to `fd` once the call has
// returned.
int WriteUntilKilled(const TestHome& home, int fd) {
  auto registry = Registry::OpenForWriting(home.path, "victim", 10);
  if (!registry.ok()) return 50;
  (void)(*registry)->jobs().MarkInterruptedJobs().ok();
  NewJob plan;
  plan.project = "p";
  auto job = (*registry)->jobs().Create(plan);
  if (!job.ok() || !(*registry)->jobs().Start(job->id).ok()) return 51;
  for (int i = 0;; ++i) {
    const std::string content(static_cast<size_t>(1000 + i % 7 * 30000),
                              static_cast<char>('a' + i % 26));
    NewVersion version;
    version.bundle_path = JoinPath(job->work_folder, "model.bundle");
    version.move_files = true;
    std::ofstream(version.bundle_path) << content << ::getpid() << i;
    auto added = (*registry)->models().AddVersion("p", "fare", version);
    NewDatasetData data;
    data.path = JoinPath(job->work_folder, "out.parquet");
    std::ofstream(data.path) << content;
    data.rows = static_cast<int64_t>(content.size());
    auto published = (*registry)->datasets().Publish("p", "d", data);
    if (!added.ok() || !published.ok()) return 52;
    const int64_t told[2] = {added->number, published->version};
    if (::write(fd, told, sizeof told) != ssize_t{sizeof told}) return 53;
  }
}

// Kills the victim after a random while, counted from its start (it may not have opened the home
// yet) or from its first acknowledgement (it is in the midst of writing).
void KillOnce(const TestHome& home, std::mt19937& random, Acknowledged* acknowledged) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = StartChild([&] { return WriteUntilKilled(home, ends[1]); });
  ::close(ends[1]);
  const auto read_one = [&] {
    int64_t told[2];
    if (::read(ends[0], told, sizeof told) != ssize_t{sizeof told}) return false;
    acknowledged->versions.insert(told[0]);
    acknowledged->data_version = told[1];
    return true;
  };
  if (random() % 3 != 0) {
    EXPECT_TRUE(read_one()) << "the victim never wrote";
  }
  const double until = SteadySeconds() + static_cast<double>(random() % 60'000) / 1e6;
  for (;;) {
    const double left = until - SteadySeconds();
    if (left <= 0) break;
    pollfd wait{ends[0], POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(left * 1000) + 1) > 0 && !read_one()) break;
  }
  ::kill(child, SIGKILL);
  EXPECT_EQ(WaitForChild(child), 128) << "ended by itself: an error";
  while (read_one()) {
  }
  ::close(ends[0]);
}

void CheckAfterKill(const TestHome& home, const Acknowledged& acknowledged) {
  auto opened = Registry::OpenForWriting(home.path, "check", 10);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  Registry& registry = **opened;
  const auto marked = registry.jobs().MarkInterruptedJobs();
  ASSERT_TRUE(marked.ok());
  EXPECT_LE(marked->size(), 1u);
  const auto findings = *registry.CheckIntegrity(true);
  for (const Finding& finding : findings) {
    EXPECT_FALSE(finding.error) << finding.message;
  }
  if (acknowledged.versions.empty()) return;
  std::set<int64_t> found;
  int active = 0;
  const auto versions = *registry.models().Versions("p", "fare");
  for (const VersionRecord& version : versions) {
    found.insert(version.number);
    active += version.active ? 1 : 0;
  }
  EXPECT_EQ(active, 1);
  for (const int64_t number : acknowledged.versions)
    EXPECT_TRUE(found.contains(number)) << number << " is lost";
  const auto data = *registry.datasets().Find("p", "d");
  ASSERT_TRUE(data.has_value());
  EXPECT_GE(data->version, acknowledged.data_version);
  EXPECT_EQ(*FileSize(data->path), data->rows) << "half a dataset is visible";
}

TEST(Crash, WhatWasAcknowledgedSurvivesKill9AtAnyMoment) {
  const char* asked = std::getenv("SLIPWAY_CRASH_ROUNDS");
  const int rounds = asked != nullptr ? std::atoi(asked) : 30;
  const TestHome home;
  ASSERT_TRUE(home.ok);
  MakeProject(home.path);
  std::mt19937 random(20261122);
  Acknowledged acknowledged;
  for (int round = 0; round < rounds && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    KillOnce(home, random, &acknowledged);
    CheckAfterKill(home, acknowledged);
  }
  EXPECT_GE(acknowledged.versions.size(), static_cast<size_t>(rounds / 4))
      << "hardly anything was written";
  auto registry = *Registry::OpenForWriting(home.path, "check");
  ASSERT_TRUE(registry->CollectGarbage(0).ok());
  EXPECT_TRUE(registry->CheckIntegrity(true)->empty()) << "the collection removes all leftovers";
}

// A writer that may write no file beyond `limit` bytes, as on a full disk. The limit grows from too
// little for anything to enough for everything, so that each step of the write fails in turn.
int WriteWithLimit(const TestHome& home, rlim_t limit) {
  ::signal(SIGXFSZ, SIG_IGN);
  auto opened = Registry::OpenForWriting(home.path, "limited", 0);
  if (!opened.ok()) return 50;
  Registry& registry = **opened;
  NewVersion version;
  version.bundle_path = home.File("bundle", std::string(20'000, 'b') + std::to_string(limit));
  version.info_json = "\"" + std::string(100'000, 'i') + "\"";
  NewDatasetData data;
  data.path = home.File("out.parquet", std::string(1000, 'd'));
  data.schema_json = "\"" + std::string(100'000, 's') + "\"";
  const rlimit limits{limit, limit};
  if (::setrlimit(RLIMIT_FSIZE, &limits) != 0) return 51;
  auto added = registry.models().AddVersion("p", "fare", version);
  auto published = registry.datasets().Publish("p", "d", data);
  if (!added.ok() && added.error().code != ErrorCode::kUnavailable) return 52;
  if (!published.ok() && published.error().code != ErrorCode::kUnavailable) return 53;
  if (!published.ok() && !PathExists(data.path)) return 54;
  return (added.ok() ? 1 : 0) + (published.ok() ? 2 : 0);
}

TEST(DiskFull, EveryFailedWriteIsACleanErrorAndChangesNothing) {
  std::set<int> outcomes;
  for (int64_t limit = 0; limit < 700'000; limit += 16 << 10) {
    SCOPED_TRACE("limit " + std::to_string(limit));
    const TestHome home;
    ASSERT_TRUE(home.ok);
    MakeProject(home.path);
    const int outcome =
        WaitForChild(StartChild([&] { return WriteWithLimit(home, static_cast<rlim_t>(limit)); }));
    ASSERT_LT(outcome, 4);
    outcomes.insert(outcome);
    auto registry = *Registry::OpenForWriting(home.path, "check");
    const auto model = *registry->models().Find("p", "fare");
    EXPECT_EQ(model ? model->versions : 0, outcome & 1);
    const auto data = *registry->datasets().Find("p", "d");
    EXPECT_EQ(data ? data->version : 0, (outcome & 2) / 2);
    const auto findings = *registry->CheckIntegrity(true);
    for (const Finding& finding : findings) EXPECT_FALSE(finding.error) << finding.message;
  }
  // The metadata of a shared registry is written elsewhere: a dataset is renamed only.
  EXPECT_TRUE(outcomes.contains(OnPostgres() ? 2 : 0)) << "nothing ever failed";
  EXPECT_TRUE(outcomes.contains(3)) << "nothing ever succeeded";
}

}  // namespace
}  // namespace slipway
