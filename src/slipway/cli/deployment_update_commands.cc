// deployment update, rollback, promote, enable, disable: jobs that change nodes.
#include "slipway/base/text.h"
#include "slipway/cli/deployment_options.h"

namespace slipway {
namespace {

// An unset variable of a shell is not "no option".
CLI::Validator NotEmpty() {
  return CLI::Validator([](std::string& text) { return text.empty() ? "it is empty" : ""; }, "");
}

CLI::Validator Between(double least, double most) {
  return CLI::Validator(
      [least, most](std::string& text) -> std::string {
        const auto value = ParseDouble(text);
        if (value && *value >= least && *value <= most) return "";
        return "'" + text + "' is not from " + FormatDouble(least) + " to " + FormatDouble(most);
      },
      "");
}

// "v1=90,v2=10"
Result<Json> ParseWeights(const std::string& text) {
  Json out = Json::object();
  for (const std::string& part : Split(text, ',')) {
    const size_t equals = part.find('=');
    const auto weight =
        equals == std::string::npos ? std::nullopt : ParseDouble(part.substr(equals + 1));
    if (!weight || equals == 0)
      return Usage("'" + part + "' is no weight", "write --weights v1=90,v2=10");
    const std::string version(Trim(part.substr(0, equals)));
    if (out.contains(version)) return Usage("--weights names '" + version + "' twice");
    out[version] = *weight;
  }
  return out;
}

Result<Json> ParseCanary(const DeploymentOptions& options) {
  Json steps = Json::array();
  for (const std::string& part : Split(options.canary, ',')) {
    const auto percent = ParseDouble(Trim(part));
    if (!percent) return Usage("'" + part + "' is no percentage", "write --canary 10,50,100");
    steps.push_back(*percent);
  }
  Json out = {{"steps", steps}};
  if (options.step_minutes >= 0) out["step_minutes"] = options.step_minutes;
  if (options.step_requests >= 0) out["step_requests"] = options.step_requests;
  if (options.max_errors >= 0) out["max_error_rate"] = options.max_errors;
  if (options.max_latency >= 0) out["max_latency_ratio"] = options.max_latency;
  if (options.max_different >= 0) out["max_different"] = options.max_different;
  return out;
}

void PrintPlan(const Context& context, const Json& plan) {
  if (plan["steps"].empty() && plan["unreachable"].empty()) return;
  context.Say("plan of " + plan["deployment"].get<std::string>() + ", to " +
              plan["to"].get<std::string>() + ":");
  for (const Json& step : plan["steps"]) {
    std::string line =
        "  " + step["node"].get<std::string>() + ": " + step["step"].get<std::string>();
    if (step["generation"].is_string()) line += " " + step["generation"].get<std::string>();
    context.Say(line + " (" + step["why"].get<std::string>() + ")");
  }
  // Local ones are started by the update.
  for (const Json& node : plan["unreachable"]) context.Say("  " + node.get<std::string>());
}

std::string PlanTable(const Json& plan) {
  const bool disabled = plan["to"] == "disabled";
  TextTable table({"WAVE", "NODE", "STEP", "GENERATION", "WHY"});
  for (const Json& step : plan["steps"])
    table.Add({step["wave"] == 0 ? "first" : DumpJson(step["wave"]),
               step["node"].get<std::string>(), step["step"].get<std::string>(),
               step["generation"].is_string() ? step["generation"].get<std::string>() : "-",
               step["why"].get<std::string>()});
  std::string out = !table.empty() ? table.ToString()
                    : plan["unreachable"].empty()
                        ? disabled ? "nothing to do: it is disabled on every node\n"
                                   : "nothing to do: every node serves it already\n"
                        : "";
  for (const Json& node : plan["unreachable"])
    out += "cannot be reached: " + node.get<std::string>() + "\n";
  return out;
}

// The job, and the answer of a finished update.
Result<int> Run(Context& context, const DeploymentOptions& options, const std::string& path,
                const Json& body) {
  if (options.no_wait) {
    ASSIGN_OR_RETURN(const bool remote, context.RemoteHub());
    if (remote) {
      ASSIGN_OR_RETURN(const Json job, context.Call("POST", path, body));
      RETURN_IF_ERROR(context.Print(job["job"].get<std::string>() + "\n", job));
      return kExitDone;
    }
    context.Warn("no hub is running: the update is waited for");
  }
  ASSIGN_OR_RETURN(const Json done, RunDeploymentJob(context, path, body));
  const std::string name = done["deployment"].get<std::string>();
  const std::string human =
      "deployment " + name + ": " +
      (done["enabled"].get<bool>() ? "every node serves " + GenerationsText(done["generations"])
                                   : "disabled on every node; `slipway deployment enable " + name +
                                         "` serves " + GenerationsText(done["generations"])) +
      "\n";
  RETURN_IF_ERROR(context.Print(human, done));
  return kExitDone;
}

Result<int> Update(Context& context, const DeploymentOptions& options) {
  RETURN_IF_ERROR(CheckDeploymentName(options.name));
  Json body = Json::object();
  RETURN_IF_ERROR(AddWish(options, &body));
  if (!options.canary.empty()) {
    if (options.version.empty())
      return Usage("a canary brings a version", "--version vN --canary " + options.canary);
    ASSIGN_OR_RETURN(body["canary"], ParseCanary(options));
  }
  if (options.take_over) body["take_over"] = true;
  const auto plan = context.Call("POST", DeploymentPath(options.name, "/plan"), body);
  if (options.plan) {
    if (!plan.ok()) return plan.error();
    RETURN_IF_ERROR(context.Print(PlanTable(*plan), *plan));
    return kExitDone;
  }
  if (!plan.ok()) return plan.error();
  PrintPlan(context, *plan);
  return Run(context, options, DeploymentPath(options.name, "/update"), body);
}

}  // namespace

void AddWishOptions(CLI::App* command, DeploymentOptions* options) {
  command->add_option("--version", options->version, "a published version (v3)")->check(NotEmpty());
  command->add_option("--weights", options->weights, "shares of the traffic: v1=90,v2=10")
      ->check(NotEmpty());
  command->add_option("--set", options->settings,
                      "a setting of the service on its nodes, KEY=VALUE, or of one endpoint, "
                      "ENDPOINT.KEY=VALUE; KEY= takes it back (docs/admin-api.md)");
}

Status AddWish(const DeploymentOptions& options, Json* body) {
  if (!options.version.empty() && !options.weights.empty())
    return Usage(
        "--version gives all traffic to one version, --weights shares it: use one of them");
  if (!options.version.empty()) (*body)["version"] = options.version;
  if (!options.weights.empty()) {
    ASSIGN_OR_RETURN((*body)["weights"], ParseWeights(options.weights));
  }
  for (const std::string& setting : options.settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0)
      return Usage("'" + setting + "' is no setting", "write --set max_concurrent=4");
    const std::string text = setting.substr(equals + 1);
    auto value = ParseJson(text);  // a number, true, a list; anything else is a text
    const Json said = text.empty() ? Json() : value.ok() ? *value : Json(text);
    // ENDPOINT.KEY: settings have no dots, endpoints may.
    const std::string key = setting.substr(0, equals);
    const size_t dot = key.rfind('.');
    Json& settings = (*body)["settings"];
    (dot == std::string::npos ? settings[key]
                              : settings["endpoints"][key.substr(0, dot)][key.substr(dot + 1)]) =
        said;
  }
  return {};
}

Result<Json> RunDeploymentJob(Context& context, const std::string& path, const Json& body) {
  ASSIGN_OR_RETURN(const Json started, context.Call("POST", path, body));
  ASSIGN_OR_RETURN(const std::string id, GetString(started, "job"));
  ASSIGN_OR_RETURN(const std::string name, GetString(started, "deployment"));
  {
    ProgressBar bar(name, context.quiet || context.json);
    RETURN_IF_ERROR(context.Follow(id, [&](const JobEvent& event) {
      if (event.kind == JobEvent::Kind::kProgress)
        bar.Update(event.progress.part, 0, event.progress.detail);
    }));
    bar.Clear();
  }
  ASSIGN_OR_RETURN(const Json job, context.Call("GET", "/api/v1/jobs/" + id));
  ASSIGN_OR_RETURN(const Json updates,
                   context.Call("GET", DeploymentPath(name, "/updates?limit=20")));
  // A job that failed before its update began (a node that does not start) has none.
  Json last = Json::object();
  for (const Json& update : updates) {
    if (update["job"] != id) continue;
    ASSIGN_OR_RETURN(
        last, context.Call("GET", DeploymentPath(name, "/updates/" + DumpJson(update["update"]))));
  }
  for (const Json& line : last.value("log", Json::array()))
    context.Say("  " + line.get<std::string>());
  if (job["status"] == "done") {
    Json done = job["activities"].at(0).value("details", Json::object());
    done["job"] = id;
    return done;
  }
  // The job's own error is a text; the update's has its code and hint.
  if (const Json* error = FindMember(last, "error"); error != nullptr && error->is_object()) {
    return Error{ErrorCodeFromName(error->value("code", "")),
                 "deployment '" + name + "': " + error->value("message", ""),
                 error->value("hint", "")};
  }
  Error error = ErrorOfJob(job, "the update did not end");
  if (job.value("interrupted", false))
    error.hint = "a hub brings it to an end: slipway deployment show " + name;
  return error;
}

void AddDeploymentUpdateCommands(CLI::App* deployment, Invocation* invocation,
                                 DeploymentOptions* shared) {
  static DeploymentOptions& options = *shared;
  const auto add = [&](const char* name, const char* about) {
    CLI::App* command = deployment->add_subcommand(name, about);
    command->add_option("NAME", options.name, "the deployment")->required();
    command->add_flag("--no-wait", options.no_wait, "with a hub: give the job and do not wait");
    return command;
  };
  CLI::App* update = add("update", "brings what is wanted to every node, tested before it serves");
  AddWishOptions(update, &options);
  update->add_flag("--plan", options.plan, "say what would be done and why, and do nothing");
  CLI::Option* canary = update->add_option(
      "--canary", options.canary, "bring --version in steps of the traffic: 10,50,100 percent");
  canary->check(NotEmpty());
  const auto canary_option = [&](const char* name, auto* value, const char* about, double least,
                                 double most) {
    update->add_option(name, *value, about)->check(Between(least, most))->needs(canary);
  };
  canary_option("--step-minutes", &options.step_minutes, "a step lasts so long (5)", 0, 1e6);
  canary_option("--step-requests", &options.step_requests,
                "and until the new generation has answered so many", 0, 1e15);
  canary_option("--max-errors", &options.max_errors,
                "go back above this share of errors more than the old one has (0.01)", 0, 1);
  canary_option("--max-latency", &options.max_latency,
                "go back when answers take so many times as long (3)", 1, 1e6);
  canary_option("--max-different", &options.max_different,
                "go back when more than this share of the answers differs (never)", 0, 1);
  update->add_flag("--take-over", options.take_over, "from another deployer that used the nodes");
  Handle(update, invocation, [](Context& c) { return Update(c, options); });
  const auto simple = [&](const char* name, const char* about) {
    Handle(add(name, about), invocation,
           [route = "/" + std::string(name)](Context& c) -> Result<int> {
             RETURN_IF_ERROR(CheckDeploymentName(options.name));
             return Run(c, options, DeploymentPath(options.name, route), Json::object());
           });
  };
  CLI::App* rollback = add("rollback", "goes back to what every node served before, in one step");
  rollback->add_flag("--plan", options.plan, "say what would be done and why, and do nothing");
  Handle(rollback, invocation, [](Context& c) -> Result<int> {
    RETURN_IF_ERROR(CheckDeploymentName(options.name));
    if (!options.plan)
      return Run(c, options, DeploymentPath(options.name, "/rollback"), Json::object());
    ASSIGN_OR_RETURN(const Json plan, c.Call("POST", DeploymentPath(options.name, "/rollback/plan"),
                                             Json::object()));
    RETURN_IF_ERROR(c.Print(PlanTable(plan), plan));
    return kExitDone;
  });
  simple("enable", "serves again");
  simple("disable", "stops serving; everything stays for the way back");
  CLI::App* promote = add("promote", "the same packages on another infrastructure");
  promote->add_option("--to", options.to, "the infrastructure")->required();
  promote->add_option("--name", options.as, "of the new deployment (SERVICE-INFRA)");
  Handle(promote, invocation, [](Context& c) -> Result<int> {
    RETURN_IF_ERROR(CheckDeploymentName(options.name));
    return Run(c, options, DeploymentPath(options.name, "/promote"),
               {{"to", options.to}, {"name", options.as}});
  });
}

}  // namespace slipway
