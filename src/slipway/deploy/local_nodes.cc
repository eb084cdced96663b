#include "slipway/deploy/local_nodes.h"

#include <algorithm>
#include <cerrno>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/process.h"
#include "slipway/base/text.h"
#include "slipway/deploy/node_process.h"

namespace slipway {
namespace {

constexpr double kStopSeconds = 10;

}  // namespace

std::string LocalNodes::HomeOf(const std::string& infra, int number) const {
  return JoinPath(JoinPath(folder_, infra), std::to_string(number));
}

LocalNode LocalNodes::Look(const std::string& infra, int number) const {
  const std::string home = HomeOf(infra, number);
  LocalNode node;
  if (!FileLock::IsHeld(JoinPath(home, "node.lock"))) return node;
  auto text = ReadFile(JoinPath(home, "node.json"), 1 << 16);
  auto key = ReadFile(JoinPath(home, "admin.key"), 1 << 16);
  if (!text.ok() || !key.ok()) return node;
  auto json = ParseJson(*text);
  if (!json.ok() || !json->is_object()) return node;
  // On a shared home: its pid is another process here, and its loopback not ours.
  if (const std::string host = json->value("host", ""); !host.empty() && host != HostName()) {
    node.elsewhere = host;
    return node;
  }
  node.url = json->value("admin_url", json->value("url", std::string()));
  node.key = Trim(*key);
  node.pid = static_cast<pid_t>(json->value("pid", int64_t{-1}));
  node.running = !node.url.empty() && node.pid > 1;
  return node;
}

void LocalNodes::Reap() {
  std::erase_if(children_, [](pid_t pid) {
    const pid_t done = ::waitpid(pid, nullptr, WNOHANG);
    return done == pid || (done < 0 && errno == ECHILD);
  });
}

Result<LocalNode> LocalNodes::Launch(const std::string& infra, int number) {
  const std::string name = "node " + std::to_string(number) + " of '" + infra + "'";
  const std::string home = HomeOf(infra, number);
  if (const LocalNode there = Look(infra, number); !there.elsewhere.empty())
    return Unavailable(name + " runs on '" + there.elsewhere + "'", "start and stop it there");
  RETURN_IF_ERROR(MakeDirs(home, 0700));
  // The port that it had: clients know it. When someone else has it now, any free one.
  int64_t port = 0;
  if (auto before = ReadFile(JoinPath(home, "node.port"), 64); before.ok())
    port = ParseInt64(Trim(*before)).value_or(0);
  if (port < 0 || port > 65535) port = 0;
  for (;;) {
    const auto pid = StartNodeProcess(
        {.home = home, .log = JoinPath(home, "node.log"), .port = static_cast<int>(port)});
    if (pid.ok()) children_.push_back(*pid);
    const LocalNode node = Look(infra, number);
    if (pid.ok() && node.running) {
      const size_t colon = node.url.rfind(':');
      (void)WriteFileAtomic(JoinPath(home, "node.port"), node.url.substr(colon + 1) + "\n").ok();
      return node;
    }
    if (pid.ok()) {
      ::kill(*pid, SIGKILL);
      ::waitpid(*pid, nullptr, 0);
      children_.pop_back();
    }
    if (port == 0)
      return Unavailable(
          name + " does not start: " + (pid.ok() ? "its files are not there" : pid.error().message),
          pid.ok() ? "see '" + home + "'" : pid.error().hint);
    port = 0;
  }
}

Result<LocalNode> LocalNodes::Start(const std::string& infra, int number) {
  const MutexLock lock(mutex_);
  Reap();
  RETURN_IF_ERROR(RemoveAll(HeldPath(infra)));
  LocalNode node = Look(infra, number);
  if (node.running) return node;
  return Launch(infra, number);
}

std::string LocalNodes::HeldPath(const std::string& infra) const {
  return JoinPath(JoinPath(folder_, infra), "stopped");
}

Status LocalNodes::Hold(const std::string& infra) {
  const MutexLock lock(mutex_);
  RETURN_IF_ERROR(MakeDirs(JoinPath(folder_, infra), 0700));
  return WriteFileAtomic(HeldPath(infra), NowText() + "\n");
}

void LocalNodes::Stop(const std::string& infra, int count) {
  const MutexLock lock(mutex_);
  std::vector<std::pair<std::string, pid_t>> stopping;
  for (int number = 1; number <= count; ++number) {
    const LocalNode node = Look(infra, number);
    if (!node.running) continue;
    ::kill(node.pid, SIGTERM);
    stopping.emplace_back(JoinPath(HomeOf(infra, number), "node.lock"), node.pid);
  }
  // Their locks fall when they end; children of others cannot be waited for otherwise.
  const double until = SteadySeconds() + kStopSeconds;
  for (const auto& [path, pid] : stopping) {
    while (FileLock::IsHeld(path) && SteadySeconds() < until) ::usleep(10'000);
    if (!FileLock::IsHeld(path)) continue;
    ::kill(pid, SIGKILL);
    for (int i = 0; i < 500 && FileLock::IsHeld(path); ++i) ::usleep(10'000);
  }
  Reap();
}

Status LocalNodes::Remove(const std::string& infra, int count) {
  Stop(infra, count);
  return RemoveAll(JoinPath(folder_, infra));
}

std::vector<std::string> LocalNodes::Step(const std::string& infra, int count, double now) {
  const MutexLock lock(mutex_);
  Reap();
  std::vector<std::string> lines;
  if (PathExists(HeldPath(infra))) return lines;
  for (int number = 1; number <= count; ++number) {
    const std::string name = infra + "/" + std::to_string(number);
    Backoff& backoff = backoff_[name];
    const LocalNode seen = Look(infra, number);
    if (!seen.elsewhere.empty()) continue;
    if (seen.running) {
      if (now > backoff.next + 60) backoff = {};  // it has lived a minute
      continue;
    }
    if (now < backoff.next) continue;
    backoff.wait = std::min(60.0, backoff.wait == 0 ? 1 : backoff.wait * 2);
    backoff.next = now + backoff.wait;
    const auto node = Launch(infra, number);
    lines.push_back("node " + name + ": " +
                    (node.ok() ? "started at " + node->url : node.error().message));
  }
  return lines;
}

}  // namespace slipway
