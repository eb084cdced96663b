#include "slipway/cli/demo_deploy.h"

#include <cmath>

#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/deployment_options.h"

namespace slipway {
namespace {

Status FollowQuietly(Context& context, const std::string& id) {
  RETURN_IF_ERROR(context.Follow(id, [](const JobEvent&) {}));
  ASSIGN_OR_RETURN(const Json job, context.Call("GET", "/api/v1/jobs/" + id));
  if (job["status"] == "done") return {};
  if (job["status"] == "aborted") return Cancelled("the demo was interrupted");
  return Internal("job " + id + " failed: " +
                  (job["error"].is_string() ? job["error"].get<std::string>() : std::string()));
}

Result<Json> Deploy(Context& context, const std::string& project) {
  const std::string service = "/api/v1/projects/" + project + "/services/fares";
  context.Say("packaging the service fares: the active model, its pipeline and five test queries");
  ASSIGN_OR_RETURN(const Json started,
                   context.Call("POST", service + "/packages", {{"notes", "made by the demo"}}));
  ASSIGN_OR_RETURN(const std::string job, GetString(started, "job"));
  RETURN_IF_ERROR(FollowQuietly(context, job));
  RETURN_IF_ERROR(context.Call("POST", service + "/packages/latest/publish"));
  context.Say("deploying it to an API node on this machine (infrastructure dev, Development)");
  RETURN_IF_ERROR(context.Call("POST", "/api/v1/infras",
                               {{"name", "dev"}, {"type", "local"}, {"stage", "Development"}}));
  RETURN_IF_ERROR(context.Call("POST", "/api/v1/deployments",
                               {{"name", "fares-dev"}, {"service", "fares"}, {"infra", "dev"}}));
  ASSIGN_OR_RETURN(const Json update,
                   context.Call("POST", DeploymentPath("fares-dev", "/update"), Json::object()));
  ASSIGN_OR_RETURN(const std::string deploy, GetString(update, "job"));
  RETURN_IF_ERROR(FollowQuietly(context, deploy));
  return context.Call("POST", DeploymentPath("fares-dev", "/test"));
}

}  // namespace

Result<Json> DeployDemo(Context& context, const std::string& project) {
  auto outcomes = Deploy(context, project);
  // Whatever happened: nothing goes on running.
  const auto stopped = context.Call("POST", "/api/v1/infras/dev/stop");
  if (!outcomes.ok()) return outcomes;
  if (!stopped.ok()) return stopped.error();
  for (const Json& outcome : *outcomes) {
    if (!outcome.value("ok", false))
      return Internal("test query '" + outcome.value("query", "") +
                      "' fails: " + outcome.value("difference", ""));
  }
  return outcomes;
}

std::string DemoFaresTable(const Json& outcomes) {
  TextTable table({"QUERY", "FARE", "GENERATION", "MS"});
  for (const Json& outcome : outcomes) {
    const Json* prediction = FindMember(outcome["answer"], "prediction");
    char text[32], milliseconds[32];
    std::snprintf(
        text, sizeof text, "%.2f",
        prediction != nullptr && prediction->is_number() ? prediction->get<double>() : NAN);
    std::snprintf(milliseconds, sizeof milliseconds, "%.3f", outcome.value("milliseconds", 0.0));
    table.Add({outcome.value("query", ""), text, outcome.value("generation", ""), milliseconds});
  }
  return table.ToString();
}

}  // namespace slipway
