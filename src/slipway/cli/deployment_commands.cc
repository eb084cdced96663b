// deployment: create, look, test, query. What changes nodes is in deployment_update_commands.cc.
#include <cmath>

#include "slipway/base/file.h"
#include "slipway/base/names.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/deployment_options.h"
#include "slipway/cli/service_ref.h"

namespace slipway {

std::string DeploymentPath(const std::string& name, const std::string& rest) {
  return ApiPath("/api/v1/deployments/{}", {name}) + rest;
}

Status CheckDeploymentName(const std::string& name) {
  if (IsValidName(name)) return {};
  return Usage("'" + name + "' is not the name of a deployment", NameRule(name));
}

std::string GenerationsText(const Json& generations) {
  std::vector<std::string> parts;
  for (const Json& each : generations) {
    std::string part = each["generation"].get<std::string>();
    if (each.contains("mapped") && !each["mapped"].get<bool>()) continue;
    if (const double weight = each["weight"].get<double>(); weight < 1)
      part += " " + FormatDouble(std::round(weight * 1e4) / 100) + " %";
    parts.push_back(part);
  }
  return parts.empty() ? "-" : Join(parts, ", ");
}

namespace {

Result<int> ListDeployments(Context& context) {
  ASSIGN_OR_RETURN(const Json deployments, context.Call("GET", "/api/v1/deployments"));
  TextTable table({"DEPLOYMENT", "SERVICE", "INFRASTRUCTURE", "STAGE", "GENERATIONS", "STATE"});
  for (const Json& d : deployments) {
    std::string state = d["state"].get<std::string>();
    if (!d["enabled"].get<bool>()) state += ", disabled";
    if (d["out_of_sync"].get<bool>() && state != "new") state += ", out of sync";
    table.Add({d["name"].get<std::string>(), d["service"].get<std::string>(),
               d["infra"].get<std::string>(), d["stage"].get<std::string>(),
               GenerationsText(d["generations"]), state});
  }
  RETURN_IF_ERROR(context.Print(
      table.empty()
          ? "no deployments yet: slipway deployment create NAME --service SERVICE --infra "
            "INFRA\n"
          : table.ToString(),
      deployments));
  return kExitDone;
}

Result<int> Create(Context& context, const DeploymentOptions& options) {
  RETURN_IF_ERROR(CheckDeploymentName(options.name));
  Json body = {{"name", options.name}, {"service", options.service}, {"infra", options.infra}};
  RETURN_IF_ERROR(AddWish(options, &body));
  ASSIGN_OR_RETURN(const Json made, context.Call("POST", "/api/v1/deployments", body));
  RETURN_IF_ERROR(context.Print("made deployment " + options.name + " of " +
                                    made["service"].get<std::string>() + " (" +
                                    GenerationsText(made["generations"]) + ") on " + options.infra +
                                    "\nbring it to the nodes: slipway deployment "
                                    "update " +
                                    options.name + "\n",
                                made));
  return kExitDone;
}

// As --set takes them: "max_records=10 fare.auth=api_keys".
std::string SettingsText(const Json& settings) {
  std::vector<std::string> words;
  const auto add = [&](const std::string& key, const Json& value) {
    words.push_back(key + "=" + (value.is_string() ? value.get<std::string>() : DumpJson(value)));
  };
  for (const auto& [key, value] : settings.items()) {
    if (key != "endpoints") add(key, value);
  }
  if (const Json* endpoints = FindMember(settings, "endpoints")) {
    for (const auto& [endpoint, own] : endpoints->items()) {
      for (const auto& [key, value] : own.items()) add(endpoint + "." + key, value);
    }
  }
  return Join(words, " ");
}

Result<int> ShowDeployment(Context& context, const std::string& name) {
  RETURN_IF_ERROR(CheckDeploymentName(name));
  ASSIGN_OR_RETURN(const Json d, context.Call("GET", DeploymentPath(name, "/status")));
  const std::string health = d["health"].get<std::string>();
  std::string human = name + ": " + d["service"].get<std::string>() + " on " +
                      d["infra"].get<std::string>() + " (stage " + d["stage"].get<std::string>() +
                      "), " + (d["enabled"].get<bool>() ? "enabled" : "disabled") +
                      (d["state"] == "updating" ? ", being updated" : "") + "\n";
  human += "health       " +
           Styled(health,
                  health == "healthy" ? Style::kGreen
                  : health == "error" ? Style::kRed
                                      : Style::kYellow,
                  StdoutIsTerminal()) +
           (d["out_of_sync"].get<bool>() ? ", out of sync" : "") + "\n";
  human += "generations  " + GenerationsText(d["generations"]) + "\n";
  if (const std::string settings = SettingsText(d["desired"]["settings"]); !settings.empty())
    human += "settings     " + settings + "\n";
  human += "\n";
  TextTable nodes({"NODE", "HEALTH", "SERVES", "WHY"});
  for (const Json& node : d["nodes"])
    nodes.Add({node["url"].get<std::string>(), node["health"].get<std::string>(),
               GenerationsText(node["generations"]), node["reason"].get<std::string>()});
  human += nodes.ToString();
  if (!d["endpoints"].empty()) {
    TextTable endpoints({"ENDPOINT", "GENERATION", "REQUESTS", "ERRORS", "P95 MS", "HEALTH"});
    for (const Json& row : d["endpoints"])
      endpoints.Add({row["endpoint"].get<std::string>(), row["generation"].get<std::string>(),
                     FormatCount(row["requests"].get<int64_t>()),
                     FormatCount(row["errors"].get<int64_t>()),
                     FormatDouble(std::round(row["p95_ms"].get<double>() * 1000) / 1000),
                     row["health"].get<std::string>()});
    human += "\n" + endpoints.ToString();
  }
  if (!d["messages"].empty()) human += "\n";
  for (const Json& message : d["messages"]) human += message.get<std::string>() + "\n";
  RETURN_IF_ERROR(context.Print(human, d));
  return kExitDone;
}

Result<int> Test(Context& context, const std::string& name) {
  RETURN_IF_ERROR(CheckDeploymentName(name));
  ASSIGN_OR_RETURN(const Json outcomes, context.Call("POST", DeploymentPath(name, "/test")));
  TextTable table({"NODE", "GENERATION", "ENDPOINT", "QUERY", "ANSWER", "OUTCOME", "MS"});
  int64_t failed = 0, silent = 0;
  for (const Json& row : outcomes) {
    const bool ok = row["ok"].get<bool>();
    (row["query"] == "" ? silent : failed) += ok ? 0 : 1;
    std::string answer = "-";
    if (const Json* prediction = FindMember(row["answer"], "prediction")) {
      answer = prediction->is_string() ? prediction->get<std::string>() : DumpJson(*prediction);
    }
    char milliseconds[32];
    std::snprintf(milliseconds, sizeof milliseconds, "%.3f", row["milliseconds"].get<double>());
    table.Add({row["node"].get<std::string>(), row["generation"].get<std::string>(),
               row["endpoint"].get<std::string>(), row["query"].get<std::string>(), answer,
               ok ? "ok" : row["difference"].get<std::string>(), milliseconds});
  }
  const auto count = static_cast<int64_t>(outcomes.size()) - silent;
  std::string human = table.empty() ? "" : table.ToString() + "\n";
  human += name + ": " +
           (count == 0    ? "no test queries\n"
            : failed == 0 ? QueryCount(count) + ", all as expected\n"
                          : std::to_string(failed) + " of " + QueryCount(count) + " failed\n");
  if (silent > 0)
    human += std::to_string(silent) + (silent == 1 ? " node" : " nodes") + " could not be asked\n";
  RETURN_IF_ERROR(context.Print(human, outcomes));
  return failed > 0 ? kExitDifference : silent > 0 ? kExitUnavailable : kExitDone;
}

Result<int> Query(Context& context, const DeploymentOptions& options) {
  RETURN_IF_ERROR(CheckDeploymentName(options.name));
  std::string text = options.record;
  if (text.starts_with("@")) {
    ASSIGN_OR_RETURN(text, ReadFile(AbsolutePath(text.substr(1)), 64 << 20));
  }
  const auto record = ParseJson(text);
  if (!record.ok() || !record->is_object())
    return Usage("the record is not a JSON object" +
                     (record.ok() ? std::string() : ": " + record.error().message),
                 "for example --record '{\"distance_km\": 2.5}', or --record @FILE");
  ASSIGN_OR_RETURN(const Json answer, context.Call("POST", DeploymentPath(options.name, "/query"),
                                                   {{"endpoint", options.endpoint},
                                                    {"record", *record},
                                                    {"generation", options.generation},
                                                    {"node", options.node}}));
  RETURN_IF_ERROR(context.Print(DumpJson(answer, 2) + "\n", answer));
  return kExitDone;
}

Result<int> Activity(Context& context, const DeploymentOptions& options) {
  std::string path = "/api/v1/activity";
  if (!options.name.empty()) {
    RETURN_IF_ERROR(CheckDeploymentName(options.name));
    path = DeploymentPath(options.name, "/activity");
  }
  if (!options.stage.empty()) path += "?stage=" + options.stage;
  if (!options.since.empty())
    path += (options.stage.empty() ? "?since=" : "&since=") + options.since;
  ASSIGN_OR_RETURN(const Json rows, context.Call("GET", path));
  TextTable table({"DEPLOYMENT", "STAGE", "ENDPOINT", "GENERATION", "REQUESTS", "ERRORS", "P50 MS",
                   "P95 MS", "P99 MS"});
  const auto ms = [](const Json& value) {
    return FormatDouble(std::round(value.get<double>() * 1000) / 1000);
  };
  for (const Json& row : rows)
    table.Add({row["deployment"].get<std::string>(), row["stage"].get<std::string>(),
               row["endpoint"].get<std::string>(), row["generation"].get<std::string>(),
               FormatCount(row["requests"].get<int64_t>()),
               FormatCount(row["errors"].get<int64_t>()), ms(row["p50_ms"]), ms(row["p95_ms"]),
               ms(row["p99_ms"])});
  RETURN_IF_ERROR(context.Print(table.empty() ? "no requests\n" : table.ToString(), rows));
  return kExitDone;
}

// One update: from what, to what, and its log with every gate and switch.
Result<int> DeploymentUpdate(Context& context, const std::string& name, const std::string& update) {
  if (update != "last" && !ParseInt64(update))
    return Usage("'" + update + "' is no update",
                 "--update 7, as `deployment history` numbers them, or last");
  ASSIGN_OR_RETURN(const Json json,
                   context.Call("GET", DeploymentPath(name, "/updates/" + update)));
  std::string human = "update " + DumpJson(json["update"]) + " (" +
                      json["kind"].get<std::string>() + "): " + json["status"].get<std::string>() +
                      "\n" + json["started_at"].get<std::string>() + " by " +
                      json["requester"].get<std::string>() + ", to " +
                      GenerationsText(json["after"]["generations"]) + "\n\n";
  for (const Json& line : json["log"]) human += line.get<std::string>() + "\n";
  RETURN_IF_ERROR(context.Print(human, json));
  return kExitDone;
}

Result<int> DeploymentHistory(Context& context, const DeploymentOptions& options) {
  const std::string& name = options.name;
  RETURN_IF_ERROR(CheckDeploymentName(name));
  if (!options.update.empty()) return DeploymentUpdate(context, name, options.update);
  ASSIGN_OR_RETURN(const Json updates, context.Call("GET", DeploymentPath(name, "/updates")));
  TextTable table({"UPDATE", "STARTED", "KIND", "STATUS", "TO", "BY", "WHY"});
  for (const Json& update : updates)
    table.Add({DumpJson(update["update"]), update["started_at"].get<std::string>(),
               update["kind"].get<std::string>(), update["status"].get<std::string>(),
               GenerationsText(update["after"]["generations"]),
               update["requester"].get<std::string>(),
               update["error"].is_null() ? "" : update["error"]["message"].get<std::string>()});
  RETURN_IF_ERROR(context.Print(table.empty() ? "no updates yet\n" : table.ToString(), updates));
  return kExitDone;
}

Result<int> DeleteDeployment(Context& context, const DeploymentOptions& options) {
  RETURN_IF_ERROR(CheckDeploymentName(options.name));
  ASSIGN_OR_RETURN(
      const Json gone,
      context.Call("DELETE", DeploymentPath(options.name) + (options.force ? "?force=true" : "")));
  RETURN_IF_ERROR(context.Print("deleted deployment " + options.name + "\n", gone));
  return kExitDone;
}

}  // namespace

void AddDeploymentCommands(CLI::App* app, Invocation* invocation) {
  static DeploymentOptions options;
  CLI::App* deployment =
      app->add_subcommand("deployment", "deployments: a published service on an infrastructure")
          ->require_subcommand(1);
  Handle(deployment->add_subcommand("ls", "deployments, as they are stored"), invocation,
         [](Context& c) { return ListDeployments(c); });
  const auto add = [&](const char* name, const char* about) {
    CLI::App* command = deployment->add_subcommand(name, about);
    command->add_option("NAME", options.name, "the deployment")->required();
    return command;
  };
  CLI::App* create =
      add("create", "makes a deployment; `deployment update` brings it to the nodes");
  create->add_option("--service", options.service, "a published service")->required();
  create->add_option("--infra", options.infra, "where it runs")->required();
  AddWishOptions(create, &options);
  Handle(create, invocation, [](Context& c) { return Create(c, options); });
  Handle(add("show", "health and generations, asked of every node"), invocation,
         [](Context& c) { return ShowDeployment(c, options.name); });
  AddDeploymentUpdateCommands(deployment, invocation, &options);
  Handle(add("test", "the stored test queries on every node; exit 6 when one fails"), invocation,
         [](Context& c) { return Test(c, options.name); });
  CLI::App* query = add("query", "one query, answered by a node; says by which generation");
  query->add_option("--endpoint", options.endpoint, "the endpoint")->required();
  query->add_option("--record", options.record, "a JSON object of fields, or @FILE")->required();
  query->add_option("--generation", options.generation, "ask this one");
  query->add_option("--node", options.node, "ask this node, by its URL");
  Handle(query, invocation, [](Context& c) { return Query(c, options); });
  CLI::App* activity = deployment->add_subcommand(
      "activity", "requests, errors and latencies; without --since, since the nodes started");
  activity->add_option("NAME", options.name, "only this deployment");
  activity->add_option("--stage", options.stage, "only this stage");
  activity->add_option(
      "--since", options.since,
      "what a hub recorded in this span (30m, 24h, 7d), with its course in --json");
  Handle(activity, invocation, [](Context& c) { return Activity(c, options); });
  CLI::App* history = add("history", "updates, newest first; --update N: one with its log");
  history->add_option("--update", options.update, "this one: its number, or last");
  Handle(history, invocation, [](Context& c) { return DeploymentHistory(c, options); });
  CLI::App* remove = add("delete", "takes the service off the nodes and forgets the deployment");
  remove->add_flag("--force", options.force, "also when a node cannot be reached");
  Handle(remove, invocation, [](Context& c) { return DeleteDeployment(c, options); });
}

}  // namespace slipway
