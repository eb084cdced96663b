#include "slipway/apinode/admin_context.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/base/visible_text.h"
#include "slipway/serve/generation_store.h"

namespace slipway {
namespace {

bool g_admin_usage = false;  // the error is of the command line, not of the node

std::string HomePath(const std::string& flag) {
  if (!flag.empty()) return AbsolutePath(flag);
  if (const char* home = std::getenv("SLIPWAY_APINODE_HOME"); home != nullptr && *home != '\0')
    return AbsolutePath(home);
  const char* user = std::getenv("HOME");
  return JoinPath(user != nullptr && *user != '\0' ? user : ".", ".slipway-apinode");
}

enum class Home { kRuns, kStopped };

// Whether a node runs on this home: it holds HOME/node.lock. What kill -9 left of its address may
// by now be that of somebody who is not to get the key.
Result<Home> LookAtHome(const std::string& home) {
  const std::string path = JoinPath(home, "node.lock");
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return Home::kStopped;
  if (fd < 0) return FileError("open", path, errno);
  const bool is_free = ::flock(fd, LOCK_SH | LOCK_NB) == 0;
  const bool is_held = !is_free && errno == EWOULDBLOCK;
  const int error_number = errno;
  ::close(fd);
  if (!is_free && !is_held) return FileError("look at", path, error_number);
  return is_held ? Home::kRuns : Home::kStopped;
}

// A home that is not this user's.
Error MayNotRead(Error error, const std::string& home) {
  if (error.code == ErrorCode::kPermissionDenied)
    error.hint = "the home '" + home +
                 "' is for its node's user: run this as that user, or name the node with --url "
                 "URL and the key with --key-file FILE";
  return error;
}

Result<std::string> ReadKey(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 4096));
  const std::string key(Trim(text));
  if (key.empty()) return InvalidArgument("'" + path + "' holds no key");
  return key;
}

int AdminExitCode(const Error& error) {
  if (error.code == ErrorCode::kCorruption && error.hint == kFailedQueryHint)
    return kAdminDifference;
  switch (error.code) {
    case ErrorCode::kNotFound:
      return 3;
    case ErrorCode::kPermissionDenied:
      return 4;
    case ErrorCode::kConflict:
      return 5;
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
      return 7;
    case ErrorCode::kCancelled:
      return 130;
    case ErrorCode::kInvalidArgument:
      return g_admin_usage ? 2 : 1;
    case ErrorCode::kCorruption:
    case ErrorCode::kInternal:
      return 1;
  }
  return 1;
}

}  // namespace

Error AdminUsage(std::string message, std::string hint) {
  g_admin_usage = true;
  return InvalidArgument(std::move(message), std::move(hint));
}

Result<AdminClient> AdminContext::ClientFor(std::string_view address) const {
  AdminClientOptions options;
  options.ca_file = ca_file;
  if (certificate_file.empty() != certificate_key_file.empty())
    return AdminUsage("--certificate-file and --certificate-key-file belong together");
  options.certificate_file = certificate_file;
  options.certificate_key_file = certificate_key_file;
  options.insecure = insecure;
  options.epoch = epoch;
  options.timeout_seconds = timeout_seconds;
  const char* variable = std::getenv("SLIPWAY_API_KEY");
  std::string home_path;
  if (url.empty()) {
    home_path = HomePath(home);
    struct stat info{};
    if (::stat(home_path.c_str(), &info) != 0 && errno != ENOENT && errno != ENOTDIR)
      return MayNotRead(FileError("look at", home_path, errno), home_path);
    if (!IsDirectory(home_path))
      return NotFound("there is no home '" + home_path + "'",
                      "name the node's home with --home DIR, or its address with --url URL");
    Result<std::string> text = ReadFile(JoinPath(home_path, "node.json"), 1 << 16);
    if (!text.ok() && text.error().code != ErrorCode::kNotFound)
      return MayNotRead(text.error(), home_path);
    Result<Home> state = LookAtHome(home_path);
    if (!state.ok()) return MayNotRead(state.error(), home_path);
    if (!text.ok() && *state == Home::kRuns)
      return Unavailable("a node runs on the home '" + home_path +
                             "', but its address is not there: it has no node.json",
                         "name the address with --url and the key with --key-file " +
                             JoinPath(home_path, "admin.key") +
                             "; the node's log says both the address and why it is not noted");
    if (!text.ok() || *state == Home::kStopped)
      return Unavailable(
          "no node runs on the home '" + home_path + "'" +
              (text.ok() ? ": nobody holds its node.lock, the address in it is a former node's"
                         : ""),
          "start it: slipway-apinode --home " + home_path +
              (text.ok() ? "; one that runs on another machine: name its address with --url" : ""));
    ASSIGN_OR_RETURN(const Json node, ParseJson(*text));
    ASSIGN_OR_RETURN(options.url, GetString(node, address));
  } else {
    options.url = url;
  }
  if (!key_file.empty()) {
    ASSIGN_OR_RETURN(options.key, ReadKey(key_file));
  } else if (variable != nullptr && *variable != '\0') {
    options.key = variable;
  } else if (!home_path.empty()) {
    Result<std::string> key = ReadKey(JoinPath(home_path, "admin.key"));
    if (!key.ok()) return MayNotRead(key.error(), home_path);
    options.key = *std::move(key);
  }
  return AdminClient::Make(std::move(options));
}

Result<AdminClient> AdminContext::Client() const { return ClientFor("admin_url"); }
Result<AdminClient> AdminContext::ScoringClient() const { return ClientFor("url"); }

Status AdminContext::Print(const std::string& human, const Json& machine) const {
  const std::string text = json ? DumpJson(machine, ::isatty(STDOUT_FILENO) == 1 ? 2 : -1) + "\n"
                                : VisibleText(human, true);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return Unavailable("cannot write to standard output");
  return {};
}

void AdminContext::Say(const std::string& message) const {
  if (!quiet && !json) std::fprintf(stderr, "%s\n", VisibleText(message, true).c_str());
}

int AdminContext::Fail(const Error& error) const {
  if (json) {
    const Json body = {
        {"code", ErrorCodeName(error.code)}, {"message", error.message}, {"hint", error.hint}};
    std::fprintf(stderr, "%s\n", DumpJson(body).c_str());
  } else {
    std::fprintf(stderr, "error: %s\n", VisibleText(error.message, true).c_str());
    if (!error.hint.empty())
      std::fprintf(stderr, "help: %s\n", VisibleText(error.hint, true).c_str());
  }
  return AdminExitCode(error);
}

Result<std::string> ReadStdin() {
  std::string out;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("read", "standard input", errno);
    if (n == 0) return out;
    out.append(buffer, static_cast<size_t>(n));
    if (out.size() > (size_t{64} << 20)) return AdminUsage("standard input has more than 64 MB");
  }
}

std::string AlignedTable(std::vector<std::vector<std::string>> rows) {
  for (std::vector<std::string>& row : rows) {
    for (std::string& cell : row) cell = VisibleText(cell);
  }
  std::vector<size_t> widths;
  for (const std::vector<std::string>& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const std::vector<std::string>& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    out += line + "\n";
  }
  return out;
}

CLI::App* AddAdminCommand(CLI::App* app, AdminInvocation* invocation, const std::string& name,
                          const std::string& description,
                          std::function<Result<int>(AdminContext&)> run) {
  CLI::App* command = app->add_subcommand(name, description);
  command->fallthrough();
  command->footer(
      "Also --home DIR or --url URL, --key-file FILE, --ca-file FILE, --certificate-file FILE,\n"
      "--certificate-key-file FILE, --insecure, --timeout, --epoch, --json, --quiet: "
      "`slipway-apinode admin --help` tells what they are.");
  command->callback([invocation, run = std::move(run)] {
    invocation->run = [invocation, run] {
      try {
        Result<int> code = run(invocation->context);
        return code.ok() ? *code : invocation->context.Fail(code.error());
      } catch (const std::exception& e) {
        return invocation->context.Fail(Unavailable(
            std::string("the node's answer is not what this command expects: ") + e.what()));
      }
    };
  });
  return command;
}

}  // namespace slipway
