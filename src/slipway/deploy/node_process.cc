#include "slipway/deploy/node_process.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"

extern char** environ;

namespace slipway {
namespace {

constexpr double kStartSeconds = 60;

std::string Program() {
  const char* given = std::getenv("SLIPWAY_APINODE");
  return given != nullptr && *given != '\0' ? given : JoinPath(ExecutableDir(), "slipway-apinode");
}

std::vector<char*> CleanEnvironment() {
  std::vector<char*> env;
  for (char** each = environ; *each != nullptr; ++each) {
    if (!std::string_view(*each).starts_with("SLIPWAY_")) env.push_back(*each);
  }
  env.push_back(nullptr);
  return env;
}

// Between fork and exec: only async-signal-safe calls. Out of the terminal's Ctrl-C either way.
[[noreturn]] void Exec(char* const* argv, char* const* env, int out_fd, int log_fd, pid_t parent) {
  if (parent != 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::setpgid(0, 0);
  } else {
    ::setsid();
  }
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

// Its one line on standard output says that it is ready.
Status WaitForLine(int fd, const NodeProcessOptions& options) {
  const double until = SteadySeconds() + kStartSeconds;
  char byte = 0;
  while (byte != '\n') {
    if (options.cancel != nullptr && *options.cancel) return Cancelled("interrupted");
    const double left = until - SteadySeconds();
    pollfd poll_fd{fd, POLLIN, 0};
    if (left <= 0)
      return DeadlineExceeded("the API node was not ready in time", LastWords(options.log));
    const int ready = ::poll(&poll_fd, 1, static_cast<int>(std::min(left, 0.2) * 1000) + 1);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t n = ready > 0 ? ::read(fd, &byte, 1) : -1;
    if (n < 0 && ready > 0 && errno == EINTR) continue;
    if (n <= 0)
      return Unavailable("the API node ended before it was ready", LastWords(options.log));
  }
  return {};
}

}  // namespace

Result<pid_t> StartNodeProcess(const NodeProcessOptions& options) {
  const std::string program = Program();
  if (!PathExists(program)) {
    return Unavailable("there is no API node to start: '" + program + "' does not exist",
                       "it is installed beside slipway; $SLIPWAY_APINODE may name another one");
  }
  std::vector<std::string> words = {program, "--home", options.home, "--listen",
                                    "127.0.0.1:" + std::to_string(options.port)};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<char*> env = CleanEnvironment();
  int out[2];
  if (::pipe2(out, O_CLOEXEC) != 0)
    return Unavailable(std::string("cannot make a pipe: ") + std::strerror(errno));
  const int log_fd = ::open(options.log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const pid_t parent = options.dies_with_parent ? ::getpid() : 0;
  const pid_t pid = ::fork();
  if (pid == 0) Exec(argv.data(), env.data(), out[1], log_fd, parent);
  const int failed = errno;
  ::close(out[1]);
  if (log_fd >= 0) ::close(log_fd);
  const Status ready =
      pid > 0
          ? WaitForLine(out[0], options)
          : Status(Unavailable(std::string("cannot start a process: ") + std::strerror(failed)));
  ::close(out[0]);
  if (ready.ok()) return pid;
  if (pid > 0) {
    ::kill(pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  return ready.error();
}

}  // namespace slipway
