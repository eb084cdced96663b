#include "slipway/base/process.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr int kMessageFd = 3;
constexpr size_t kMaxLine = 16 << 20;

// Between fork and exec: only async-signal-safe calls.
[[noreturn]] void ExecChild(char* const* argv, int message_fd, int log_fd, pid_t parent,
                            int64_t max_memory_bytes, int nice) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died in between
  ::setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (max_memory_bytes > 0) {
    const rlimit limit{static_cast<rlim_t>(max_memory_bytes),
                       static_cast<rlim_t>(max_memory_bytes)};
    if (::setrlimit(RLIMIT_DATA, &limit) != 0) ::_exit(127);
  }
  if (nice != 0) ::setpriority(PRIO_PROCESS, 0, ::getpriority(PRIO_PROCESS, 0) + nice);
  const int null_fd = ::open("/dev/null", O_RDONLY);
  ::dup2(null_fd, 0);
  ::dup2(log_fd, 1);
  ::dup2(log_fd, 2);
  if (message_fd == kMessageFd) {
    ::fcntl(message_fd, F_SETFD, 0);
  } else {
    ::dup2(message_fd, kMessageFd);
  }
  ::execv(argv[0], argv);
  ::_exit(127);
}

class LineReader {
 public:
  explicit LineReader(const std::function<void(std::string_view)>& on_line) : on_line_(on_line) {}
  void Feed(std::string_view bytes) {
    buffer_.append(bytes);
    size_t begin = 0;
    for (size_t at; (at = buffer_.find('\n', begin)) != std::string::npos; begin = at + 1) {
      if (on_line_) on_line_(std::string_view(buffer_).substr(begin, at - begin));
    }
    buffer_.erase(0, begin);
    if (buffer_.size() > kMaxLine) buffer_.clear();
  }

 private:
  const std::function<void(std::string_view)>& on_line_;
  std::string buffer_;
};

}  // namespace

Result<ProcessExit> RunProcess(const ProcessOptions& options) {
  const int log_fd = ::open(options.log_path.empty() ? "/dev/null" : options.log_path.c_str(),
                            O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log_fd < 0) return FileError("open", options.log_path, errno);
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) {
    ::close(log_fd);
    return Unavailable(std::string("cannot make a pipe: ") + std::strerror(errno));
  }
  std::vector<char*> argv;
  for (const std::string& arg : options.argv) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0)
    ExecChild(argv.data(), pipe_fds[1], log_fd, parent, options.max_memory_bytes, options.nice);
  const int fork_errno = errno;
  ::close(log_fd);
  ::close(pipe_fds[1]);
  if (pid < 0) {
    ::close(pipe_fds[0]);
    return Unavailable(std::string("cannot start a process: ") + std::strerror(fork_errno));
  }

  ProcessExit exit;
  LineReader reader(options.on_line);
  double kill_at = 0;
  const double late_at = SteadySeconds() + options.max_seconds;
  std::vector<char> buffer(1 << 16);
  for (bool open = true; open;) {
    pollfd poll_fd{pipe_fds[0], POLLIN, 0};
    const int ready = ::poll(&poll_fd, 1, 200);
    if (ready > 0) {
      const ssize_t n = ::read(pipe_fds[0], buffer.data(), buffer.size());
      if (n > 0) reader.Feed({buffer.data(), static_cast<size_t>(n)});
      if (n == 0 || (n < 0 && errno != EINTR)) open = false;
    }
    const bool stop = (options.cancel != nullptr && options.cancel->load()) ||
                      (options.also_cancel && options.also_cancel());
    const bool late = options.max_seconds > 0 && SteadySeconds() > late_at;
    if ((stop || late) && !exit.cancelled && !exit.out_of_time) {
      (stop ? exit.cancelled : exit.out_of_time) = true;
      kill_at = SteadySeconds() + options.grace_seconds;
      ::kill(pid, SIGTERM);
    }
    if ((exit.cancelled || exit.out_of_time) && SteadySeconds() > kill_at) ::kill(pid, SIGKILL);
  }
  ::close(pipe_fds[0]);
  int status = 0;
  rusage usage{};
  while (::wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  exit.peak_rss_bytes = static_cast<int64_t>(usage.ru_maxrss) * 1024;
  if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) exit.signal = WTERMSIG(status);
  return exit;
}

std::string DescribeExit(const ProcessExit& exit) {
  if (exit.signal != 0) {
    return "killed by signal " + std::to_string(exit.signal) + " (" + ::strsignal(exit.signal) +
           ")";
  }
  return "exit status " + std::to_string(exit.code);
}

std::string HostName() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? ToLower(name) : std::string();
}

}  // namespace slipway
