// What every command of `slipway-apinode admin` gets: where the node is, and how to print. Confined
// to the main thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/apinode/admin_client.h"
#include "slipway/base/json.h"
#include "slipway/base/result.h"

namespace CLI {
class App;
}

namespace slipway {

class AdminContext {
 public:
  std::string home, url, key_file, ca_file, certificate_file, certificate_key_file, epoch;
  double timeout_seconds = 600;
  bool insecure = false, json = false, quiet = false;

  // By --url and --key-file, else by what a running node leaves in its home.
  Result<AdminClient> Client() const;
  // The same for scoring, which may be at another address.
  Result<AdminClient> ScoringClient() const;

  // stdout: the document with --json, else `human`.
  Status Print(const std::string& human, const Json& machine) const;
  // A message on stderr, unless --json or --quiet.
  void Say(const std::string& message) const;
  // The error as people or programs want it; gives the exit code.
  int Fail(const Error& error) const;

 private:
  Result<AdminClient> ClientFor(std::string_view address) const;
};

// A command line that makes no sense: the process exits with 2.
Error AdminUsage(std::string message, std::string hint = "");

// All of standard input.
Result<std::string> ReadStdin();

// Aligned columns, two blanks between them; control characters in cells are shown as \n, \x1b.
std::string AlignedTable(std::vector<std::vector<std::string>> rows);

// A command's name, its arguments' parser and what it does; the commands register themselves.
struct AdminInvocation {
  AdminContext context;
  std::function<int()> run;
};
CLI::App* AddAdminCommand(CLI::App* app, AdminInvocation* invocation, const std::string& name,
                          const std::string& description,
                          std::function<Result<int>(AdminContext&)> run);
void AddServiceCommands(CLI::App* app, AdminInvocation* invocation);
void AddGenerationCommands(CLI::App* app, AdminInvocation* invocation);
void AddNodeCommands(CLI::App* app, AdminInvocation* invocation);

inline constexpr int kAdminDone = 0, kAdminDifference = 6;

}  // namespace slipway
