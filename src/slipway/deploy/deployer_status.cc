// What the nodes say: health, test queries, queries.
#include <algorithm>

#include "slipway/base/clock.h"
#include "slipway/base/text.h"
#include "slipway/deploy/deployer.h"

namespace slipway {
namespace {

constexpr double kStatusSeconds = 5, kTestSeconds = 60;  // somebody waits
constexpr size_t kStatusThreads = 32;
constexpr size_t kFleetThreads = 64;     // they wait for nodes, not for processors
constexpr double kTooManyErrors = 0.05;  // of an endpoint's requests: a warning

Json NodeGenerations(const ObservedNode& node) {
  Json out = Json::array();
  for (const ObservedGeneration& each : node.generations) {
    out.push_back({{"generation", each.id},
                   {"weight", each.probability},
                   {"mapped", each.mapped},
                   {"status", each.status},
                   {"error", each.error}});
  }
  return out;
}

// What was seen of a deployment, on top of what is stored.
Json Judge(const DeploymentRecord& record, const InfraRecord& infra,
           const std::vector<ObservedNode>& observed, Json endpoints) {
  Json out = Deployer::Describe(record, infra);
  std::vector<NodeHealth> healths;
  Json nodes = Json::array(), messages = Json::array();
  for (const ObservedNode& node : observed) {
    const NodeHealth health = JudgeNode(record, node);
    healths.push_back(health);
    nodes.push_back({{"url", node.url},
                     {"health", health.health},
                     {"reason", health.reason},
                     {"serving", node.serving},
                     {"generations", NodeGenerations(node)}});
    if (!health.reason.empty()) messages.push_back(AtNode(node.url, health.reason));
    if (record.applied && node.reachable.ok() && !DescribeDifference(*record.applied, node).empty())
      out["out_of_sync"] = true;
  }
  for (Json& row : endpoints) {
    const auto requests = row["requests"].get<int64_t>();
    const bool bad = requests > 0 && static_cast<double>(row["server_errors"].get<int64_t>()) >
                                         kTooManyErrors * static_cast<double>(requests);
    row["health"] = bad ? "warning" : "healthy";
    if (bad)
      messages.push_back("endpoint " + row["endpoint"].get<std::string>() + ", " +
                         row["generation"].get<std::string>() + ": " +
                         DumpJson(row["server_errors"]) + " of " + std::to_string(requests) +
                         " requests failed on the node's side");
  }
  if (!record.reason.empty()) messages.push_back(record.state + ": " + record.reason);
  if (record.applied && *record.applied != record.desired && record.state != "updating")
    messages.push_back("saved, but not on the nodes: " + DescribeSpec(record.desired));
  out["health"] = JudgeDeployment(record, healths);
  out["nodes"] = std::move(nodes);
  out["endpoints"] = std::move(endpoints);
  out["messages"] = std::move(messages);
  return out;
}

}  // namespace

NodeHealth JudgeNode(const DeploymentRecord& record, const ObservedNode& node) {
  if (!node.reachable.ok()) return {"error", node.reachable.error().message};
  if (!record.applied) return {"unknown", "nothing was brought to it yet"};
  const DeploymentSpec& applied = *record.applied;
  if (!applied.enabled)
    return node.has_service && node.enabled
               ? NodeHealth{"warning", "it serves " + DescribeNode(node) +
                                           " although the deployment is disabled"}
               : NodeHealth{"healthy", ""};
  if (!node.has_service) return {"error", "it does not have the service"};
  if (!node.enabled) return {"error", "its service is disabled"};
  if (!node.serving) return {"error", "it does not serve: " + node.reason};
  if (const std::string difference = DescribeDifference(applied, node); !difference.empty())
    return {"warning", difference};
  return {"healthy", ""};
}

std::string JudgeDeployment(const DeploymentRecord& record, const std::vector<NodeHealth>& nodes) {
  if (!record.applied) return "unknown";
  if (nodes.empty()) return "error";
  size_t healthy = 0, errors = 0;
  for (const NodeHealth& node : nodes) {
    healthy += node.health == "healthy" ? 1 : 0;
    errors += node.health == "error" ? 1 : 0;
  }
  if (errors == nodes.size() && !nodes.empty()) return "error";
  if (healthy < nodes.size()) return "warning";
  return record.state == "partial" || record.state == "interrupted" || record.state == "failed"
             ? "warning"
             : "healthy";
}

Result<Json> Deployer::Describe(const DeploymentRecord& record) {
  ASSIGN_OR_RETURN(const InfraRecord infra, registry_.infras().Get(record.infra));
  return Describe(record, infra);
}

Json Deployer::Describe(const DeploymentRecord& record, const InfraRecord& infra) {
  const DeploymentSpec& shown = record.applied ? *record.applied : record.desired;
  return Json{{"name", record.name},
              {"service", record.service},
              {"infra", record.infra},
              {"stage", infra.stage},
              {"enabled", shown.enabled},
              {"health", "unknown"},
              {"generations", SpecToJson(shown)["generations"]},
              {"desired", SpecToJson(record.desired)},
              {"previous", record.previous ? SpecToJson(*record.previous) : Json()},
              {"state", record.state},
              {"reason", record.reason},
              {"revision", record.revision},
              {"epoch", record.epoch},
              {"updated_at", record.updated_at},
              {"created_by", record.created_by},
              {"out_of_sync", !record.applied || *record.applied != record.desired}};
}

void Deployer::TellRunning(const DeploymentRecord& record, Json* out) {
  if (record.state != "updating") return;
  const auto updates = registry_.deployments().Updates(record.name, 1);
  if (!updates.ok() || updates->empty() || updates->front().status != "running") return;
  const UpdateRecord& update = updates->front();
  std::string text = "a running " + update.kind + " (" +
                     (update.job.empty() ? "update " + std::to_string(update.id) : update.job) +
                     ", to " + DescribeSpec(update.after) + ")";
  const auto lines = Split(std::string(Trim(update.log)), '\n');
  // Without the time.
  if (const std::string last = lines.empty() ? "" : lines.back();
      last.find(' ') != std::string::npos)
    text += ": " + last.substr(last.find(' ') + 1);
  (*out)["messages"].insert((*out)["messages"].begin(), text);
  (*out)["running"] = {{"update", update.id},
                       {"job", update.job.empty() ? Json() : Json(update.job)},
                       {"kind", update.kind},
                       {"started_at", update.started_at}};
}

Result<Json> Deployer::Examine(const std::string& name) {
  ASSIGN_OR_RETURN(const DeploymentRecord record, registry_.deployments().Get(name));
  ASSIGN_OR_RETURN(Session session, Open(record.infra, false));
  const size_t count = session.nodes.size();
  std::vector<ObservedNode> observed(count);
  std::vector<NodeMetrics> metrics(count);
  ForEachInParallel(count, kStatusThreads, [&](size_t i) {
    observed[i] = session.nodes[i]->Observe(record.service, kStatusSeconds);
    if (!observed[i].reachable.ok()) return;
    if (auto got = session.nodes[i]->Metrics(kStatusSeconds); got.ok())
      metrics[i] = ReadNodeMetrics(*got);
  });
  EndpointRows rows;
  for (const NodeMetrics& each : metrics) rows.Add(each, record.service);
  Json out = Judge(record, session.infra, observed, rows.ToJson());
  TellRunning(record, &out);
  return out;
}

Result<std::map<std::string, Deployer::Seen>> Deployer::Look(const std::set<std::string>& infras,
                                                             bool services, double seconds) {
  ASSIGN_OR_RETURN(const auto all, registry_.infras().List());
  std::map<std::string, Seen> out;
  std::vector<Session> sessions;
  std::vector<std::pair<NodeClient*, Seen::Node*>> work;
  for (const InfraRecord& infra : all) {
    if (!infras.contains(infra.name)) continue;
    auto session = Open(infra, false);
    if (!session.ok()) continue;
    Seen& seen = out[infra.name];
    seen.infra = infra;
    seen.nodes.resize(session->nodes.size());
    for (size_t i = 0; i < seen.nodes.size(); ++i)
      work.emplace_back(session->nodes[i], &seen.nodes[i]);
    sessions.push_back(*std::move(session));
  }
  ForEachInParallel(work.size(), kFleetThreads, [&](size_t i) {
    NodeClient& client = *work[i].first;
    Seen::Node& node = *work[i].second;
    node.url = client.url();
    if (services) {
      auto found = client.ObserveServices(seconds);
      if (!found.ok()) {
        node.reachable = std::move(found).error();
        return;
      }
      node.services = *std::move(found);
    }
    if (auto got = client.Metrics(seconds); got.ok()) node.metrics = ReadNodeMetrics(*got);
  });
  return out;
}

Result<Json> Deployer::ExamineAll(const std::vector<DeploymentRecord>& records) {
  std::set<std::string> infras;
  for (const DeploymentRecord& record : records) infras.insert(record.infra);
  ASSIGN_OR_RETURN(const auto seen, Look(infras, true, kStatusSeconds));
  Json out = Json::array();
  for (const DeploymentRecord& record : records) {
    const auto found = seen.find(record.infra);
    if (found == seen.end()) {  // says why
      ASSIGN_OR_RETURN(Json one, Examine(record.name));
      out.push_back(std::move(one));
      continue;
    }
    std::vector<ObservedNode> observed;
    EndpointRows rows;
    for (const Seen::Node& node : found->second.nodes) {
      const auto service = node.services.find(record.service);
      ObservedNode& one =
          observed.emplace_back(service == node.services.end() ? ObservedNode() : service->second);
      one.url = node.url;
      one.reachable = node.reachable;
      rows.Add(node.metrics, record.service);
    }
    out.push_back(Judge(record, found->second.infra, observed, rows.ToJson()));
  }
  return out;
}

Result<Json> Deployer::Test(const std::string& name) {
  ASSIGN_OR_RETURN(const DeploymentRecord record, registry_.deployments().Get(name));
  if (!record.applied || !record.applied->enabled)
    return Conflict("deployment '" + name + "' serves nothing",
                    "bring it to its nodes: slipway deployment update " + name);
  ASSIGN_OR_RETURN(Session session, Open(record.infra, true));
  std::vector<Status> answers(session.nodes.size());
  std::vector<Json> of_nodes(session.nodes.size());
  ForEachInParallel(session.nodes.size(), 16, [&](size_t i) {
    Json rows = Json::array();
    for (const auto& [generation, weight] : record.applied->generations) {
      auto outcomes = session.nodes[i]->Test(record.service, generation, kTestSeconds);
      if (!outcomes.ok()) {
        answers[i] = outcomes.error();
        rows.push_back({{"endpoint", ""},
                        {"query", ""},
                        {"ok", false},
                        {"answer", Json()},
                        {"expected", Json()},
                        {"difference", outcomes.error().message},
                        {"generation", generation},
                        {"node", session.nodes[i]->url()},
                        {"milliseconds", 0.0}});
        break;
      }
      for (const Json& outcome : *outcomes) {
        rows.push_back({{"endpoint", outcome.value("endpoint", "")},
                        {"query", outcome.value("name", "")},
                        {"ok", outcome.value("ok", false)},
                        {"answer", outcome.value("answer", Json())},
                        {"expected", outcome.value("expected", Json())},
                        {"difference", outcome.value("difference", "")},
                        {"generation", generation},
                        {"node", session.nodes[i]->url()},
                        {"milliseconds", outcome.value("milliseconds", 0.0)}});
      }
    }
    of_nodes[i] = std::move(rows);
  });
  // A dead node hides nobody's answers; of dead nodes alone there are none.
  if (!answers.empty() &&
      std::none_of(answers.begin(), answers.end(), [](const Status& s) { return s.ok(); }))
    return answers.front().error();
  Json out = Json::array();
  for (const Json& rows : of_nodes) {
    for (const Json& row : rows) out.push_back(row);
  }
  return out;
}

Result<Json> Deployer::Query(const QueryRequest& request) {
  ASSIGN_OR_RETURN(const DeploymentRecord record, registry_.deployments().Get(request.deployment));
  if (!record.applied || record.applied->generations.empty())
    return Conflict("deployment '" + record.name + "' serves nothing",
                    "bring it to its nodes: slipway deployment update " + record.name);
  ASSIGN_OR_RETURN(
      const PublishedVersion version,
      registry_.published().GetVersion(record.service, record.applied->generations.front().first));
  ASSIGN_OR_RETURN(const Json manifest, ParseJson(version.manifest_json));
  std::vector<std::string> endpoints;
  bool lookup = false, known = false;
  for (const Json& endpoint : manifest["endpoints"]) {
    endpoints.push_back(endpoint["id"].get<std::string>());
    if (endpoints.back() != request.endpoint) continue;
    known = true;
    lookup = endpoint["type"] == "lookup";
  }
  if (!known) {
    const std::string meant = DidYouMean(request.endpoint, endpoints);
    return NotFound("service '" + record.service + "' has no endpoint '" + request.endpoint + "'",
                    meant.empty() ? "it has " + QuotedList(endpoints) : meant);
  }
  Json body = request.body;
  if (body.is_null()) {
    body = lookup ? Json{{"data", request.record}} : Json{{"features", request.record}};
  }
  if (!request.generation.empty()) body["dispatch"]["forcedGeneration"] = request.generation;
  ASSIGN_OR_RETURN(Session session, Open(record.infra, true));
  Error last = NotFound("infrastructure '" + record.infra + "' has no node '" + request.node + "'",
                        "`slipway infra show " + record.infra + "` lists them");
  for (NodeClient* node : session.nodes) {
    if (!request.node.empty() && node->url() != request.node) continue;
    auto answer = node->Query(record.service, request.endpoint, lookup ? "lookup" : "predict",
                              DumpJson(body));
    if (!answer.ok()) {
      last = answer.error();
      continue;
    }
    auto json = ParseJson(answer->body, {.max_bytes = size_t{64} << 20, .max_depth = 256});
    if (!json.ok() || !json->is_object())
      return Unavailable("node " + node->url() + " gives no JSON for a query: status " +
                         std::to_string(answer->status));
    if (!answer->ok()) {
      Error error =
          InvalidArgument(json->value("message", "status " + std::to_string(answer->status)),
                          json->value("hint", ""));
      return error.Within("node " + node->url());
    }
    (*json)["node"] = node->url();
    (*json)["request_id"] = answer->Header("x-request-id");
    return json;
  }
  return last;
}

}  // namespace slipway
