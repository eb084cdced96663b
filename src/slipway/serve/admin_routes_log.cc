// The query log, asked for one request: where an answer came from (docs/query-log.md).
#include <set>

#include "slipway/base/file.h"
#include "slipway/querylog/search.h"
#include "slipway/serve/admin_routes.h"

namespace slipway {
namespace {

// Whoever asks waits a little longer; a log of gigabytes is looked through from its newest file.
constexpr double kSearchSeconds = 20;

// What was imported as the generation, by its hash: another package may have had the same id
// elsewhere.
Json ManifestOf(const NodeState& state, const std::string& service, const std::string& generation) {
  const Result<ServiceInfo> found = state.Service(service);
  if (!found.ok()) return {};
  for (const GenerationInfo& each : found->generations) {
    if (each.id == generation) return each.manifest_sha256;
  }
  return {};
}

Result<Response> Find(NodeParts* parts, const Request& request) {
  const auto id = request.query.find("request_id");
  if (id == request.query.end() || !IsRequestId(id->second))
    return InvalidArgument("the parameter 'request_id' is missing, or no request id",
                           "it is what the answer's header X-Request-Id says: "
                           "/admin/api/query-log?request_id=ID");
  const QueryLogOptions& log = parts->config.query_log;
  Json out = {{"requestId", id->second},
              {"enabled", log.enabled},
              {"sample", parts->config.log_sample},
              {"dropped", parts->query_log->stats().dropped}};
  parts->query_log->Flush();
  FoundQueries found;
  if (IsDirectory(log.folder)) {
    ASSIGN_OR_RETURN(
        found, FindInQueryLog(log.folder, {.request_id = id->second, .seconds = kSearchSeconds}));
  }
  out["lines"] = found.lines;
  out["count"] = found.count;
  out["files"] = found.files;
  out["bytes"] = found.bytes;
  out["complete"] = found.complete;
  out["since"] = found.since.empty() ? Json() : Json(found.since);
  out["damaged"] = found.damaged.empty() ? Json() : Json(found.damaged);
  std::set<std::pair<std::string, std::string>> answered;
  for (const Json& line : found.lines)
    answered.emplace(line.value("service", ""), line.value("generation", ""));
  out["generations"] = Json::array();
  for (const auto& [service, generation] : answered)
    out["generations"].push_back(
        {{"service", service},
         {"generation", generation},
         {"manifestSha256", ManifestOf(*parts->state, service, generation)}});
  return JsonResponse(out);
}

}  // namespace

void AddLogRoutes(NodeParts* parts, Router* router) {
  router->Add({"GET", "/admin/api/query-log", "admin", "finds a request in the query log",
               [parts](const Request& request) { return Find(parts, request); }});
}

}  // namespace slipway
