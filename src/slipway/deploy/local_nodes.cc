#include "slipway/deploy/local_nodes.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"

extern char** environ;

namespace slipway {
namespace {

constexpr double kStartSeconds = 60, kStopSeconds = 10;

std::string Program() {
  const char* given = std::getenv("SLIPWAY_APINODE");
  return given != nullptr && *given != '\0' ? given : JoinPath(ExecutableDir(), "slipway-apinode");
}

// Its settings come from nowhere but its home and the command line.
std::vector<char*> CleanEnvironment() {
  std::vector<char*> env;
  for (char** each = environ; *each != nullptr; ++each) {
    if (!std::string_view(*each).starts_with("SLIPWAY_")) env.push_back(*each);
  }
  env.push_back(nullptr);
  return env;
}

// Between fork and exec: only async-signal-safe calls. A session of its own: the terminal's Ctrl-C
// is not for it, and it outlives its parent.
[[noreturn]] void Exec(char* const* argv, char* const* env, int out_fd, int log_fd) {
  ::setsid();
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const int null_fd = ::open("/dev/null", O_RDONLY);
  ::dup2(null_fd, 0);
  ::dup2(out_fd, 1);
  ::dup2(log_fd, 2);
  ::execve(argv[0], argv, env);
  ::_exit(127);
}

std::string LastWords(const std::string& log) {
  auto text = ReadFile(log);
  if (!text.ok() || text->empty()) return "see '" + log + "'";
  return "it said: " +
         std::string(Trim(text->size() > 600 ? text->substr(text->size() - 600) : *text));
}

// Whether a line came from the node before it ended or the time was over.
bool WaitForLine(int fd) {
  const double until = SteadySeconds() + kStartSeconds;
  char byte = 0;
  while (byte != '\n') {
    const double left = until - SteadySeconds();
    pollfd poll_fd{fd, POLLIN, 0};
    if (left <= 0) return false;
    const int ready = ::poll(&poll_fd, 1, static_cast<int>(left * 1000) + 1);
    if (ready < 0 && errno == EINTR) continue;
    const ssize_t n = ready > 0 ? ::read(fd, &byte, 1) : -1;
    if (n < 0 && ready > 0 && errno == EINTR) continue;
    if (n <= 0) return false;
  }
  return true;
}

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
  const std::string program = Program();
  const std::string name = "node " + std::to_string(number) + " of '" + infra + "'";
  if (!PathExists(program)) {
    return Unavailable(name + " cannot be started: '" + program + "' does not exist",
                       "it is installed beside slipway; $SLIPWAY_APINODE may name another one");
  }
  const std::string home = HomeOf(infra, number);
  RETURN_IF_ERROR(MakeDirs(home, 0700));
  // The port that it had: clients know it. When someone else has it now, any free one.
  std::string port = "0";
  if (auto before = ReadFile(JoinPath(home, "node.port"), 64); before.ok()) port = Trim(*before);
  const std::string log = JoinPath(home, "node.log");
  for (const std::string& each : port == "0" ? std::vector<std::string>{"0"}
                                             : std::vector<std::string>{port, "0"}) {
    std::vector<std::string> words = {program, "--home", home, "--listen", "127.0.0.1:" + each};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::vector<char*> env = CleanEnvironment();
    int out[2];
    if (::pipe2(out, O_CLOEXEC) != 0)
      return Unavailable(std::string("cannot make a pipe: ") + std::strerror(errno));
    const int log_fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const pid_t pid = ::fork();
    if (pid == 0) Exec(argv.data(), env.data(), out[1], log_fd);
    ::close(out[1]);
    if (log_fd >= 0) ::close(log_fd);
    const bool ready = pid > 0 && WaitForLine(out[0]);
    ::close(out[0]);
    if (pid > 0) children_.push_back(pid);
    const LocalNode node = Look(infra, number);
    if (ready && node.running) {
      const size_t colon = node.url.rfind(':');
      (void)WriteFileAtomic(JoinPath(home, "node.port"), node.url.substr(colon + 1) + "\n").ok();
      return node;
    }
    if (pid > 0) ::kill(pid, SIGKILL);
    if (pid > 0) ::waitpid(pid, nullptr, 0);
    if (pid > 0) children_.pop_back();
  }
  return Unavailable(name + " does not start", LastWords(log));
}

Result<LocalNode> LocalNodes::Start(const std::string& infra, int number) {
  const MutexLock lock(mutex_);
  Reap();
  LocalNode node = Look(infra, number);
  if (node.running) return node;
  return Launch(infra, number);
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
  for (int number = 1; number <= count; ++number) {
    const std::string name = infra + "/" + std::to_string(number);
    Backoff& backoff = backoff_[name];
    if (Look(infra, number).running) {
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
