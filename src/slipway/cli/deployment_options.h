// What the commands of `deployment` share.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/cli/commands.h"

namespace slipway {

struct DeploymentOptions {
  std::string name, service, infra, version, weights, canary, to, as;
  std::string endpoint, record, generation, node, stage, since, update;
  std::vector<std::string> settings;
  double step_minutes = -1, max_errors = -1, max_latency = -1, max_different = -1;
  int64_t step_requests = -1;
  bool plan = false, no_wait = false, take_over = false, force = false;
};

// --version, --weights and --set, and what they put into a request's body.
void AddWishOptions(CLI::App* command, DeploymentOptions* options);
Status AddWish(const DeploymentOptions& options, Json* body);

std::string DeploymentPath(const std::string& name, const std::string& rest = "");
Status CheckDeploymentName(const std::string& name);
// "v1 90 %, v2 10 %".
std::string GenerationsText(const Json& generations);

// update, rollback, promote, enable, disable.
void AddDeploymentUpdateCommands(CLI::App* deployment, Invocation* invocation,
                                 DeploymentOptions* options);
// Starts what answers 202 with a job, follows it, and gives the job's outcome; shared with the
// demo.
Result<Json> RunDeploymentJob(Context& context, const std::string& path, const Json& body);

}  // namespace slipway
