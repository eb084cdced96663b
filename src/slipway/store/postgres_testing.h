// For tests: a real PostgreSQL server on a temporary folder and a Unix socket there, started once a
// process and stopped at its end. PostgreSQL does not run as root: then the user `postgres` runs
// it.
#pragma once

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slipway/base/file.h"
#include "slipway/store/postgres.h"

namespace slipway {

class PostgresServer {
 public:
  // Null when PostgreSQL is not installed or does not start: why() says it.
  static PostgresServer* Shared() {
    static PostgresServer server;
    if (server.pid_ == 0 && server.why_.empty()) server.Start();
    return server.why_.empty() ? &server : nullptr;
  }
  static std::string why() {
    return Shared() != nullptr ? ""
                               : "NO PostgreSQL: " + TheWhy() + " (apt-get install postgresql)";
  }
  // The database `postgres`, with a schema that nobody has had.
  std::string NewUrl() {
    return Url("test_" + std::to_string(::getpid()) + "_" + std::to_string(++schemas_));
  }
  std::string Url(const std::string& schema) const {
    return "postgresql://slipway@/postgres?host=" + dir_.path() + "&schema=" + schema;
  }
  std::string socket() const { return dir_.path() + "/.s.PGSQL.5432"; }
  // The same schema, over TCP at a port that leads to the socket.
  static std::string UrlThrough(int port, const std::string& url) {
    return "postgresql://slipway@127.0.0.1:" + std::to_string(port) +
           "/postgres?schema=" + url.substr(url.find("schema=") + 7);
  }
  // Ends it at once and starts it again on the same data.
  bool Restart() {
    Stop(SIGQUIT);
    return StartServer();
  }
  ~PostgresServer() {
    if (owner_ == ::getpid()) Stop(SIGQUIT);
    if (owner_ != ::getpid()) dir_.Forget();  // a fork's copy
  }

 private:
  // TempDir of the process that made it.
  class OwnedDir {
   public:
    const std::string& path() const { return dir_->path(); }
    void Set(TempDir dir) { dir_ = new TempDir(std::move(dir)); }
    void Forget() { dir_ = nullptr; }
    ~OwnedDir() { delete dir_; }

   private:
    TempDir* dir_ = nullptr;
  };

  static std::string& TheWhy() {
    static std::string why;
    return why;
  }

  static std::string Binary(const std::string& name) {
    std::vector<std::string> found;
    std::error_code ec;
    for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", ec)) {
      const std::string path = version.path().string() + "/bin/" + name;
      if (PathExists(path)) found.push_back(path);
    }
    return found.empty() ? "" : found.back();
  }

  // In a child, as the user that may run PostgreSQL; it ends with this process.
  pid_t Spawn(const std::vector<std::string>& command) const {
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const std::string log = dir_.path() + "/log";
    const pid_t child = ::fork();
    if (child != 0) return child;
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (user_ != 0 && (::setgid(group_) != 0 || ::setuid(user_) != 0)) ::_exit(126);
    ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
    ::dup2(out, 1);
    ::dup2(out, 2);
    if (::chdir("/") == 0) ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }

  std::string LogText() const {
    auto text = ReadFile(dir_.path() + "/log");
    return text.ok() ? text->substr(text->size() > 2000 ? text->size() - 2000 : 0) : "";
  }

  void Start() {
    owner_ = ::getpid();
    std::string& why = TheWhy();
    const std::string initdb = Binary("initdb");
    if (initdb.empty()) why = "it is not installed";
    if (::getuid() == 0) {
      const passwd* user = ::getpwnam("postgres");
      if (user == nullptr) why = "root cannot run it, and there is no user 'postgres'";
      if (user != nullptr) std::tie(user_, group_) = std::pair(user->pw_uid, user->pw_gid);
    }
    auto made = TempDir::Make("/tmp");  // a socket's path is short
    if (!made.ok()) why = made.error().message;
    if (!(why_ = why).empty()) return;
    dir_.Set(*std::move(made));
    if (user_ != 0 && ::chown(dir_.path().c_str(), user_, group_) != 0) why = "chown";
    ::chmod(dir_.path().c_str(), 0755);
    int status = 0;
    ::waitpid(Spawn({initdb, "-D", dir_.path() + "/data", "-U", "slipway", "--auth=trust",
                     "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"}),
              &status, 0);
    if (status != 0) why = "initdb failed: " + LogText();
    if (why.empty() && !StartServer()) why = "it does not start: " + LogText();
    why_ = why;
  }

  bool StartServer() {
    pid_ = Spawn({Binary("postgres"), "-D", dir_.path() + "/data", "-k", dir_.path(), "-h", "",
                  "-F", "-c", "shared_buffers=16MB", "-c", "max_connections=50"});
    for (int i = 0; i < 600; ++i) {
      if (OpenPostgres(Url("probe"), OpenMode::kCreate).ok()) return true;
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) return false;
      ::usleep(50'000);
    }
    return false;
  }

  void Stop(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  OwnedDir dir_;
  std::string why_;
  pid_t pid_ = 0, owner_ = 0;
  uid_t user_ = 0;
  gid_t group_ = 0;
  int schemas_ = 0;
};

}  // namespace slipway
