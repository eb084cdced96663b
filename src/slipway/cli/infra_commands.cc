// infra: where deployments run.
#include <algorithm>

#include "slipway/base/file.h"
#include "slipway/base/names.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/service_ref.h"

namespace slipway {
namespace {

struct InfraOptions {
  std::string name, type, stage = "Development", ca_file, certificate_file, key_file;
  std::vector<std::string> nodes, node_keys, removed;
  int parallel = 1, local_nodes = 1;
  bool insecure = false;
};

std::string InfraPath(const std::string& name, const std::string& rest = "") {
  return ApiPath("/api/v1/infras/{}", {name}) + rest;
}

Status CheckName(const std::string& name, const char* what) {
  if (IsValidName(name)) return {};
  return Usage("'" + name + "' is not the name of " + what, NameRule(name));
}

// [{"url", "key"}] of --node and --key-file.
Result<Json> ReadNodes(const InfraOptions& options) {
  if (!options.node_keys.empty() && options.node_keys.size() != 1 &&
      options.node_keys.size() != options.nodes.size())
    return Usage("there are " + std::to_string(options.nodes.size()) + " nodes and " +
                     std::to_string(options.node_keys.size()) + " key files",
                 "give --key-file once for all nodes, or once for each, in the same order");
  Json nodes = Json::array();
  for (size_t i = 0; i < options.nodes.size(); ++i) {
    Json node = {{"url", options.nodes[i]}};
    if (!options.node_keys.empty()) {
      const std::string& file = options.node_keys[options.node_keys.size() == 1 ? 0 : i];
      ASSIGN_OR_RETURN(const std::string key, ReadFile(AbsolutePath(file), 1 << 16));
      if (Trim(key).empty()) return Usage("the key file '" + file + "' is empty");
      node["key"] = Trim(key);
    }
    nodes.push_back(std::move(node));
  }
  return nodes;
}

Result<int> AddInfra(Context& context, const InfraOptions& options) {
  RETURN_IF_ERROR(CheckName(options.name, "an infrastructure"));
  std::string type = options.type;
  if (type.empty()) type = options.nodes.empty() ? "local" : "static";
  if (type == "static" && options.nodes.empty())
    return InvalidArgument("a static infrastructure has nodes",
                           "--node http://HOST:PORT --key-file FILE, once for each node");
  ASSIGN_OR_RETURN(const Json nodes, ReadNodes(options));
  const auto absolute = [](const std::string& path) {
    return path.empty() ? path : AbsolutePath(path);
  };
  ASSIGN_OR_RETURN(const Json added,
                   context.Call("POST", "/api/v1/infras",
                                {{"name", options.name},
                                 {"type", type},
                                 {"stage", options.stage},
                                 {"parallel", options.parallel},
                                 {"local_nodes", options.local_nodes},
                                 {"ca_file", absolute(options.ca_file)},
                                 {"certificate_file", absolute(options.certificate_file)},
                                 {"key_file", absolute(options.key_file)},
                                 {"insecure", options.insecure},
                                 {"nodes", nodes}}));
  RETURN_IF_ERROR(context.Print(
      "added infrastructure " + options.name + " (" + type + ", stage " + options.stage + ")\n",
      added));
  return kExitDone;
}

std::string NodesText(const Json& infra) {
  if (infra["type"] == "local") return DumpJson(infra["local_nodes"]) + " on this machine";
  std::vector<std::string> urls;
  for (const Json& node : infra["nodes"]) urls.push_back(node["url"].get<std::string>());
  return Join(urls, ", ");
}

Result<int> ListInfras(Context& context) {
  ASSIGN_OR_RETURN(const Json infras, context.Call("GET", "/api/v1/infras"));
  TextTable table({"INFRASTRUCTURE", "STAGE", "TYPE", "NODES", "DEPLOYMENTS"});
  for (const Json& infra : infras) {
    const auto on = infra["deployments"].get<std::vector<std::string>>();
    table.Add({infra["name"].get<std::string>(), infra["stage"].get<std::string>(),
               infra["type"].get<std::string>(), NodesText(infra),
               on.empty() ? "-" : Join(on, ", ")});
  }
  RETURN_IF_ERROR(context.Print(table.empty()
                                    ? "no infrastructures yet: slipway infra add dev --type local\n"
                                    : table.ToString(),
                                infras));
  return kExitDone;
}

std::string NodeTable(const Json& nodes) {
  TextTable table({"NODE", "STATE"});
  for (const Json& node : nodes)
    table.Add({node["url"].get<std::string>(),
               node["reachable"].get<bool>() ? "answers" : node["reason"].get<std::string>()});
  return table.ToString();
}

Result<int> ShowInfra(Context& context, const std::string& name) {
  RETURN_IF_ERROR(CheckName(name, "an infrastructure"));
  ASSIGN_OR_RETURN(const Json infra, context.Call("GET", InfraPath(name)));
  std::string human = name + ": " + infra["type"].get<std::string>() + ", stage " +
                      infra["stage"].get<std::string>() + ", " + DumpJson(infra["parallel"]) +
                      " at a time\n";
  const auto on = infra["deployments"].get<std::vector<std::string>>();
  human +=
      "deployments: " + (on.empty() ? "none" : Join(on, ", ")) + "\n\n" + NodeTable(infra["nodes"]);
  RETURN_IF_ERROR(context.Print(human, infra));
  return kExitDone;
}

// Adds, gives another key to, and takes out nodes; the others keep their keys.
Result<int> ChangeNodes(Context& context, const InfraOptions& options) {
  RETURN_IF_ERROR(CheckName(options.name, "an infrastructure"));
  if (options.nodes.empty() && options.removed.empty())
    return Usage("nothing is asked for", "--add URL --key-file FILE, or --remove URL");
  ASSIGN_OR_RETURN(const Json added, ReadNodes(options));
  ASSIGN_OR_RETURN(const Json infras, context.Call("GET", "/api/v1/infras"));
  const auto found = std::find_if(infras.begin(), infras.end(),
                                  [&](const Json& each) { return each["name"] == options.name; });
  if (found == infras.end())
    return NotFound("there is no infrastructure '" + options.name + "'", "slipway infra ls");
  // URLs are compared as the hub writes them.
  const auto same = [](std::string a, std::string b) {
    for (std::string* each : {&a, &b}) {
      while (each->ends_with('/')) each->pop_back();
    }
    return a == b;
  };
  Json nodes = Json::array();
  std::vector<std::string> urls;
  for (const Json& node : (*found)["nodes"]) urls.push_back(node["url"].get<std::string>());
  for (const std::string& url : options.removed) {
    if (std::none_of(urls.begin(), urls.end(), [&](const auto& u) { return same(u, url); }))
      return NotFound("infrastructure '" + options.name + "' has no node '" + url + "'",
                      urls.empty() ? "it has none" : "it has " + QuotedList(urls));
  }
  const auto in = [&](const std::string& url, const auto& list) {
    return std::any_of(list.begin(), list.end(), [&](const auto& u) { return same(u, url); });
  };
  for (const std::string& url : urls) {
    if (in(url, options.removed)) continue;
    const auto again = std::find_if(added.begin(), added.end(), [&](const Json& node) {
      return same(node["url"].get<std::string>(), url);
    });
    nodes.push_back(again == added.end() ? Json{{"url", url}} : *again);
  }
  for (const Json& node : added) {
    if (!in(node["url"].get<std::string>(), urls)) nodes.push_back(node);
  }
  ASSIGN_OR_RETURN(const Json now,
                   context.Call("PUT", InfraPath(options.name, "/nodes"), {{"nodes", nodes}}));
  std::string human = options.name + " has " + std::to_string(now["nodes"].size()) +
                      (now["nodes"].size() == 1 ? " node:" : " nodes:");
  for (const Json& node : now["nodes"]) human += " " + node["url"].get<std::string>();
  human += "\n";
  if (!options.nodes.empty())
    human += "bring its deployments there: slipway deployment update NAME\n";
  if (!options.removed.empty()) human += "what a removed node serves, it serves on\n";
  RETURN_IF_ERROR(context.Print(human, now));
  return kExitDone;
}

Result<int> RemoveInfra(Context& context, const std::string& name) {
  RETURN_IF_ERROR(CheckName(name, "an infrastructure"));
  ASSIGN_OR_RETURN(const Json gone, context.Call("DELETE", InfraPath(name)));
  RETURN_IF_ERROR(context.Print("removed infrastructure " + name + "\n", gone));
  return kExitDone;
}

Result<int> StartNodes(Context& context, const std::string& name) {
  RETURN_IF_ERROR(CheckName(name, "an infrastructure"));
  ASSIGN_OR_RETURN(const Json nodes, context.Call("POST", InfraPath(name, "/start")));
  RETURN_IF_ERROR(context.Print(NodeTable(nodes["nodes"]), nodes));
  return kExitDone;
}

Result<int> StopNodes(Context& context, const std::string& name) {
  RETURN_IF_ERROR(CheckName(name, "an infrastructure"));
  ASSIGN_OR_RETURN(const Json stopped, context.Call("POST", InfraPath(name, "/stop")));
  RETURN_IF_ERROR(context.Print("the nodes of " + name + " are stopped\n", stopped));
  return kExitDone;
}

Result<int> Stages(Context& context, const std::vector<std::string>& names) {
  if (!names.empty()) {
    Json stages = Json::array();
    for (const std::string& name : names) stages.push_back({{"name", name}});
    RETURN_IF_ERROR(context.Call("PUT", "/api/v1/stages", {{"stages", stages}}));
  }
  ASSIGN_OR_RETURN(const Json stages, context.Call("GET", "/api/v1/stages"));
  std::string human;
  for (const Json& stage : stages) human += stage["name"].get<std::string>() + "\n";
  RETURN_IF_ERROR(context.Print(human, stages));
  return kExitDone;
}

}  // namespace

void AddInfraCommands(CLI::App* app, Invocation* invocation) {
  static InfraOptions options;
  static std::vector<std::string> stages;
  CLI::App* infra =
      app->add_subcommand("infra", "infrastructures: where deployments run")->require_subcommand(1);
  Handle(infra->add_subcommand("ls", "infrastructures by stage"), invocation,
         [](Context& c) { return ListInfras(c); });
  const auto add = [&](const char* name, const char* about) {
    CLI::App* command = infra->add_subcommand(name, about);
    command->add_option("NAME", options.name, "the infrastructure")->required();
    return command;
  };
  CLI::App* make = add("add", "adds an infrastructure: API nodes with one purpose");
  make->add_option("--type", options.type,
                   "static: nodes that run already; local: nodes on this machine (default: local "
                   "without --node)");
  make->add_option("--stage", options.stage, "what it is for (default: Development)");
  make->add_option("--node", options.nodes, "a node's URL; once for each, in the rollout's order");
  make->add_option("--key-file", options.node_keys,
                   "a file with the node's admin key; once for all nodes, or once for each");
  make->add_option("--nodes", options.local_nodes, "of a local one: how many (1)")
      ->check(CLI::Range(1, 64));
  make->add_option("--parallel", options.parallel, "nodes that switch at a time (1)")
      ->check(CLI::Range(1, 1000));
  make->add_option("--ca-file", options.ca_file, "the CA of the nodes' certificates");
  make->add_option("--certificate-file", options.certificate_file, "shown to the nodes");
  make->add_option("--certificate-key-file", options.key_file, "its key");
  make->add_flag("--insecure", options.insecure, "take any certificate");
  Handle(make, invocation, [](Context& c) { return AddInfra(c, options); });
  Handle(add("show", "one infrastructure; asks its nodes"), invocation,
         [](Context& c) { return ShowInfra(c, options.name); });
  CLI::App* nodes = add("nodes", "adds nodes to a static one, or takes some out");
  nodes->add_option("--add", options.nodes, "a node's URL; one that is there gets the key");
  nodes->add_option("--key-file", options.node_keys,
                    "a file with its admin key; once for all nodes, or once for each");
  nodes->add_option("--remove", options.removed, "the URL of a node that goes");
  Handle(nodes, invocation, [](Context& c) { return ChangeNodes(c, options); });
  Handle(add("rm", "removes one without deployments; stops local nodes"), invocation,
         [](Context& c) { return RemoveInfra(c, options.name); });
  Handle(add("start", "starts the nodes of a local one"), invocation,
         [](Context& c) { return StartNodes(c, options.name); });
  Handle(add("stop", "stops the nodes of a local one"), invocation,
         [](Context& c) { return StopNodes(c, options.name); });
  CLI::App* list = infra->add_subcommand("stages", "the stages, first to last; names set them");
  list->add_option("STAGE", stages, "the new list");
  Handle(list, invocation, [](Context& c) { return Stages(c, stages); });
}

}  // namespace slipway
