// An API node whose power goes at any moment: what was answered is there, what was begun is done or
// not, every generation on disk is whole, and the node comes back without help.
// SLIPWAY_POWER_LOSSES (default 50) losses of a home at work; the seeds are fixed.
#include <cstdlib>
#include <optional>
#include <random>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lossy_disk.h"

#include "slipway/serve/node_state_for_test.h"

namespace slipway {
namespace {

int Losses() {
  const char* asked = std::getenv("SLIPWAY_POWER_LOSSES");
  return asked != nullptr ? std::atoi(asked) : 50;
}

// The last generation that was switched to, and one whose switch has begun; 0: none.
struct Told {
  int answered = 0, begun = 0;
};

const std::vector<std::string> kIds = {"v1", "v2", "v3"};

// Imports, switches and deletions without end.
int Work(const std::string& home, const std::vector<std::string>& packages, uint64_t seed,
         int out) {
  const auto state = OpenNodeState(home);
  if (state == nullptr) return 50;
  const auto tell = [&](const Told& told) {
    return ::write(out, &told, sizeof told) == ssize_t{sizeof told};
  };
  Told told;
  for (uint64_t i = seed;; ++i) {
    const size_t which = i % kIds.size();
    if (!state->Import("shop", packages[which], true, {}).ok()) return 51;
    told.begun = static_cast<int>(which) + 1;
    if (!tell(told)) return 60;
    if (!state->SetMapping("shop", {{kIds[which], 1}}, {}).ok()) return 52;
    told = {static_cast<int>(which) + 1, 0};
    if (!tell(told)) return 60;
    const Status deleted = state->DeleteGeneration("shop", kIds[(which + 2) % kIds.size()], {});
    if (!deleted.ok() && deleted.error().code != ErrorCode::kNotFound) return 53;
  }
}

// In a child, until the power goes; nullopt: it ended otherwise.
std::optional<Told> WorkUntilPowerLoss(const PowerLoss& plan,
                                       const std::vector<std::string>& packages,
                                       const Told& before) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  const pid_t child = ::fork();
  if (child == 0) {
    BeginPowerLoss(plan);
    ::_exit(Work(plan.root, packages, plan.seed, ends[1]));
  }
  ::close(ends[1]);
  Told told = before, now;
  while (::read(ends[0], &now, sizeof now) == ssize_t{sizeof now}) {
    if (now.answered != 0) told.answered = now.answered;
    told.begun = now.begun;
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kPowerLost) return told;
  ADD_FAILURE() << "the worker ended with " << WEXITSTATUS(status);
  return std::nullopt;
}

// "" when the home is as it must be; `served`: what it serves, 0 for nothing.
std::string Check(const std::string& home, const Told& told, int* served) {
  const Result<std::unique_ptr<NodeState>> opened = NodeState::Open(home, nullptr);
  if (!opened.ok()) return "it does not open: " + opened.error().message;
  const NodeState& state = **opened;
  *served = 0;
  for (const ServiceInfo& service : state.Services()) {
    for (const GenerationInfo& generation : service.generations) {
      if (!generation.error.empty()) return generation.id + ": " + generation.error;
    }
  }
  const std::string mapping = PublishedMapping(state, "shop");
  for (size_t i = 0; i < kIds.size(); ++i) {
    if (mapping == kIds[i] + "=1") *served = static_cast<int>(i) + 1;
  }
  if (*served == 0 && told.answered != 0) return "it serves '" + mapping + "'";
  if (*served != told.answered && *served != told.begun)
    return "it serves '" + mapping + "', answered " + std::to_string(told.answered) + ", begun " +
           std::to_string(told.begun);
  std::string reason;
  if (*served != 0 && !state.Ready(&reason)) return "it is not ready: " + reason;
  return "";
}

// Losses of one home after the other, ten in a row for each; the first that is not survived.
std::optional<std::string> Survive(int losses, uint64_t seed,
                                   const std::function<bool(const std::string&)>& ignored) {
  std::mt19937 random(static_cast<uint32_t>(seed));
  const TempDir folder = *TempDir::Make();
  std::vector<std::string> packages;
  for (const std::string& id : kIds) packages.push_back(MakeSmallPackage(folder, {.id = id}));
  std::string home;
  Told told;
  for (int loss = 0; loss < losses; ++loss) {
    if (loss % 10 == 0) {
      home = folder.File("home-" + std::to_string(loss));
      told = {};
      if (OpenNodeState(home) == nullptr) return "no home";
    }
    PowerLoss plan;
    plan.root = home;
    plan.image = folder.File("home-" + std::to_string(loss + 1) + "-left");
    plan.after = 1 + static_cast<int64_t>(random() % 250);
    plan.seed = seed * 100'000 + static_cast<uint64_t>(loss);
    plan.ignored_sync = ignored;
    const std::optional<Told> now = WorkUntilPowerLoss(plan, packages, told);
    if (!now) return "the worker failed before loss " + std::to_string(loss);
    int served = 0;
    if (const std::string wrong = Check(plan.image, *now, &served); !wrong.empty())
      return "loss " + std::to_string(loss) + ": " + wrong;
    told = {served, 0};
    (void)RemoveAll(home).ok();
    home = plan.image;
  }
  return std::nullopt;
}

TEST(NodePowerLossTest, WhatWasAnsweredIsServedAndNothingIsHalf) {
  const auto wrong = Survive(Losses(), 1, {});
  EXPECT_FALSE(wrong.has_value()) << *wrong;
}

// Each sync that the design names is needed: without it the same test fails.
TEST(NodePowerLossTest, AMissingSyncIsNoticed) {
  const struct {
    const char* name;
    bool (*ignored)(const std::string& path);
  } kMissing[] = {
      {"desired.json",
       [](const std::string& p) { return p.find("desired.json") != std::string::npos; }},
      {"the parts of packages",
       [](const std::string& p) { return p.ends_with(".txt") || p.ends_with(".json"); }}};
  for (const auto& missing : kMissing) {
    const auto wrong = Survive(300, 2, missing.ignored);
    ASSERT_TRUE(wrong.has_value()) << "300 losses were survived without syncing " << missing.name;
    EXPECT_EQ(wrong->find("the worker failed"), std::string::npos) << *wrong;
  }
}

}  // namespace
}  // namespace slipway
