// What deployments are asked: the nodes' counters now, and what a supervising deployer recorded.
#include "slipway/base/clock.h"
#include "slipway/base/text.h"
#include "slipway/deploy/deployer.h"

namespace slipway {
namespace {

constexpr double kLookSeconds = 5, kExpirySeconds = 3600;
constexpr double kAnswerSeconds = 3;  // of a node, for a look

Json NewRow(const ActivityPoint& point, const std::string& stage, int64_t resolution) {
  return {{"deployment", point.deployment}, {"stage", stage},         {"endpoint", point.endpoint},
          {"generation", point.generation}, {"requests", int64_t{0}}, {"errors", int64_t{0}},
          {"resolution", resolution},       {"series", Json::array()}};
}

}  // namespace

void Deployer::WatchLoop(const std::stop_token& stop) {
  ActivityRecorder recorder;
  double next_expiry = 0;
  while (!stop.stop_requested()) {
    const double began = SteadySeconds();
    RecordActivity(recorder);
    if (began >= next_expiry) {
      next_expiry = began + kExpirySeconds;
      (void)registry_.activity().Expire(NowMicros() / 1'000'000).ok();
    }
    const double rest = std::max(0.1, began + kLookSeconds - SteadySeconds());
    std::unique_lock<std::mutex> lock(sleep_mutex_);
    wake_.wait_for(lock, stop, std::chrono::duration<double>(rest), [] { return false; });
  }
}

// One look at every node of infrastructures with deployments.
void Deployer::RecordActivity(ActivityRecorder& recorder) {
  const auto deployments = registry_.deployments().List();
  if (!deployments.ok()) return;
  std::set<std::string> infras;
  std::set<ActivityRecorder::Place> places;
  for (const DeploymentRecord& record : *deployments) {
    if (record.applied && record.applied->enabled) infras.insert(record.infra);
  }
  if (infras.empty()) return recorder.Keep({});
  const auto seen = Look(infras, false, kAnswerSeconds);
  if (!seen.ok()) return;
  std::vector<ActivityPoint> points;
  for (const DeploymentRecord& record : *deployments) {
    const auto found = seen->find(record.infra);
    if (found == seen->end() || !record.applied || !record.applied->enabled) continue;
    for (const Seen::Node& node : found->second.nodes) {
      places.emplace(node.url, record.service);
      recorder.Look(node.url, record.name, record.service, node.metrics, &points);
    }
  }
  recorder.Keep(places);
  // What cannot be recorded now (a full disk) is lost; serving is not touched by it.
  (void)registry_.activity().Record(NowMicros() / 1'000'000, points).ok();
}

Result<Json> Deployer::Activity(const std::string& name) {
  std::vector<DeploymentRecord> records;
  if (name.empty()) {
    ASSIGN_OR_RETURN(records, registry_.deployments().List());
  } else {
    ASSIGN_OR_RETURN(DeploymentRecord record, registry_.deployments().Get(name));
    records.push_back(std::move(record));
  }
  std::set<std::string> infras;
  for (const DeploymentRecord& record : records) infras.insert(record.infra);
  ASSIGN_OR_RETURN(const auto seen, Look(infras, false, kAnswerSeconds));
  Json out = Json::array();
  for (const DeploymentRecord& record : records) {
    const auto found = seen.find(record.infra);
    if (found == seen.end()) continue;
    EndpointRows rows;
    for (const Seen::Node& node : found->second.nodes) rows.Add(node.metrics, record.service);
    for (const Json& row : rows.ToJson()) {
      Json line = {{"deployment", record.name}, {"stage", found->second.infra.stage}};
      line.update(row);
      out.push_back(std::move(line));
    }
  }
  return out;
}

Result<Json> Deployer::ActivitySince(const std::string& name, int64_t since) {
  if (!name.empty()) RETURN_IF_ERROR(registry_.deployments().Get(name));
  std::map<std::string, std::string> stage_of_infra, stages;
  ASSIGN_OR_RETURN(const auto infras, registry_.infras().List());
  for (const InfraRecord& infra : infras) stage_of_infra[infra.name] = infra.stage;
  ASSIGN_OR_RETURN(const auto records, registry_.deployments().List());
  for (const DeploymentRecord& record : records) stages[record.name] = stage_of_infra[record.infra];
  int64_t resolution = 0;
  ASSIGN_OR_RETURN(const auto points,
                   registry_.activity().Since(since, NowMicros() / 1'000'000, name, &resolution));
  Json out = Json::array();
  LatencyBuckets sum;
  for (const ActivityPoint& point : points) {
    if (out.empty() || out.back()["deployment"] != point.deployment ||
        out.back()["endpoint"] != point.endpoint || out.back()["generation"] != point.generation) {
      out.push_back(NewRow(point, stages[point.deployment], resolution));
      sum = {};
    }
    Json& row = out.back();
    row["requests"] = row["requests"].get<int64_t>() + point.requests;
    row["errors"] = row["errors"].get<int64_t>() + point.errors;
    sum.Add(point.latencies);
    PutPercentiles(sum, &row);
    Json span = {{"at", FormatTimestamp(point.at * 1'000'000)},
                 {"requests", point.requests},
                 {"errors", point.errors}};
    PutPercentiles(point.latencies, &span);
    row["series"].push_back(std::move(span));
  }
  return out;
}

}  // namespace slipway
