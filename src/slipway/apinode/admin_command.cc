// slipway-apinode admin: the command line over the admin API of a running node.
#include <csignal>
#include <cstdio>

#include <CLI/CLI.hpp>

#include "slipway/apinode/admin_context.h"
#include "slipway/apinode/commands.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* each : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(each->get_name());
  return names;
}

// The first word that stands where a command does, and names none.
std::string UnknownCommand(const std::vector<std::string>& arguments,
                           const std::vector<std::string>& names) {
  static const std::vector<std::string> with_value = {"--home",
                                                      "--url",
                                                      "--key-file",
                                                      "--ca-file",
                                                      "--certificate-file",
                                                      "--certificate-key-file",
                                                      "--timeout",
                                                      "--epoch"};
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word.empty() || word.front() == '-') {
      if (std::find(with_value.begin(), with_value.end(), word) != with_value.end()) ++i;
      continue;
    }
    return std::find(names.begin(), names.end(), word) == names.end() ? word : "";
  }
  return "";
}

Error Misunderstood(const CLI::App& app, const CLI::ParseError& error,
                    const std::vector<std::string>& arguments) {
  const std::vector<std::string> names = CommandNames(app);
  if (const std::string unknown = UnknownCommand(arguments, names); !unknown.empty()) {
    std::string hint = DidYouMean(unknown, names);
    if (hint.empty()) hint = "`slipway-apinode admin --help` lists the commands";
    return AdminUsage("'slipway-apinode admin' has no command '" + unknown + "'", std::move(hint));
  }
  const auto chosen = app.get_subcommands();
  const std::string name =
      "slipway-apinode admin" + (chosen.empty() ? "" : " " + chosen.front()->get_name());
  return AdminUsage(error.what(), "`" + name + " --help` tells what it takes");
}

}  // namespace

int RunAdmin(const std::vector<std::string>& arguments) {
  ::signal(SIGPIPE, SIG_IGN);
  AdminInvocation invocation;
  AdminContext& context = invocation.context;
  CLI::App app{"Administers a running API node.", "slipway-apinode admin"};
  app.require_subcommand(1);
  app.fallthrough();
  CLI::Option* home = app.add_option("--home", context.home,
                                     "the node's home, on this machine (default: "
                                     "$SLIPWAY_APINODE_HOME, else ~/.slipway-apinode)");
  app.add_option("--url", context.url, "the node's address instead: http://HOST:PORT")
      ->excludes(home);
  app.add_option("--key-file", context.key_file,
                 "a file with the admin key (default: $SLIPWAY_API_KEY, else HOME/admin.key)");
  app.add_option("--ca-file", context.ca_file, "https: the certificate that signed the node's");
  app.add_option("--certificate-file", context.certificate_file,
                 "https: this client's certificate, for a node with tls.client_ca_file");
  app.add_option("--certificate-key-file", context.certificate_key_file, "its key");
  app.add_flag("--insecure", context.insecure, "https: whatever certificate the node shows");
  app.add_option("--timeout", context.timeout_seconds, "seconds without an answer (default 600)")
      ->check(CLI::Range(0.1, 86400.0));
  app.add_option("--epoch", context.epoch,
                 "sent with every change: the node refuses one lower than it has seen")
      ->check([](const std::string& text) -> std::string {
        const std::optional<int64_t> number = ParseInt64(text);
        return number && *number >= 0 ? "" : "'" + text + "' is no whole number from 0 to 2^63 - 1";
      });
  app.add_flag("--json", context.json, "print one JSON document");
  app.add_flag("--quiet", context.quiet, "no messages on stderr");
  app.footer(
      "A new version:\n"
      "  slipway-apinode admin service-import-generation fares fares-v2.zip\n"
      "  slipway-apinode admin service-test-generation fares v2\n"
      "  slipway-apinode admin service-set-mapping fares v1=90 v2=10\n"
      "  slipway-apinode admin service-switch-to-newest fares\n"
      "and back:\n"
      "  slipway-apinode admin service-switch-to-generation fares v1\n"
      "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 not allowed, 5 conflict, 6 a test "
      "query\nfailed, 7 unavailable.");
  AddServiceCommands(&app, &invocation);
  AddGenerationCommands(&app, &invocation);
  AddNodeCommands(&app, &invocation);
  // Known before anything is parsed: what cannot be parsed is told in the form that was asked for.
  context.json = std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return context.Fail(Misunderstood(app, error, arguments));
  }
  return invocation.run ? invocation.run() : 2;
}

}  // namespace slipway
