#include "slipway/cli/commands.h"

namespace slipway {

void AddLaterCommands(CLI::App* app, Invocation* invocation) {
  static constexpr std::pair<const char*, const char*> kLater[] = {
      {"experiment", "the Lab: several algorithms tried and ranked"},
      {"evaluate", "metrics and drift of a version on a dataset"},
      {"evaluation", "evaluation stores"},
      {"scenario", "automation"},
  };
  for (const auto& [name, about] : kLater) {
    CLI::App* command = app->add_subcommand(name, std::string(about) + " (later)")->group("Later");
    command->fallthrough(false)->prefix_command();
    command->callback([invocation, verb = std::string(name)] {
      invocation->run = [invocation, verb] {
        invocation->context.Fail(
            InvalidArgument("'" + verb + "' comes with a later release of Slipway"));
        return kExitUsage;
      };
    });
  }
}

}  // namespace slipway
