// slipway: the command line. Parses, then calls the hub's routes in process; one function per
// command.
#include <cstdio>
#include <cstring>

#include <signal.h>

#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/flow/tasks.h"

namespace slipway {
namespace {

void OnSignal(int) {
  // The second one does not wait for anything.
  if (g_interrupted.exchange(true)) ::_exit(kExitInterrupted);
}

// The deepest subcommand that the words name, and the first word that it does not know.
void SuggestCommand(CLI::App* app, int argc, char** argv) {
  CLI::App* at = app;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.empty() || word.front() == '-') {
      if (word == "--home") ++i;
      continue;
    }
    std::vector<std::string> names;
    for (CLI::App* sub : at->get_subcommands([](CLI::App*) { return true; }))
      names.push_back(sub->get_name());
    if (names.empty()) return;
    if (CLI::App* sub = FindSubcommand(at, word); sub != nullptr) {
      at = sub;
      continue;
    }
    const std::string hint = DidYouMean(word, names);
    std::fprintf(stderr, "error: there is no command '%s'%s%s\n", word.c_str(),
                 at == app ? "" : " below ", at == app ? "" : at->get_name().c_str());
    if (!hint.empty()) std::fprintf(stderr, "help: %s\n", hint.c_str());
    return;
  }
}

bool KnowsEveryCommand(CLI::App* app, int argc, char** argv) {
  CLI::App* at = app;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.empty() || word.front() == '-') {
      if (word == "--home") ++i;
      continue;
    }
    if (at->get_subcommands([](CLI::App*) { return true; }).empty()) return true;
    CLI::App* sub = FindSubcommand(at, word);
    if (sub == nullptr) return false;
    at = sub;
  }
  return true;
}

int Run(int argc, char** argv) {
  Invocation invocation;
  CLI::App app("Slipway takes a model to production: datasets, recipes, versions, batch scoring.",
               "slipway");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", "slipway " SLIPWAY_VERSION);
  app.add_option("--home", invocation.context.home_flag,
                 "the home (default: $SLIPWAY_HOME, else ~/.slipway)");
  app.add_flag("--json", invocation.context.json, "print one JSON document");
  app.add_flag("--quiet", invocation.context.quiet, "no messages and no progress on stderr");
  app.footer(
      "First steps:\n  slipway demo                                   the whole thread on "
      "generated taxi trips\n"
      "  slipway init && slipway apply -f project.yaml  a project of your own\n"
      "  slipway score --model model.txt --input new.csv --output scored.csv\n"
      "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 not allowed, 5 conflict, 6 a "
      "difference was found,\n"
      "7 unavailable, 130 interrupted. `slipway COMMAND --help` tells more.");
  AddDemoCommand(&app, &invocation);
  AddProjectCommands(&app, &invocation);
  AddDatasetCommands(&app, &invocation);
  AddBuildCommands(&app, &invocation);
  AddModelCommands(&app, &invocation);
  AddScoreCommand(&app, &invocation);
  AddSystemCommands(&app, &invocation);
  AddLaterCommands(&app, &invocation);
  for (int i = 0; i < argc; ++i)
    invocation.context.command_line +=
        (i > 0 ? " " : "") + std::string(i == 0 ? "slipway" : argv[i]);
  if (!KnowsEveryCommand(&app, argc, argv)) {
    SuggestCommand(&app, argc, argv);
    return kExitUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    app.exit(e);
    return kExitUsage;
  }
  return invocation.run ? invocation.run() : kExitUsage;
}

}  // namespace

void Handle(CLI::App* command, Invocation* invocation, std::function<Result<int>(Context&)> run) {
  command->fallthrough();
  command->callback([invocation, run = std::move(run)] {
    invocation->run = [invocation, run] {
      Result<int> result = run(invocation->context);
      return result.ok() ? *result : invocation->context.Fail(result.error());
    };
  });
}

}  // namespace slipway

int main(int argc, char** argv) {
  // The worker's side comes first: nothing of the command line is set up for it.
  if (argc == 3 && std::strcmp(argv[1], "worker") == 0) return slipway::WorkerMain(argv[2]);
  struct sigaction action{};
  action.sa_handler = slipway::OnSignal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  try {
    return slipway::Run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: unexpected failure: %s\n", e.what());
    return slipway::kExitFailed;
  }
}
