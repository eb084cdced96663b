// What every command gets: the global flags, the hub's API, and how to print. Confined to the main
// thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/cli/remote_hub.h"
#include "slipway/cli/terminal.h"
#include "slipway/hub/hub.h"

namespace slipway {

// Exit codes (interfaces.md 2).
inline constexpr int kExitDone = 0, kExitFailed = 1, kExitUsage = 2, kExitNotFound = 3,
                     kExitNotAllowed = 4, kExitConflict = 5, kExitDifference = 6,
                     kExitUnavailable = 7, kExitInterrupted = 130;
int ExitCode(ErrorCode code);

// Set by SIGINT and SIGTERM.
extern std::atomic<bool> g_interrupted;

// The operating system's name of who runs this.
std::string LocalUser();

class Context {
 public:
  using Headers = std::map<std::string, std::string>;

  std::string home_flag;
  std::string server_flag, key_file_flag;  // --server, --key-file
  bool json = false;
  bool quiet = false;
  std::string command_line;  // for the lock's note

  // --home, $SLIPWAY_HOME, ~/.slipway.
  std::string HomePath() const;
  // Of a command that works on files of a home: kInvalidArgument with --server or --key-file.
  Status NeedsHome(std::string_view command) const;
  // The hub of --server; or the one that serves the home now, over HTTP with --key-file's key or
  // the home's token; or
  // the home opened in process on first use: for reading for GET, else as its one writer.
  Result<Json> Call(const std::string& method, const std::string& path, const Json& body = Json());
  // `headers`: If-Match and the like, by lower-case names; the answer's ETag is in its headers.
  Result<Response> CallRaw(const std::string& method, const std::string& path,
                           const Json& body = Json(), const Headers& headers = {});
  // GETs a file into `target`, which is whole and durable then, or as it was.
  Status Download(const std::string& path, const std::string& target);
  // For POSTs that change nothing (diff) or leave only a note for the process that holds the home's
  // lock (job abort).
  Result<Json> CallWithoutLock(const std::string& method, const std::string& path,
                               const Json& body = Json());
  // Sends a file (application/octet-stream) where the hub is reached over HTTP; false: it is not,
  // and a path will do.
  Result<bool> RemoteHub();
  Result<Json> Upload(const std::string& path, const std::string& file);
  // Blocks until the job ends; tells what happens meanwhile. `g_interrupted` aborts it. REQUIRES: a
  // Call of this process started it.
  Status Follow(const std::string& job, const std::function<void(const JobEvent&)>& on_event);

  // Human text to stdout unless --json; JSON document with --json.
  Status Print(const std::string& human, const Json& machine) const;
  // A message on stderr unless --quiet.
  void Say(const std::string& message) const;
  void Warn(const std::string& message) const;
  // With --json stderr has no text before a possible error: warnings wait and become its
  // "warnings", or are told here once the command has succeeded.
  void TellWarnings() const;
  // Prints the error as people or programs want it; gives the exit code.
  int Fail(const Error& error) const;

 private:
  // Opens the home in process; or finds, while it waits for the lock, the hub that has it
  // (`remote_`).
  Status OpenHub(bool write);
  // kInvalidArgument with --key-file.
  Status CheckNoKey() const;
  // Decides once whether the hub is reached over HTTP, and where.
  Status FindHub();
  Result<Response> Dispatch(const std::string& method, const std::string& path, const Json& body,
                            const Headers& headers = {});
  std::unique_ptr<Hub> hub_;
  bool writable_ = false;
  bool looked_ = false;
  std::unique_ptr<RemoteHubClient> remote_;  // nullptr: in process
  mutable std::vector<std::string> warnings_;
};

// Why a job that is not done failed, by its JSON; `otherwise`: when it does not say.
Error ErrorOfJob(const Json& job, const std::string& otherwise);

// "/api/v1/projects/{}/models/{}" with each {} replaced by an argument.
std::string ApiPath(std::string_view pattern, const std::vector<std::string>& parts);

// "PROJECT/NAME" in two.
struct ObjectRef {
  std::string project, name;
};
Result<ObjectRef> ParseObjectRef(std::string_view text, std::string_view what);

// A command line that makes no sense: kInvalidArgument, and the process exits with 2.
Error Usage(std::string message, std::string hint = "");

}  // namespace slipway
