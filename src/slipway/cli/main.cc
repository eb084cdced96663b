// slipway: the command line. Parses, then calls the hub's routes in process; one function per
// command.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include <signal.h>

#include "slipway/base/standard_descriptors.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/help.h"
#include "slipway/flow/tasks.h"
#include "slipway/store/postgres_url.h"

namespace slipway {
namespace {

void OnSignal(int) {
  // The second one does not wait for anything.
  if (g_interrupted.exchange(true)) ::_exit(kExitInterrupted);
}

// Where on the command line parsing stands: the deepest command that the words name, and the first
// word that names none although commands go on there.
struct Place {
  CLI::App* at = nullptr;
  std::string name = "slipway";
  std::string unknown;
};

Place FindPlace(CLI::App* app, int argc, char** argv) {
  Place place{.at = app};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.empty() || word.front() == '-') {
      for (const char* option : {"--home", "--server", "--key-file", "--ca-file", "--registry"})
        i += word == option;
      continue;
    }
    if (place.at->get_subcommands([](CLI::App*) { return true; }).empty()) break;
    CLI::App* sub = FindSubcommand(place.at, word);
    if (sub == nullptr) {
      place.unknown = word;
      break;
    }
    place.at = sub;
    place.name += " " + word;
  }
  return place;
}

std::vector<std::string> CommandsOf(CLI::App* app, bool later = false) {
  std::vector<std::string> names;
  for (CLI::App* sub : app->get_subcommands([](CLI::App* s) { return !s->get_group().empty(); })) {
    if (later || sub->get_group() != "Later") names.push_back(sub->get_name());
  }
  return names;
}

// The first "--word" that neither the command nor one above it has, and what was meant.
Error UnknownOption(const Place& place, CLI::App* app, int argc, char** argv) {
  std::vector<std::string> known;
  for (CLI::App* at = place.at; at != nullptr; at = at == app ? nullptr : at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
  }
  const std::string help = "`" + place.name + " --help` tells what it takes";
  for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
    const std::string word = std::string(argv[i]).substr(0, std::string_view(argv[i]).find('='));
    if (word.rfind("--", 0) != 0 || std::find(known.begin(), known.end(), word) != known.end())
      continue;
    const std::string meant = DidYouMean(word, known);
    return InvalidArgument("'" + place.name + "' has no option '" + word + "'",
                           meant.empty() ? help : meant);
  }
  return InvalidArgument("'" + place.name + "' was given more than it takes", help);
}

// A command line that cannot be understood: exit 2.
int FailUsage(const Context& context, const Error& error) {
  (void)context.Fail(error);
  return kExitUsage;
}

// "slipway model" -> "slipway"; "slipway" -> "".
std::string Above(const std::string& name) {
  const size_t space = name.rfind(' ');
  return space == std::string::npos ? "" : name.substr(0, space);
}

int FailParse(CLI::App* app, const Context& context, const CLI::ParseError& e, int argc,
              char** argv) {
  const Place place = FindPlace(app, argc, argv);
  if (!place.at->get_subcommands([](CLI::App*) { return true; }).empty()) {
    if (!context.json && !context.quiet)
      std::fputs(place.at->help(Above(place.name)).c_str(), stderr);
    return FailUsage(context, InvalidArgument("'" + place.name + "' needs a command",
                                              "one of " + Join(CommandsOf(place.at), ", ")));
  }
  // A misspelt option is why a required one is missing.
  if (const Error unknown = UnknownOption(place, app, argc, argv);
      dynamic_cast<const CLI::ExtrasError*>(&e) != nullptr ||
      unknown.message.find("has no option") != std::string::npos) {
    return FailUsage(context, unknown);
  }
  return FailUsage(context,
                   InvalidArgument(e.what(), "`" + place.name + " --help` tells what it takes"));
}

// Known before anything is parsed: what cannot be parsed is told in the form that was asked for.
bool HasFlag(int argc, char** argv, std::string_view flag) {
  for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
    if (argv[i] == flag) return true;
  }
  return false;
}

int Run(int argc, char** argv) {
  Invocation invocation;
  CLI::App app("Slipway takes a model to production: datasets, recipes, versions, batch scoring.",
               "slipway");
  UseHelpLayout(&app);
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", "slipway " SLIPWAY_VERSION, "the version, and nothing else");
  app.add_option("--home", invocation.context.home_flag,
                 "the home (default: $SLIPWAY_HOME, else ~/.slipway)");
  app.add_option("--server", invocation.context.server_flag,
                 "a hub's URL, instead of a home (key: --key-file or $SLIPWAY_API_KEY)");
  app.add_option("--key-file", invocation.context.key_file_flag, "a file with the API key");
  app.add_option_function<std::string>(
      "--ca-file", [](const std::string& file) { ::setenv("SLIPWAY_CA_FILE", file.c_str(), 1); },
      "whom to trust for --server https://...: PEM (default: $SLIPWAY_CA_FILE, else the system's)");
  // By the environment, so that the processes of a job have it too.
  app.add_option_function<std::string>(
      "--registry", [](const std::string& url) { ::setenv("SLIPWAY_REGISTRY", url.c_str(), 1); },
      "a home's metadata in PostgreSQL: postgresql://user@host/database (default: "
      "$SLIPWAY_REGISTRY, else what `init` was given)");
  app.add_flag("--json", invocation.context.json, "print one JSON document");
  app.add_flag("--quiet", invocation.context.quiet, "no messages and no progress on stderr");
  app.footer(
      "First steps:\n  slipway demo                                   the whole thread on "
      "generated taxi trips\n"
      "  slipway init && slipway apply -f project.yaml  a project of your own\n"
      "  slipway score --model model.txt --input new.csv --output scored.csv\n"
      "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 not allowed, 5 conflict, 6 a "
      "difference was found,\n"
      "7 unavailable, 130 interrupted. `slipway COMMAND --help` tells more, with examples.");
  AddDemoCommand(&app, &invocation);
  AddProjectCommands(&app, &invocation);
  AddDatasetCommands(&app, &invocation);
  AddBuildCommands(&app, &invocation);
  AddModelCommands(&app, &invocation);
  AddLineageCommands(&app, &invocation);
  AddScoreCommand(&app, &invocation);
  AddServiceCommands(&app, &invocation);
  AddBackupCommands(&app, &invocation);
  AddInfraCommands(&app, &invocation);
  AddDeploymentCommands(&app, &invocation);
  AddHubCommand(&app, &invocation);
  AddPeopleCommands(&app, &invocation);
  AddSystemCommands(&app, &invocation);
  AddLaterCommands(&app, &invocation);
  for (int i = 0; i < argc; ++i)
    invocation.context.command_line +=
        (i > 0 ? " " : "") + std::string(i == 0 ? "slipway" : argv[i]);
  invocation.context.command_line = WithoutPasswords(std::move(invocation.context.command_line));
  if (argc > 1 && std::string_view(argv[1]) == "__complete") {
    Complete(&app, invocation.context, std::vector<std::string>(argv + 2, argv + argc));
    return kExitDone;
  }
  invocation.context.json = HasFlag(argc, argv, "--json");
  invocation.context.quiet = HasFlag(argc, argv, "--quiet");
  if (const Place place = FindPlace(&app, argc, argv); !place.unknown.empty()) {
    const std::string meant = DidYouMean(place.unknown, CommandsOf(place.at, true));
    return FailUsage(
        invocation.context,
        InvalidArgument("'" + place.name + "' has no command '" + place.unknown + "'",
                        meant.empty() ? "one of " + Join(CommandsOf(place.at), ", ") : meant));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    return FailParse(&app, invocation.context, e, argc, argv);
  }
  return invocation.run ? invocation.run() : kExitUsage;
}

}  // namespace

void Handle(CLI::App* command, Invocation* invocation, std::function<Result<int>(Context&)> run) {
  command->fallthrough();
  command->callback([invocation, run = std::move(run)] {
    invocation->run = [invocation, run] {
      Result<int> result = run(invocation->context);
      if (!result.ok()) return invocation->context.Fail(result.error());
      invocation->context.TellWarnings();
      return *result;
    };
  });
}

}  // namespace slipway

int main(int argc, char** argv) {
  slipway::EnsureStandardDescriptors();
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
