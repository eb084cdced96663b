#include "slipway/hub/service_views.h"

#include "slipway/flow/package_changes.h"
#include "slipway/flow/package_run.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/route_helpers.h"

namespace slipway {

Json PackageToJson(const PackageRecord& package) {
  Json models = Json::array();
  for (const PackageModel& model : package.models) {
    models.push_back(
        {{"endpoint", model.endpoint},
         {"model", model.project + "/" + model.model + "@" + std::to_string(model.version)}});
  }
  Json out = {{"package", PackageId(package.number)},
              {"number", package.number},
              {"service", package.project + "/" + package.service},
              {"created_at", package.created_at},
              {"created_by", package.created_by},
              {"notes", package.notes},
              {"bytes", package.bytes},
              {"sha256", package.blob},
              {"models", std::move(models)}};
  if (auto summary = ParseJson(package.summary_json); summary.ok()) {
    for (const char* key : {"endpoints", "tables", "test_queries"}) {
      if (const Json* value = FindMember(*summary, key)) out[key] = *value;
    }
  }
  return out;
}

Result<Json> PackagesToJson(Registry& registry, const std::vector<PackageRecord>& packages) {
  ASSIGN_OR_RETURN(const Json changes, ChangesOfPackages(registry, packages));
  Json out = Json::array();
  for (size_t i = 0; i < packages.size(); ++i) {
    out.push_back(PackageToJson(packages[i]));
    out.back()["changes"] = changes[i];
  }
  return out;
}

Json EndpointToJson(Registry& registry, const std::string& project,
                    const EndpointDefinition& endpoint) {
  Json tables = Json::array();
  for (const TableUseDefinition& use : endpoint.tables) tables.push_back(use.dataset);
  int64_t queries = 0;
  for (const TestQueryDefinition& query : endpoint.queries)
    queries += query.dataset.empty() ? 1 : query.rows;
  Json out = {{"endpoint", endpoint.id},
              {"type", endpoint.lookup ? "lookup" : "prediction"},
              {"description", endpoint.description},
              {"model", Json()},
              {"tables", std::move(tables)},
              {"test_queries", queries}};
  if (endpoint.lookup) return out;
  out["prediction"] = endpoint.model;
  out["explanations"] = {{"enabled", endpoint.explain}, {"count", endpoint.explanations}};
  if (const auto version = EndpointVersion(registry, project, endpoint); version.ok()) {
    out["model"] = version->project + "/" + version->model + "@" + std::to_string(version->number);
  } else {
    out["problem"] = version.error().message;
  }
  return out;
}

std::function<Json(const Request&)> ServiceState(Hub& hub) {
  return [&hub](const Request& request) {
    const auto stored = LoadStoredProject(hub.registry(), request.params.at("project"));
    if (!stored.ok()) return Json();
    const Json* service = FindMember(stored->definition.services, request.params.at("service"));
    return service != nullptr ? *service : Json();
  };
}

}  // namespace slipway
