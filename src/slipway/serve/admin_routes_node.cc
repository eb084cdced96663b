// The node as a whole: metrics, cleaning, and the calls that have nothing to do here.
#include "slipway/base/clock.h"
#include "slipway/serve/admin_routes.h"

namespace slipway {
namespace {

// Tells counters that began anew from those that went on.
const int64_t kStartedOn = NowMicros() / 1000;

Json MetricsRow(const StatsRegistry::Row& row) {
  const EndpointStats::Totals& totals = row.totals;
  const auto count = [&](Answered how) { return totals.requests[static_cast<int>(how)]; };
  const int64_t all = count(Answered::kOk) + count(Answered::kClientError) +
                      count(Answered::kServerError) + count(Answered::kRejected);
  const auto milliseconds = [&](double q) { return EndpointStats::Quantile(totals, q) * 1e3; };
  Json buckets = totals.buckets;
  if (totals.buckets.empty()) buckets = std::vector<int64_t>(std::size(kLatencyBounds) + 1);
  return {{"service", row.service},
          {"endpoint", row.endpoint},
          {"generation", row.generation},
          {"requests", all},
          {"errors", all - count(Answered::kOk)},
          {"clientErrors", count(Answered::kClientError)},
          {"serverErrors", count(Answered::kServerError)},
          {"rejected", count(Answered::kRejected)},
          {"records", totals.records},
          {"ignored", totals.ignored},
          {"failed", totals.failed},
          {"meanMs",
           all == 0 ? 0 : static_cast<double>(totals.latency_ns) / 1e6 / static_cast<double>(all)},
          {"p50Ms", milliseconds(0.5)},
          {"p95Ms", milliseconds(0.95)},
          {"p99Ms", milliseconds(0.99)},
          {"latencyBuckets", std::move(buckets)}};
}

Json NodeMetrics(NodeParts* parts) {
  Json endpoints = Json::array();
  for (const StatsRegistry::Row& row : parts->stats->Rows()) endpoints.push_back(MetricsRow(row));
  Json services = Json::array();
  for (const ServiceInfo& service : parts->state->Services()) {
    Json generations = Json::array();
    for (const GenerationInfo& generation : service.generations) {
      if (generation.loaded)
        generations.push_back({{"generation", generation.id},
                               {"probability", generation.probability},
                               {"memoryBytes", generation.memory_bytes}});
    }
    services.push_back({{"service", service.id},
                        {"enabled", service.enabled},
                        {"serving", service.serving},
                        {"generations", std::move(generations)}});
  }
  Json shadows = Json::array();
  if (parts->shadow != nullptr) {
    for (const ShadowRow& row : parts->shadow->Rows())
      shadows.push_back({{"service", row.service},
                         {"endpoint", row.endpoint},
                         {"generation", row.generation},
                         {"shadow", row.shadow},
                         {"equal", row.equal},
                         {"different", row.different},
                         {"failed", row.failed},
                         {"dropped", row.dropped},
                         {"largestDifference", row.largest}});
  }
  const NodeMemory memory = parts->state->memory();
  const AdmissionStats admission = parts->admission->stats();
  const QueryLogStats log = parts->query_log->stats();
  return {{"startedOn", kStartedOn},
          {"latencyBounds", kLatencyBounds},
          {"endpoints", std::move(endpoints)},
          {"services", std::move(services)},
          {"shadows", std::move(shadows)},
          {"memory",
           {{"generations", memory.generations},
            {"modelBytes", memory.bytes},
            {"generationsFreed", memory.freed}}},
          {"admission",
           {{"queued", admission.queued},
            {"running", admission.running},
            {"limit", admission.limit},
            {"admitted", admission.admitted},
            {"rejectedQueueFull", admission.rejected_full},
            {"rejectedTooLate", admission.rejected_late}}},
          {"queryLog",
           {{"written", log.written},
            {"dropped", log.dropped},
            {"diskBytes", log.disk_bytes},
            {"lastError", log.last_error}}},
          {"epoch", parts->state->epoch()}};
}

Response NotHere(std::string_view what) {
  Error error = InvalidArgument(std::string(what),
                                "packages for this node carry their models as bundles; there is "
                                "nothing to prepare");
  Response response = ErrorResponse(error);
  response.status = 501;
  return response;
}

}  // namespace

void AddNodeRoutes(NodeParts* parts, Router* router) {
  router->Add(
      {"GET", "/admin/api/metrics", "admin", "counters, latencies and memory",
       [parts](const Request&) -> Result<Response> { return JsonResponse(NodeMetrics(parts)); }});
  router->Add({"DELETE", "/admin/api/services-clean-unused", "admin",
               "deletes generations that nothing needs",
               [parts](const Request& request) -> Result<Response> {
                 ASSIGN_OR_RETURN(const NodeState::Epoch epoch, EpochOf(request));
                 ASSIGN_OR_RETURN(const std::vector<std::string> removed,
                                  parts->state->CleanUnused(epoch));
                 return OkResponse({{"removed", removed}, {"count", removed.size()}});
               }});
  // The node keeps neither cache: emptying one is done already, filling one is said not to be.
  router->Add({"POST", "/admin/api/model-cache", "admin", "no model cache: nothing is done",
               [](const Request&) -> Result<Response> {
                 return OkResponse(
                     {{"cached", false},
                      {"message", "this node has no model cache: packages carry their models"}});
               }});
  router->Add({"DELETE", "/admin/api/model-cache", "admin", "no model cache: nothing is done",
               [](const Request&) -> Result<Response> { return OkResponse({{"removed", 0}}); }});
  router->Add({"POST", "/admin/api/cached-code-envs", "admin", "not on this node",
               [](const Request&) -> Result<Response> {
                 return NotHere("this node runs no code environments");
               }});
  router->Add({"DELETE", "/admin/api/cached-code-envs", "admin", "no cache: nothing is done",
               [](const Request&) -> Result<Response> { return OkResponse({{"removed", 0}}); }});
  router->Add({"POST", "/admin/api/register-global-code-env", "admin", "not on this node",
               [](const Request&) -> Result<Response> {
                 return NotHere("this node runs no code environments");
               }});
}

}  // namespace slipway
