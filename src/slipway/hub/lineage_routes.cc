// From an answer of an API node back to the data: the node's query log, the package, the version,
// its build, its dataset.
#include <algorithm>

#include "slipway/hub/hub.h"
#include "slipway/hub/lineage_view.h"
#include "slipway/hub/route_helpers.h"

namespace slipway {
namespace {

constexpr const char* kRequestIdPattern = "^[A-Za-z0-9_.:/+=@-]{1,128}$";

std::string QueryOf(const Request& request, const char* key) {
  const auto found = request.query.find(key);
  return found == request.query.end() ? std::string() : found->second;
}

bool MayDeploy(const Request& request, const std::string& infra) {
  return request.principal == nullptr || May(*request.principal, "deploy", {"infra", infra});
}

struct Origin {
  std::string service, endpoint, generation, manifest_sha256;
  Json answer, node;  // null where the caller read the log
};

Result<std::vector<std::string>> InfrasToAsk(Hub& hub, const Request& request) {
  const std::string deployment = QueryOf(request, "deployment");
  if (!deployment.empty()) {
    const auto record = hub.registry().deployments().Get(deployment);
    if (!record.ok() && MaySee(request, Resource{})) return record.error();
    // The suggestions of that error are names that this caller may not see.
    if (!record.ok() || !MaySee(request, {"infra", record->infra}))
      return NotFound("there is no deployment '" + deployment +
                      "', or you have no right to see it");
    return std::vector<std::string>{record->infra};
  }
  std::vector<std::string> out;
  ASSIGN_OR_RETURN(const auto infras, hub.registry().infras().List());
  for (const InfraRecord& infra : infras) {
    if (MaySee(request, {"infra", infra.name})) out.push_back(infra.name);
  }
  return out;
}

// The answer as the log has it. What people sent and got is for those who may send it themselves.
Json AnswerToJson(const FoundAnswer& found, bool with_values) {
  const Json& first = found.lines.front();
  Json out = Json::object();
  for (const char* key : {"time", "verb", "status", "latency_us", "key", "trace_id"}) {
    const Json* value = FindMember(first, key);
    out[key] = value != nullptr ? *value : Json();
  }
  out["records"] = found.count;
  out["other_requests_lines"] = found.others;
  if (!with_values) return out;
  out["lines"] = Json::array();
  for (const Json& line : found.lines) {
    Json values = Json::object();
    for (const char* key : {"record", "features", "context", "result", "error", "left_out"}) {
      if (const Json* value = FindMember(line, key); value != nullptr) values[key] = *value;
    }
    out["lines"].push_back(std::move(values));
  }
  return out;
}

Result<Origin> FindOrigin(Hub& hub, const Request& request) {
  Origin origin;
  const std::string id = QueryOf(request, "request_id");
  ASSIGN_OR_RETURN(const std::vector<std::string> infras, InfrasToAsk(hub, request));
  ASSIGN_OR_RETURN(const FoundAnswer found, hub.deployer().FindAnswer(id, infras));
  const Json& line = found.lines.front();
  origin.service = TextMember(line, "service");
  origin.endpoint = TextMember(line, "endpoint");
  origin.generation = TextMember(line, "generation");
  origin.manifest_sha256 = found.manifest_sha256;
  origin.answer = AnswerToJson(found, MayDeploy(request, found.infra));
  ASSIGN_OR_RETURN(const InfraRecord infra, hub.registry().infras().Get(found.infra));
  origin.node = {
      {"url", found.node}, {"infra", infra.name}, {"stage", infra.stage}, {"deployment", Json()}};
  ASSIGN_OR_RETURN(const auto deployments, hub.registry().deployments().List());
  for (const DeploymentRecord& each : deployments) {
    if (each.infra == infra.name && each.service == origin.service)
      origin.node["deployment"] = each.name;
  }
  return origin;
}

Result<Response> Trace(Hub& hub, const Request& request, const Origin& origin) {
  Json out = {{"answer", origin.answer},
              {"node", origin.node},
              {"service", origin.service},
              {"endpoint", origin.endpoint},
              {"generation", origin.generation}};
  const auto missing = [&](const Error& error) {
    // What the log says is an answer already; why there is no more is part of it.
    out["package"] = nullptr;
    out["problem"] = error.message;
    out["hint"] = error.hint;
    return JsonResponse(out);
  };
  const auto package = FindPackage(
      hub.registry(), origin.service, origin.generation, origin.manifest_sha256,
      [&](const std::string& service) { return MaySee(request, {"service", service}); });
  if (!package.ok()) {
    Error error = package.error();
    if (error.code != ErrorCode::kNotFound) return error;
    if (!MaySee(request, Resource{})) error.message += ", or you have no right to see it";
    return origin.answer.is_null() ? Result<Response>(error) : Result<Response>(missing(error));
  }
  const PackageManifest& manifest = package->manifest;
  out["package"] = {{"project", package->project},
                    {"name", (package->project.empty() ? "" : package->project + "/") +
                                 manifest.service + "@" + manifest.id},
                    {"sha256", package->sha256},
                    {"manifest_sha256", ManifestSha256(manifest)},
                    // Of an unknown one the id alone is what the two have in common.
                    {"same_on_node", origin.manifest_sha256.empty() ? Json() : Json(true)},
                    {"created_at", manifest.created_at},
                    {"created_by", manifest.created_by},
                    {"notes", manifest.notes},
                    {"published", package->published},
                    {"published_at", package->published_at},
                    {"published_by", package->published_by}};
  const PackageEndpoint* endpoint = manifest.Find(origin.endpoint);
  if (endpoint == nullptr)
    return NotFound("package '" + manifest.service + "@" + manifest.id + "' has no endpoint '" +
                    origin.endpoint + "'");
  out["type"] = EndpointTypeName(endpoint->type);
  ASSIGN_OR_RETURN(Json lineage, EndpointLineage(hub.registry(), *package, *endpoint));
  // The model may be another project's.
  if (const auto ref = ParseModelRef(endpoint->model);
      ref.ok() && !MaySee(request, {"project", ref->project})) {
    for (const char* key : {"version", "same_bundle", "trained_on"}) lineage[key] = nullptr;
    lineage["told_by"] = "nobody: you have no right to see project '" + ref->project + "'";
  }
  out.update(lineage);
  return JsonResponse(out);
}

Result<Response> OfRequest(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Origin origin, FindOrigin(hub, request));
  return Trace(hub, request, origin);
}

Result<Response> OfEndpoint(Hub& hub, const Request& request) {
  Origin origin;
  origin.service = request.params.at("published");
  origin.generation = request.params.at("generation");
  origin.endpoint = request.params.at("endpoint");
  return Trace(hub, request, origin);
}

}  // namespace

void AddLineageRoutes(Hub& hub, Router* router) {
  router->Add({"GET",
               "/api/v1/lineage",
               "read",
               "from an answer of an API node back to the data that its model was trained on",
               [&hub](const Request& request) { return OfRequest(hub, request); },
               {.query = Keys(
                    {{"request_id", "string", true, "the answer's X-Request-Id", kRequestIdPattern},
                     {"deployment", "string", false, "ask its nodes alone", kNamePattern}}),
                .filtered = true,
                .waits = AlwaysWaits}});
  router->Add({"GET",
               "/api/v1/lineage/{published}/{generation}/{endpoint}",
               "read",
               "the same from who answered: service, generation and endpoint of a query log's line",
               [&hub](const Request& request) { return OfEndpoint(hub, request); },
               {.query = NoKeys(), .filtered = true}});
}

}  // namespace slipway
