#include "slipway/cli/context.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include <pwd.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/names.h"
#include "slipway/base/text.h"
#include "slipway/http/url.h"

namespace slipway {

std::atomic<bool> g_interrupted{false};

namespace {
constexpr double kLockSeconds = 10;        // for the home's lock
constexpr double kShortLockSeconds = 0.3;  // then it looks for a hub again
bool g_usage = false;  // one command a process: its one error is of the command line
}  // namespace

Error Usage(std::string message, std::string hint) {
  g_usage = true;
  return InvalidArgument(std::move(message), std::move(hint));
}

std::string LocalUser() {
  const passwd* user = ::getpwuid(::getuid());
  return user != nullptr ? user->pw_name : "uid-" + std::to_string(::getuid());
}

int ExitCode(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return kExitNotFound;
    case ErrorCode::kPermissionDenied:
      return kExitNotAllowed;
    case ErrorCode::kConflict:
      return kExitConflict;
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
      return kExitUnavailable;
    case ErrorCode::kCancelled:
      return kExitInterrupted;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kCorruption:
    case ErrorCode::kInternal:
      return kExitFailed;
  }
  return kExitFailed;
}

std::string Context::HomePath() const {
  if (!home_flag.empty()) return AbsolutePath(home_flag);
  const char* env = std::getenv("SLIPWAY_HOME");
  if (env != nullptr && *env != '\0') return AbsolutePath(env);
  const char* user_home = std::getenv("HOME");
  return JoinPath(user_home != nullptr && *user_home != '\0' ? user_home : "/", ".slipway");
}

// Never quietly with more rights than the key that was given.
Status Context::CheckNoKey() const {
  if (key_file_flag.empty()) return {};
  return Usage(
      "--key-file is a key for a hub, and no hub serves '" + HomePath() + "'",
      "name the hub with --server URL; or leave out --key-file, to work on the home as this "
      "machine's administrator");
}

Status Context::NeedsHome(std::string_view command) const {
  if (server_flag.empty() && !key_file_flag.empty()) {
    return Usage("'" + std::string(command) +
                     "' works on a home of this machine, not through a hub with a --key-file",
                 "leave out --key-file");
  }
  if (server_flag.empty()) return {};
  return Usage("'" + std::string(command) + "' works on a home of this machine, not on --server",
               "run it where the hub's home is, with --home HOME");
}

Status Context::OpenHub(bool write) {
  if (hub_ && (writable_ || !write)) return {};
  RETURN_IF_ERROR(CheckNoKey());
  hub_.reset();
  HubOptions options;
  options.home = HomePath();
  options.write = write;
  options.command = command_line;
  options.lock_seconds = kShortLockSeconds;
  const double give_up = SteadySeconds() + kLockSeconds;
  for (;;) {
    auto opened = Hub::Open(options);
    if (opened.ok()) {
      hub_ = *std::move(opened);
      break;
    }
    if (opened.error().code != ErrorCode::kUnavailable) return opened.error();
    // Whoever has the lock may be a hub that has only just begun to serve.
    ASSIGN_OR_RETURN(remote_, RemoteHubClient::OfHome(HomePath(), key_file_flag));
    if (remote_ != nullptr) return {};
    if (SteadySeconds() >= give_up) return opened.error();
  }
  writable_ = write;
  for (const std::string& notice : hub_->notices()) Warn(notice);
  return {};
}

Status Context::FindHub() {
  if (std::exchange(looked_, true)) return {};
  if (!server_flag.empty()) {
    if (!home_flag.empty()) return Usage("--home and --server are two places", "give one of them");
    RemoteHubOptions options;
    options.url = server_flag;
    ASSIGN_OR_RETURN(options.key, ReadApiKey(key_file_flag));
    ASSIGN_OR_RETURN(remote_, RemoteHubClient::Make(options));
    return {};
  }
  ASSIGN_OR_RETURN(remote_, RemoteHubClient::OfHome(HomePath(), key_file_flag));
  return remote_ != nullptr ? Status() : CheckNoKey();
}

Result<bool> Context::RemoteHub() {
  RETURN_IF_ERROR(FindHub());
  return remote_ != nullptr;
}

Result<Json> Context::Upload(const std::string& path, const std::string& file) {
  RETURN_IF_ERROR(FindHub());
  if (remote_ == nullptr) return Internal("no hub to send a file to");
  RETURN_IF_ERROR(
      remote_->Send("GET", "/api/v1/whoami", ""));  // large files are taken from friends
  ASSIGN_OR_RETURN(const Response response, remote_->Send("POST", path, "", file));
  return ParseJson(response.body);
}

Status Context::Follow(const std::string& job,
                       const std::function<void(const JobEvent&)>& on_event) {
  if (remote_ != nullptr) return remote_->Follow(job, on_event, &g_interrupted);
  return hub_->jobs().Follow(job, on_event, &g_interrupted);
}

Result<Response> Context::CallRaw(const std::string& method, const std::string& path,
                                  const Json& body, const Headers& headers) {
  RETURN_IF_ERROR(FindHub());
  if (remote_ == nullptr) RETURN_IF_ERROR(OpenHub(method != "GET"));
  if (remote_ != nullptr)
    return remote_->Send(method, path, body.is_null() ? "" : DumpJson(body), "", headers);
  return Dispatch(method, path, body, headers);
}

Error ErrorOfJob(const Json& job, const std::string& otherwise) {
  if (job.value("status", "") == "aborted") return Cancelled("aborted; " + otherwise);
  if (job.value("interrupted", false))
    return Unavailable("the process that ran " + job.value("job", "the job") +
                       " ended in the middle; " + otherwise);
  for (const Json& activity : job.value("activities", Json::array())) {
    const Json* details = FindMember(activity, "details");
    const Json* error = details == nullptr ? nullptr : FindMember(*details, "error");
    if (error != nullptr && error->is_object())
      return Error{ErrorCodeFromName(error->value("code", "")), error->value("message", otherwise),
                   error->value("hint", "")};
  }
  const Json* text = FindMember(job, "error");
  return InvalidArgument(text != nullptr && text->is_string() ? text->get<std::string>()
                                                              : otherwise);
}

Status Context::Download(const std::string& path, const std::string& target) {
  const std::string temp = JoinPath(DirName(target), "." + BaseName(target) + "." + RandomId());
  RETURN_IF_ERROR(FindHub());
  if (remote_ == nullptr) RETURN_IF_ERROR(OpenHub(false));
  Status status;
  if (remote_ != nullptr) {
    auto answer = remote_->Send("GET", path, "", "", {}, temp);
    if (!answer.ok()) status = answer.error();
  } else {
    ASSIGN_OR_RETURN(const Response response, Dispatch("GET", path, Json()));
    std::error_code error;
    std::filesystem::copy_file(response.file, temp, error);
    if (error) status = FileError("write", target, error.value());
  }
  if (status.ok()) status = FsyncFile(temp);
  if (status.ok()) status = RenameDurably(temp, target);
  if (!status.ok()) (void)RemoveAll(temp).ok();
  return status;
}

Result<Json> Context::CallWithoutLock(const std::string& method, const std::string& path,
                                      const Json& body) {
  RETURN_IF_ERROR(FindHub());
  if (remote_ != nullptr) return Call(method, path, body);
  RETURN_IF_ERROR(OpenHub(false));
  ASSIGN_OR_RETURN(Response response, Dispatch(method, path, body));
  return ParseJson(response.body);
}

Result<Response> Context::Dispatch(const std::string& method, const std::string& path,
                                   const Json& body, const Headers& headers) {
  Request request;
  request.headers = headers;
  request.method = method;
  const size_t question = path.find('?');
  request.path = path.substr(0, question);
  if (question != std::string::npos) request.query = ParseQuery(path.substr(question + 1));
  request.who = LocalUser();
  if (!body.is_null()) request.body = DumpJson(body);
  Response response = hub_->Dispatch(std::move(request), nullptr);
  if (response.status >= 400) return ErrorFromResponse(response);
  return response;
}

Result<Json> Context::Call(const std::string& method, const std::string& path, const Json& body) {
  ASSIGN_OR_RETURN(Response response, CallRaw(method, path, body));
  if (response.body.empty()) return Json();
  return ParseJson(response.body, {.max_bytes = size_t{1} << 30, .max_depth = 256});
}

Status Context::Print(const std::string& human, const Json& machine) const {
  if (json) return WriteStdout(DumpJson(machine, StdoutIsTerminal() ? 2 : -1) + "\n");
  return WriteStdout(ForTerminal(human));
}

void Context::Say(const std::string& message) const {
  if (!quiet && !json) std::fprintf(stderr, "%s\n", ForTerminal(message).c_str());
}

void Context::Warn(const std::string& message) const {
  if (json) {
    warnings_.push_back(message);
  } else if (!quiet) {
    std::fprintf(stderr, "%s %s\n", Styled("warning:", Style::kYellow, StderrIsTerminal()).c_str(),
                 ForTerminal(message).c_str());
  }
}

void Context::TellWarnings() const {
  for (const std::string& warning : warnings_) {
    if (!quiet) std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
  warnings_.clear();
}

int Context::Fail(const Error& error) const {
  if (json) {
    Json body = ErrorToJson(error);
    if (!warnings_.empty()) body["warnings"] = warnings_;
    std::fprintf(stderr, "%s\n", DumpJson(body).c_str());
  } else {
    const bool terminal = StderrIsTerminal();
    std::fprintf(stderr, "%s %s\n", Styled("error:", Style::kRed, terminal).c_str(),
                 ForTerminal(error.message).c_str());
    if (!error.hint.empty())
      std::fprintf(stderr, "%s %s\n", Styled("help:", Style::kCyan, terminal).c_str(),
                   ForTerminal(error.hint).c_str());
  }
  if (error.code == ErrorCode::kInvalidArgument && g_usage) return kExitUsage;
  return ExitCode(error.code);
}

std::string ApiPath(std::string_view pattern, const std::vector<std::string>& parts) {
  std::string out;
  size_t next = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern.substr(i, 2) == "{}" && next < parts.size()) {
      out += parts[next++];
      ++i;
    } else {
      out += pattern[i];
    }
  }
  return out;
}

Result<ObjectRef> ParseObjectRef(std::string_view text, std::string_view what) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || text.find('/', slash + 1) != std::string_view::npos) {
    return Usage("'" + std::string(text) + "' does not name a " + std::string(what),
                 "write it as PROJECT/NAME");
  }
  ObjectRef ref{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
  if (!IsValidName(ref.project) || !IsValidName(ref.name)) {
    return Usage("'" + std::string(text) + "' does not name a " + std::string(what),
                 NameRule(IsValidName(ref.project) ? ref.name : ref.project));
  }
  return ref;
}

}  // namespace slipway
