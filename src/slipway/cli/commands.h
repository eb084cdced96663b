// One function per noun adds its commands to the parser. A parsed command stores what to run in
// Invocation::run.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "slipway/cli/context.h"

namespace slipway {

struct Invocation {
  Context context;
  std::function<int()> run;
};

void AddProjectCommands(CLI::App* app,
                        Invocation* invocation);  // init apply diff export project flow schema
void AddDatasetCommands(CLI::App* app, Invocation* invocation);  // dataset recipe
void AddModelCommands(CLI::App* app, Invocation* invocation);    // model
void AddLineageCommands(CLI::App* app, Invocation* invocation);  // lineage
void AddBuildCommands(CLI::App* app, Invocation* invocation);    // build job
void AddServiceCommands(CLI::App* app, Invocation* invocation);  // service
void AddDesignerCommands(CLI::App* app, CLI::App* service,
                         Invocation* invocation);  // service create set delete; endpoint
void AddPublishCommands(CLI::App* service, Invocation* invocation);  // service publish published
void AddInfraCommands(CLI::App* app, Invocation* invocation);        // infra
void AddDeploymentCommands(CLI::App* app, Invocation* invocation);   // deployment
void AddScoreCommand(CLI::App* app, Invocation* invocation);         // score
void AddDemoCommand(CLI::App* app, Invocation* invocation);          // demo
void AddBackupCommands(CLI::App* app, Invocation* invocation);       // backup restore
void AddHubCommand(CLI::App* app, Invocation* invocation);           // hub
void AddPeopleCommands(CLI::App* app, Invocation* invocation);       // user key audit
void AddSystemCommands(CLI::App* app, Invocation* invocation);       // doctor completion version
// Commands of interfaces.md whose parts come later: they say so and exit 2.
void AddLaterCommands(CLI::App* app, Invocation* invocation);

// The usual shape of a command: a function that gives an exit code or an error.
void Handle(CLI::App* command, Invocation* invocation, std::function<Result<int>(Context&)> run);

// Prints candidates for the last of the words, one a line: what completion scripts ask for.
void Complete(CLI::App* app, Context& context, const std::vector<std::string>& words);

// The subcommand of that name, or nullptr.
CLI::App* FindSubcommand(CLI::App* app, const std::string& name);

// Runs the targets' build in process with progress until it ends: the job's JSON. Shared by build
// and demo.
Result<Json> RunBuild(Context& context, const std::string& project, const Json& body);

}  // namespace slipway
