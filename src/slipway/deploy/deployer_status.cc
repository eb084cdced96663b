// What the nodes say: health, test queries, queries, activity.
#include <algorithm>

#include "slipway/base/clock.h"
#include "slipway/base/text.h"
#include "slipway/deploy/deployer.h"

namespace slipway {
namespace {

constexpr double kStatusSeconds = 5;
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

// Sums counters of the nodes; percentiles are those of the slowest node.
void AddRows(const Json& metrics, const std::string& service, Json* rows) {
  const Json* endpoints = FindMember(metrics, "endpoints");
  if (endpoints == nullptr || !endpoints->is_array()) return;
  for (const Json& row : *endpoints) {
    if (!row.is_object() || row.value("service", std::string()) != service) continue;
    const std::string endpoint = row.value("endpoint", std::string());
    const std::string generation = row.value("generation", std::string());
    Json* found = nullptr;
    for (Json& each : *rows) {
      if (each["endpoint"] == endpoint && each["generation"] == generation) found = &each;
    }
    if (found == nullptr) {
      rows->push_back({{"endpoint", endpoint},
                       {"generation", generation},
                       {"requests", int64_t{0}},
                       {"errors", int64_t{0}},
                       {"server_errors", int64_t{0}},
                       {"p50_ms", 0.0},
                       {"p95_ms", 0.0},
                       {"p99_ms", 0.0},
                       {"nodes", int64_t{0}}});
      found = &rows->back();
    }
    const auto add = [&](const char* to, const char* from) {
      (*found)[to] = (*found)[to].get<int64_t>() + row.value(from, int64_t{0});
    };
    const auto most = [&](const char* to, const char* from) {
      (*found)[to] = std::max((*found)[to].get<double>(), row.value(from, 0.0));
    };
    add("requests", "requests");
    add("errors", "errors");
    add("server_errors", "serverErrors");
    most("p50_ms", "p50Ms");
    most("p95_ms", "p95Ms");
    most("p99_ms", "p99Ms");
    (*found)["nodes"] = (*found)["nodes"].get<int64_t>() + 1;
  }
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

Result<Json> Deployer::Examine(const std::string& name) {
  ASSIGN_OR_RETURN(const DeploymentRecord record, registry_.deployments().Get(name));
  ASSIGN_OR_RETURN(Json out, Describe(record));
  ASSIGN_OR_RETURN(Session session, Open(record.infra, false));
  const size_t count = session.nodes.size();
  std::vector<ObservedNode> observed(count);
  std::vector<Json> metrics(count);
  ForEachInParallel(count, 32, [&](size_t i) {
    observed[i] = session.nodes[i]->Observe(record.service, kStatusSeconds);
    if (!observed[i].reachable.ok()) return;
    if (auto got = session.nodes[i]->Metrics(kStatusSeconds); got.ok()) metrics[i] = *got;
  });
  std::vector<NodeHealth> healths;
  Json nodes = Json::array(), endpoints = Json::array(), messages = Json::array();
  for (size_t i = 0; i < count; ++i) {
    const NodeHealth health = JudgeNode(record, observed[i]);
    healths.push_back(health);
    nodes.push_back({{"url", observed[i].url},
                     {"health", health.health},
                     {"reason", health.reason},
                     {"serving", observed[i].serving},
                     {"generations", NodeGenerations(observed[i])}});
    if (!health.reason.empty()) messages.push_back(observed[i].url + ": " + health.reason);
    if (record.applied && observed[i].reachable.ok() &&
        !DescribeDifference(*record.applied, observed[i]).empty())
      out["out_of_sync"] = true;
    AddRows(metrics[i], record.service, &endpoints);
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
  if (record.applied && *record.applied != record.desired)
    messages.push_back("saved, but not on the nodes: " + DescribeSpec(record.desired));
  out["health"] = JudgeDeployment(record, healths);
  out["nodes"] = std::move(nodes);
  out["endpoints"] = std::move(endpoints);
  out["messages"] = std::move(messages);
  return out;
}

Result<Json> Deployer::Test(const std::string& name) {
  ASSIGN_OR_RETURN(const DeploymentRecord record, registry_.deployments().Get(name));
  if (!record.applied || !record.applied->enabled)
    return Conflict("deployment '" + name + "' serves nothing",
                    "bring it to its nodes: slipway deployment update " + name);
  ASSIGN_OR_RETURN(Session session, Open(record.infra, true));
  std::vector<Result<Json>> answers(session.nodes.size(), Result<Json>(Json::array()));
  ForEachInParallel(session.nodes.size(), 16, [&](size_t i) {
    Json rows = Json::array();
    for (const auto& [generation, weight] : record.applied->generations) {
      auto outcomes = session.nodes[i]->Test(record.service, generation);
      if (!outcomes.ok()) {
        answers[i] = outcomes;
        return;
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
    answers[i] = std::move(rows);
  });
  Json out = Json::array();
  for (Result<Json>& answer : answers) {
    ASSIGN_OR_RETURN(const Json rows, std::move(answer));
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

Result<Json> Deployer::Activity(const std::string& name) {
  std::vector<DeploymentRecord> records;
  if (name.empty()) {
    ASSIGN_OR_RETURN(records, registry_.deployments().List());
  } else {
    ASSIGN_OR_RETURN(DeploymentRecord record, registry_.deployments().Get(name));
    records.push_back(std::move(record));
  }
  Json out = Json::array();
  for (const DeploymentRecord& record : records) {
    ASSIGN_OR_RETURN(Session session, Open(record.infra, false));
    std::vector<Json> metrics(session.nodes.size());
    ForEachInParallel(session.nodes.size(), 32, [&](size_t i) {
      if (auto got = session.nodes[i]->Metrics(kStatusSeconds); got.ok()) metrics[i] = *got;
    });
    Json rows = Json::array();
    for (const Json& each : metrics) AddRows(each, record.service, &rows);
    for (Json& row : rows) {
      Json line = {{"deployment", record.name}, {"stage", session.infra.stage}};
      line.update(row);
      out.push_back(std::move(line));
    }
  }
  return out;
}

Result<Json> Deployer::ActivitySince(const std::string& name, int64_t since) {
  if (!name.empty()) RETURN_IF_ERROR(registry_.deployments().Get(name));
  std::map<std::string, std::string> stages;
  ASSIGN_OR_RETURN(const auto records, registry_.deployments().List());
  for (const DeploymentRecord& record : records) {
    ASSIGN_OR_RETURN(const InfraRecord infra, registry_.infras().Get(record.infra));
    stages[record.name] = infra.stage;
  }
  int64_t resolution = 0;
  ASSIGN_OR_RETURN(const auto points,
                   registry_.activity().Since(since, NowMicros() / 1'000'000, name, &resolution));
  Json out = Json::array();
  for (const ActivityPoint& point : points) {
    if (out.empty() || out.back()["deployment"] != point.deployment ||
        out.back()["endpoint"] != point.endpoint || out.back()["generation"] != point.generation) {
      out.push_back({{"deployment", point.deployment},
                     {"stage", stages[point.deployment]},
                     {"endpoint", point.endpoint},
                     {"generation", point.generation},
                     {"requests", int64_t{0}},
                     {"errors", int64_t{0}},
                     {"p50_ms", 0.0},
                     {"p95_ms", 0.0},
                     {"p99_ms", 0.0},
                     {"resolution", resolution},
                     {"series", Json::array()}});
    }
    Json& row = out.back();
    row["requests"] = row["requests"].get<int64_t>() + point.requests;
    row["errors"] = row["errors"].get<int64_t>() + point.errors;
    row["p50_ms"] = point.p50;
    row["p95_ms"] = std::max(row["p95_ms"].get<double>(), point.p95);
    row["p99_ms"] = std::max(row["p99_ms"].get<double>(), point.p99);
    row["series"].push_back({{"at", FormatTimestamp(point.at * 1'000'000)},
                             {"requests", point.requests},
                             {"errors", point.errors},
                             {"p50_ms", point.p50},
                             {"p95_ms", point.p95},
                             {"p99_ms", point.p99}});
  }
  return out;
}

}  // namespace slipway
