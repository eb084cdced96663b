#include "slipway/cli/trial_node.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "slipway/base/clock.h"
#include "slipway/base/text.h"
#include "slipway/cli/context.h"

extern char** environ;

namespace slipway {
namespace {

constexpr double kStartSeconds = 60;
constexpr double kAnswerSeconds = 600;
constexpr size_t kMaxAnswer = 256 << 20;

std::string NodeProgram() {
  const char* given = std::getenv("SLIPWAY_APINODE");
  return given != nullptr && *given != '\0' ? given : JoinPath(ExecutableDir(), "slipway-apinode");
}

std::string Base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    for (size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < n ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) out += j <= n ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

Error Broken(const char* what) {
  return Unavailable(std::string("the API node's connection broke: ") + what + ": " +
                     std::strerror(errno));
}

// Waits for bytes, the end or an interrupt.
Result<bool> Readable(int fd, double until) {
  for (;;) {
    if (g_interrupted) return Cancelled("interrupted");
    const double left = until - SteadySeconds();
    if (left <= 0) return false;
    pollfd poll_fd{fd, POLLIN, 0};
    const int ready = ::poll(&poll_fd, 1, static_cast<int>(std::min(left, 0.2) * 1000) + 1);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return Broken("poll");
  }
}

// One request on a connection of its own; the answer up to its end.
Result<std::string> Exchange(int port, const std::string& request) {
  const Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.fd() < 0) return Broken("socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Broken("connect");
  for (std::string_view rest = request; !rest.empty();) {
    const ssize_t n = ::send(socket.fd(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Broken("send");
    rest.remove_prefix(static_cast<size_t>(n));
  }
  std::string answer;
  std::vector<char> buffer(1 << 16);
  const double until = SteadySeconds() + kAnswerSeconds;
  for (;;) {
    ASSIGN_OR_RETURN(const bool readable, Readable(socket.fd(), until));
    if (!readable) return DeadlineExceeded("the API node did not answer in time");
    const ssize_t n = ::recv(socket.fd(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Broken("recv");
    if (n == 0) return answer;
    answer.append(buffer.data(), static_cast<size_t>(n));
    if (answer.size() > kMaxAnswer) return Unavailable("the API node's answer does not end");
  }
}

ErrorCode CodeOfStatus(int status) {
  return status == 404   ? ErrorCode::kNotFound
         : status == 409 ? ErrorCode::kConflict
         : status < 500  ? ErrorCode::kInvalidArgument
                         : ErrorCode::kUnavailable;
}

// Between fork and exec: only async-signal-safe calls.
[[noreturn]] void ExecNode(char* const* argv, char* const* env, int out_fd, int log_fd,
                           pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  ::setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null_fd = ::open("/dev/null", O_RDONLY);
  ::dup2(null_fd, 0);
  ::dup2(out_fd, 1);
  ::dup2(log_fd, 2);
  ::execve(argv[0], argv, env);
  ::_exit(127);
}

// Its settings come from nowhere but the command line.
std::vector<char*> CleanEnvironment() {
  std::vector<char*> env;
  for (char** each = environ; *each != nullptr; ++each) {
    if (!std::string_view(*each).starts_with("SLIPWAY_")) env.push_back(*each);
  }
  env.push_back(nullptr);
  return env;
}

}  // namespace

Result<std::unique_ptr<TrialNode>> TrialNode::Start() {
  const std::string program = NodeProgram();
  if (!PathExists(program)) {
    return Unavailable("there is no API node to test with: '" + program + "' does not exist",
                       "it is installed beside slipway; $SLIPWAY_APINODE may name another one");
  }
  std::unique_ptr<TrialNode> node(new TrialNode());
  ASSIGN_OR_RETURN(node->folder_, TempDir::Make());
  const std::string home = node->folder_.File("home"), log = node->folder_.File("log");
  std::vector<std::string> words = {program, "--home", home, "--listen", "127.0.0.1:0"};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<char*> env = CleanEnvironment();
  int out[2];
  if (::pipe2(out, O_CLOEXEC) != 0)
    return Unavailable(std::string("cannot make a pipe: ") + std::strerror(errno));
  const Socket reading(out[0]);
  const int log_fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t parent = ::getpid();
  node->pid_ = ::fork();
  if (node->pid_ == 0) ExecNode(argv.data(), env.data(), out[1], log_fd, parent);
  ::close(out[1]);
  if (log_fd >= 0) ::close(log_fd);
  if (node->pid_ < 0)
    return Unavailable(std::string("cannot start a process: ") + std::strerror(errno));
  RETURN_IF_ERROR(node->WaitUntilReady(out[0]));
  ASSIGN_OR_RETURN(const std::string key, ReadFile(JoinPath(home, "admin.key"), 1 << 16));
  node->key_ = Trim(key);
  return node;
}

// Its one line on standard output ends in its URL.
Status TrialNode::WaitUntilReady(int fd) {
  std::string line;
  const double until = SteadySeconds() + kStartSeconds;
  while (line.find('\n') == std::string::npos) {
    ASSIGN_OR_RETURN(const bool readable, Readable(fd, until));
    if (!readable) return DeadlineExceeded("the API node was not ready in time", LastWords());
    char buffer[1024];
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Unavailable("the API node ended before it was ready", LastWords());
    line.append(buffer, static_cast<size_t>(n));
  }
  const size_t colon = line.rfind(':', line.find('\n'));
  if (colon != std::string::npos) {
    const auto port = ParseInt64(Trim(line.substr(colon + 1, line.find('\n') - colon - 1)));
    if (port && *port > 0 && *port < 65536) port_ = static_cast<int>(*port);
  }
  if (port_ == 0)
    return Unavailable("the API node did not say where it listens: " + line.substr(0, 200));
  return {};
}

std::string TrialNode::LastWords() const {
  auto text = ReadFile(folder_.File("log"));
  if (!text.ok() || text->empty()) return "";
  return "it said: " +
         std::string(Trim(text->size() > 600 ? text->substr(text->size() - 600) : *text));
}

TrialNode::~TrialNode() {
  if (pid_ <= 0) return;
  // Nothing that it holds is to be kept: there is nothing to drain.
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<Json> TrialNode::Post(const std::string& path) {
  const std::string request = "POST " + path +
                              " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port_) +
                              "\r\nAuthorization: Basic " + Base64(key_ + ":") +
                              "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  ASSIGN_OR_RETURN(const std::string answer, Exchange(port_, request));
  const size_t end = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.1 ") || end == std::string::npos)
    return Unavailable("the API node's answer is no HTTP", LastWords());
  const int status = static_cast<int>(ParseInt64(answer.substr(9, 3)).value_or(0));
  const std::string body = answer.substr(end + 4);
  auto json = ParseJson(body, {.max_bytes = kMaxAnswer, .max_depth = 256});
  if (status >= 200 && status < 300) return json;
  const std::string message = json.ok() && json->is_object()
                                  ? json->value("message", std::string())
                                  : "the API node answered " + std::to_string(status);
  return Error{CodeOfStatus(status), message,
               json.ok() && json->is_object() ? json->value("hint", std::string()) : ""};
}

Status TrialNode::Import(const std::string& package, const std::string& service) {
  const std::string folder = folder_.File("home/import");
  RETURN_IF_ERROR(MakeDirs(folder, 0700));
  const std::string path = JoinPath(folder, "package.zip");
  std::error_code error;
  std::filesystem::copy_file(package, path, error);
  if (error) return FileError("copy '" + package + "' to", path, error.value());
  std::string query;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    static constexpr char kHex[] = "0123456789ABCDEF";
    if (std::isalnum(byte) != 0 || std::string_view("/-_.").find(c) != std::string_view::npos) {
      query += c;
    } else {
      query += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  auto answer = Post("/admin/api/services/" + service +
                     "/generations/actions/importFromArchive?filePath=" + query);
  if (!answer.ok()) return std::move(answer).error();
  return {};
}

Result<Json> TrialNode::Test(const std::string& service, const std::string& generation) {
  return Post("/admin/api/services/" + service + "/generations/" + generation + "/actions/test");
}

}  // namespace slipway
