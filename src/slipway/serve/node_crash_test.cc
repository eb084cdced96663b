// What a home is after its process was killed: at every step of every change, and at random.
#include <sys/wait.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/serve/generation_store.h"
#include "slipway/serve/node_state_for_test.h"

namespace slipway {
namespace {

int g_steps_left = -1;
void DieAtStep(const char*) {
  if (--g_steps_left == 0) ::kill(::getpid(), SIGKILL);
}

// What one sees of a home: services, mappings, generations with their state.
std::string Seen(const NodeState& state) {
  std::string out;
  for (const ServiceInfo& service : state.Services()) {
    out += service.id + (service.serving ? " serves " : " does not serve ") +
           PublishedMapping(state, service.id) + ";";
    for (const GenerationInfo& generation : service.generations)
      out += " " + generation.id + (generation.error.empty() ? "" : "!" + generation.error);
    out += "\n";
  }
  return out;
}

std::vector<std::string> Names(const std::string& folder) {
  Result<std::vector<std::string>> names = ListDir(folder);
  return names.ok() ? *names : std::vector<std::string>();
}

// Folders are those that the state lists, and nothing else lies about.
void ExpectTidy(const std::string& home, const NodeState& state) {
  std::vector<std::string> services;
  for (const ServiceInfo& service : state.Services()) {
    std::vector<std::string> listed;
    for (const GenerationInfo& generation : service.generations) listed.push_back(generation.id);
    std::sort(listed.begin(), listed.end());
    EXPECT_EQ(Names(JoinPath(home, "generations/" + service.id)), listed);
    if (!listed.empty()) services.push_back(service.id);
  }
  EXPECT_EQ(Names(JoinPath(home, "generations")), services);
  EXPECT_TRUE(Names(JoinPath(home, "spool")).empty());
  EXPECT_EQ(Names(home), (std::vector<std::string>{"desired.json", "generations", "import",
                                                   "node.lock", "space.reserve", "spool"}));
}

// Runs `body` in a child; true when it was killed.
template <typename Body>
bool KilledIn(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
  return WIFSIGNALED(status);
}

using Change = std::function<void(NodeState&)>;

// Kills the change at its first, second, ... step until it survives: before or after, never
// between.
void KillAtEveryStep(const std::string& name, const Change& prepare, const Change& change,
                     int least_steps) {
  SCOPED_TRACE(name);
  const TempDir folder = *TempDir::Make();
  std::string before, after;
  for (int step = 1;; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    ASSERT_LT(step, 50);
    const std::string home = folder.File("home" + std::to_string(step));
    {
      const auto state = OpenNodeState(home);
      prepare(*state);
      before = Seen(*state);
    }
    const bool killed = KilledIn([&] {
      const auto state = OpenNodeState(home);
      g_steps_left = step;
      g_node_step = DieAtStep;
      change(*state);
    });
    const auto state = OpenNodeState(home);
    ASSERT_NE(state, nullptr);
    const std::string seen = Seen(*state);
    ExpectTidy(home, *state);
    if (!killed) {
      EXPECT_NE(seen, before);
      EXPECT_GT(step, least_steps);
      return;
    }
    // What a whole change makes of it, now or in a second attempt.
    change(*state);
    after = Seen(*state);
    EXPECT_TRUE(seen == before || seen == after) << seen << "is neither\n"
                                                 << before << "nor\n"
                                                 << after;
    ExpectTidy(home, *state);
  }
}

TEST(NodeCrashTest, EveryStepOfEveryChange) {
  const TempDir folder = *TempDir::Make();
  const std::string v1 = MakeSmallPackage(folder, {.id = "v1"});
  const std::string v2 = MakeSmallPackage(folder, {.id = "v2", .answer = 0.5, .expected = 0.5});
  const auto nothing = [](NodeState&) {};
  const auto serve_v1 = [&](NodeState& state) {
    EXPECT_TRUE(state.Import("shop", v1, true, {}).ok());
    EXPECT_TRUE(state.SwitchToNewest("shop", {}).ok());
  };
  const auto both = [&](NodeState& state) {
    serve_v1(state);
    EXPECT_TRUE(state.Import("shop", v2, true, {}).ok());
  };
  KillAtEveryStep(
      "first import", nothing,
      [&](NodeState& state) { (void)state.Import("shop", v1, true, {}).ok(); }, 4);
  KillAtEveryStep(
      "import", serve_v1, [&](NodeState& state) { (void)state.Import("shop", v2, true, {}).ok(); },
      4);
  KillAtEveryStep(
      "switch", both, [&](NodeState& state) { (void)state.SwitchToNewest("shop", 3).ok(); }, 5);
  KillAtEveryStep(
      "mapping", both,
      [&](NodeState& state) {
        (void)state.SetMapping("shop", {{"v1", 0.5}, {"v2", 0.5}}, {}).ok();
      },
      3);
  KillAtEveryStep(
      "delete", both,
      [&](NodeState& state) { (void)state.DeleteGeneration("shop", "v2", {}).ok(); }, 2);
  KillAtEveryStep(
      "delete service", both, [&](NodeState& state) { (void)state.DeleteService("shop", {}).ok(); },
      2);
  KillAtEveryStep(
      "disable", both, [&](NodeState& state) { (void)state.SetEnabled("shop", false, {}).ok(); },
      1);
}

// A process that changes without end, killed from outside; it says what was acknowledged.
TEST(NodeCrashTest, KilledAtRandomNothingAcknowledgedIsLost) {
  const TempDir folder = *TempDir::Make();
  const std::string home = folder.File("home");
  std::vector<std::string> packages;
  for (const char* id : {"v1", "v2", "v3"})
    packages.push_back(MakeSmallPackage(folder, {.id = id}));
  const std::vector<std::string> ids = {"v1", "v2", "v3"};
  unsigned random = 12345;
  for (int round = 0; round < 20; ++round) {
    SCOPED_TRACE(round);
    int pipe_fds[2];
    ASSERT_EQ(::pipe(pipe_fds), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const auto state = OpenNodeState(home);
      for (unsigned i = static_cast<unsigned>(round);; ++i) {
        const size_t which = i % 3;
        char said = 0;
        if (state->Import("shop", packages[which], true, {}).ok()) {
          if (state->SetMapping("shop", {{ids[which], 1}}, {}).ok())
            said = static_cast<char>('1' + which);
        }
        if (said != 0 && ::write(pipe_fds[1], &said, 1) != 1) ::_exit(1);
        (void)state->DeleteGeneration("shop", ids[(which + 2) % 3], {}).ok();
      }
    }
    ::close(pipe_fds[1]);
    char last = 0, said = 0;
    // Not before the first acknowledgement, then at any moment.
    ASSERT_EQ(::read(pipe_fds[0], &last, 1), 1);
    random = random * 1664525 + 1013904223;
    ::usleep(random % 40'000);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    while (::read(pipe_fds[0], &said, 1) == 1) last = said;
    ::close(pipe_fds[0]);

    const auto state = OpenNodeState(home);
    ASSERT_NE(state, nullptr);
    ExpectTidy(home, *state);
    std::string reason;
    EXPECT_TRUE(state->Ready(&reason)) << reason;
    // What was acknowledged last, or the change after it, whose answer did not come any more.
    const std::string mapping = PublishedMapping(*state, "shop");
    const std::string acknowledged = std::string("v") + last + "=1";
    const std::string next =
        std::string("v") + static_cast<char>('1' + (last - '1' + 1) % 3) + "=1";
    EXPECT_TRUE(mapping == acknowledged || mapping == next)
        << mapping << ", acknowledged " << acknowledged;
  }
}

}  // namespace
}  // namespace slipway
