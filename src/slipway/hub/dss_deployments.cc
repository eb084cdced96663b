// Deployments of the API Deployer for DSS's clients: settings, updates, status, queries.
#include <algorithm>

#include "slipway/base/text.h"
#include "slipway/hub/dss_facade.h"
#include "slipway/hub/dss_wire.h"

namespace slipway {
namespace {

constexpr size_t kMaxQueries = 100;  // of one call: each is a request to a node

std::string PathOf(const DssCall& call) { return "deployments/" + call.param("d"); }

Json PackagesOf(const Json& spec) {
  Json out = Json::array();
  for (const Json& each : spec["generations"]) out.push_back({{"id", each["generation"]}});
  return out;
}

// What is wanted: a saved change shows at once, as in DSS.
Json LightStatus(const Json& deployment) {
  const Json& desired = deployment["desired"];
  return {{"deploymentBasicInfo",
           {{"id", deployment["name"]},
            {"publishedServiceId", deployment["service"]},
            {"deployedServiceId", deployment["service"]},
            {"infraId", deployment["infra"]},
            {"enabled", desired["enabled"]},
            {"createdBy", deployment["created_by"]}}},
          {"serviceBasicInfo", {{"id", deployment["service"]}}},
          {"infraBasicInfo", {{"id", deployment["infra"]}, {"stage", deployment["stage"]}}},
          {"packages", PackagesOf(desired)},
          {"outOfSync", deployment["out_of_sync"]}};
}

Result<Response> ListDssDeployments(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json deployments, call.Get("deployments"));
  Json out = Json::array();
  for (const Json& each : deployments) out.push_back(LightStatus(each));
  return JsonResponse(out);
}

Result<Response> CreateDssDeployment(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json body, call.body());
  ASSIGN_OR_RETURN(const std::string id, GetString(body, "deploymentId"));
  ASSIGN_OR_RETURN(const std::string service, GetString(body, "publishedServiceId"));
  ASSIGN_OR_RETURN(const std::string infra, GetString(body, "infraId"));
  ASSIGN_OR_RETURN(const std::string version, GetString(body, "version"));
  if (!TextMember(body, "endpointId").empty())
    return DssNotSupported("deploying one endpoint of a service", "leave endpoint_id out");
  if (const Json* queries = FindMember(body, "authorizationsToQueryThroughDeployer");
      queries != nullptr && !queries->empty())
    return DssNotSupported("rights of groups to query through the deployer",
                           "roles on projects, services and infrastructures: docs/hub.md");
  ASSIGN_OR_RETURN(
      const Json made,
      call.Send("POST", "deployments",
                {{"name", id}, {"service", service}, {"infra", infra}, {"version", version}}));
  return JsonResponse(LightStatus(made));
}

Result<Response> ShowDssDeployment(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json deployment, call.Get(PathOf(call)));
  return JsonResponse(LightStatus(deployment));
}

Result<Response> ShowDssDeploymentStatus(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json status, call.Get(PathOf(call) + "/status"));
  const std::string health = DssUpper(TextMember(status, "health"));
  Json messages = Json::array(), nodes = Json::array();
  for (const Json& message : status["messages"]) {
    messages.push_back({{"severity", health == "ERROR" ? "ERROR" : "WARNING"},
                        {"code", "SLIPWAY_DEPLOYMENT"},
                        {"title", "Deployment status"},
                        {"details", message},
                        {"message", message}});
  }
  for (const Json& node : status["nodes"]) {
    nodes.push_back({{"url", node["url"]},
                     {"health", DssUpper(TextMember(node, "health"))},
                     {"reason", node["reason"]},
                     {"generations", node["generations"]}});
  }
  return JsonResponse({{"deploymentId", status["name"]},
                       {"health", health},
                       {"healthMessages", {{"messages", std::move(messages)}}},
                       {"apiNodes", std::move(nodes)},
                       {"endpoints", status["endpoints"]},
                       {"outOfSync", status["out_of_sync"]}});
}

// ---- settings

Json DssDeploymentSettings(const Json& deployment) {
  const Json& desired = deployment["desired"];
  const Json& generations = desired["generations"];
  Json mapping;
  if (generations.size() == 1) {
    mapping = {{"mode", "SINGLE_GENERATION"}, {"generation", generations.front()["generation"]}};
  } else {
    Json entries = Json::array();
    for (const Json& each : generations)
      entries.push_back({{"generation", each["generation"]}, {"proba", each["weight"]}});
    mapping = {{"mode", "MULTIPLE_GENERATIONS"}, {"entries", std::move(entries)}};
  }
  return {{"id", deployment["name"]},
          {"publishedServiceId", deployment["service"]},
          {"deployedServiceId", deployment["service"]},
          {"infraId", deployment["infra"]},
          {"enabled", desired["enabled"]},
          {"generationsMapping", std::move(mapping)},
          {"slipway", {{"settings", desired["settings"]}}}};
}

Result<Response> GetDssDeploymentSettings(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json deployment, call.Get(PathOf(call)));
  return JsonResponse(DssDeploymentSettings(deployment));
}

// {"version": ..} or {"weights": ..}. Entries decide when there are some: raw settings that were
// edited may keep an old mode.
Result<Json> WishOf(const Json& mapping) {
  if (TextMember(mapping, "mode") == "SINGLE_GENERATION") {
    ASSIGN_OR_RETURN(const std::string version, GetString(mapping, "generation"));
    return Json{{"version", version}};
  }
  ASSIGN_OR_RETURN(const Json* entries, GetArray(mapping, "entries"));
  Json weights = Json::object();
  for (const Json& entry : *entries) {
    ASSIGN_OR_RETURN(const std::string generation, GetString(entry, "generation"));
    ASSIGN_OR_RETURN(const double proba, GetDouble(entry, "proba"));
    if (weights.contains(generation))
      return InvalidArgument("generation '" + generation.substr(0, 100) + "' is there twice");
    weights[generation] = proba;
  }
  return Json{{"weights", std::move(weights)}};
}

Result<Response> PutDssDeploymentSettings(const DssCall& call) {
  RETURN_IF_ERROR(call.flag("ignoreWarnings", false));
  ASSIGN_OR_RETURN(const Json sent, call.body());
  ASSIGN_OR_RETURN(const Json deployment, call.Get(PathOf(call)));
  const Json read = DssDeploymentSettings(deployment);
  RETURN_IF_ERROR(
      DssOnlyChanges(read, sent, {"enabled", "generationsMapping", "slipway"}, "the deployment"));
  Json wish = Json::object();
  if (const Json* mapping = FindMember(sent, "generationsMapping");
      mapping != nullptr && *mapping != read["generationsMapping"]) {
    ASSIGN_OR_RETURN(wish, WishOf(*mapping));
  }
  if (const Json* ours = FindMember(sent, "slipway"); ours != nullptr && *ours != read["slipway"]) {
    ASSIGN_OR_RETURN(const Json* settings, GetObject(*ours, "settings"));
    wish["settings"] = *settings;
  }
  if (sent.contains("enabled")) {
    ASSIGN_OR_RETURN(const bool enabled, GetBool(sent, "enabled"));
    wish["enabled"] = enabled;
  }
  RETURN_IF_ERROR(call.Send("PUT", PathOf(call) + "/settings", wish));
  return DssOk();
}

// ---- updates

Result<Response> StartDssUpdate(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json started, call.Send("POST", PathOf(call) + "/update", Json::object()));
  return JsonResponse({{"jobId", started["job"]},
                       {"hasResult", false},
                       {"alive", true},
                       {"aborted", false},
                       {"owner", call.request().who}});
}

// Updates are told apart by this in DSS; ours begin on whole seconds, so the rest of it is the
// update's number.
int64_t StampOf(const Json& update) {
  return DssMillis(TextMember(update, "started_at")) / 1000 * 1000 +
         update.value("update", int64_t{0}) % 1000;
}

Json UpdateItem(const Json& update) {
  const std::string status = TextMember(update, "status");
  Json out = {{"startTimestamp", StampOf(update)},
              {"endTimestamp", DssMillis(TextMember(update, "ended_at"))},
              {"type", DssUpper(TextMember(update, "kind"))},
              {"status", status == "done"      ? "SUCCESS"
                         : status == "running" ? "RUNNING"
                                               : "ERROR"},
              {"requester", update["requester"]},
              {"slipway", update}};
  if (const Json* log = FindMember(update, "log")) {
    out["logs"] = {{"lines", *log}};
    if (const Json* error = FindMember(update, "error"))
      out["logs"]["lines"].push_back("error: " + TextMember(*error, "message"));
  }
  return out;
}

Result<Response> ListUpdates(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json updates, call.Get(PathOf(call) + "/updates"));
  Json out = Json::array();
  for (const Json& update : updates) out.push_back(UpdateItem(update));
  return JsonResponse(out);
}

Result<Response> LastUpdate(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json update, call.Get(PathOf(call) + "/updates/last"));
  return JsonResponse(UpdateItem(update));
}

Result<Response> ShowDssUpdate(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json updates, call.Get(PathOf(call) + "/updates"));
  for (const Json& each : updates) {
    if (std::to_string(StampOf(each)) != call.param("u")) continue;
    ASSIGN_OR_RETURN(const Json update,
                     call.Get(PathOf(call) + "/updates/" + DumpJson(each["update"])));
    return JsonResponse(UpdateItem(update));
  }
  return NotFound("deployment '" + call.param("d") + "' has no update that began at " +
                  call.param("u"));
}

Result<Response> DeleteDssDeployment(const DssCall& call) {
  ASSIGN_OR_RETURN(const bool force, call.flag("ignorePreDeleteErrors", false));
  DssCall::Query query;
  if (force) query["force"] = "true";
  RETURN_IF_ERROR(call.Send("DELETE", PathOf(call), Json(), query));
  return DssOk();
}

// ---- queries

Result<Json> DeployedVersion(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json deployment, call.Get(PathOf(call)));
  ASSIGN_OR_RETURN(const Json service,
                   call.Get("published-services/" + TextMember(deployment, "service")));
  for (const Json& version : service["versions"]) {
    if (version["version"] == deployment["desired"]["generations"].front()["generation"])
      return version;
  }
  return NotFound("deployment '" + call.param("d") + "' has no version");
}

Result<Response> ShowDssOpenApi(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json version, DeployedVersion(call));
  return call.Fetch("published-services/" + TextMember(version, "service") + "/versions/" +
                    TextMember(version, "version") + "/openapi.json");
}

Result<std::string> EndpointOf(const DssCall& call, const char* parameter) {
  if (std::string asked = call.query(parameter); !asked.empty()) return asked;
  ASSIGN_OR_RETURN(const Json version, DeployedVersion(call));
  ASSIGN_OR_RETURN(const std::vector<std::string> all, GetStrings(version, "endpoints"));
  if (all.size() == 1) return all.front();
  return InvalidArgument("the deployment has " + std::to_string(all.size()) + " endpoints",
                         "say which by endpoint_id: " + QuotedList(all));
}

// [{"q": {"features": {..}}}, ..] in a parameter; each is answered by a node, or says why not.
Result<Json> RunQueries(const DssCall& call, const std::string& text, const char* parameter) {
  ASSIGN_OR_RETURN(const Json queries, ParseJson(text));
  if (!queries.is_array() || queries.size() > kMaxQueries)
    return InvalidArgument("queries are a list of at most " + std::to_string(kMaxQueries),
                           "[{'q': {'features': {..}}}]");
  ASSIGN_OR_RETURN(const std::string endpoint, EndpointOf(call, parameter));
  Json out = Json::array();
  for (const Json& query : queries) {
    ASSIGN_OR_RETURN(const Json* q, GetObject(query, "q"));
    if (const Json* headers = FindMember(query, "headers"); headers && !headers->empty())
      return InvalidArgument("Slipway does not support headers of test queries",
                             "leave 'headers' out");
    const auto answer =
        call.Send("POST", PathOf(call) + "/query", {{"endpoint", endpoint}, {"body", *q}});
    Json item = {{"endpointId", endpoint}, {"q", *q}, {"ok", answer.ok()}};
    if (answer.ok()) {
      item["response"] = *answer;
    } else {
      item["error"] = answer.error().message;
    }
    out.push_back(std::move(item));
  }
  return Json{{"responses", std::move(out)}};
}

Result<Response> RunTestQueries(const DssCall& call) {
  if (const std::string text = call.query("testQueriesParam"); !text.empty()) {
    ASSIGN_OR_RETURN(const Json answer, RunQueries(call, text, "endpointIdParam"));
    return JsonResponse(answer);
  }
  const std::string endpoint = call.query("endpointIdParam");
  ASSIGN_OR_RETURN(const Json results, call.Send("POST", PathOf(call) + "/test", Json::object()));
  Json out = Json::array();
  for (const Json& result : results) {
    if (!endpoint.empty() && result["endpoint"] != endpoint) continue;
    Json item = {{"endpointId", result["endpoint"]}, {"response", result["answer"]}};
    item.update(result);
    out.push_back(std::move(item));
  }
  return JsonResponse({{"responses", std::move(out)}});
}

Result<Response> RunGivenQueries(const DssCall& call) {
  RETURN_IF_ERROR(call.flag("adaptQueryForInfraType", true));
  const std::string text = call.query("queries");
  if (text.empty()) return InvalidArgument("'queries' is missing in the request's query");
  ASSIGN_OR_RETURN(const Json answer, RunQueries(call, text, "endpointId"));
  return JsonResponse(answer);
}

}  // namespace

void AddDssDeploymentCalls(DssFacade* facade) {
  const char* const one = "/api-deployer/deployments/{d}";
  const char* const settings = "/api-deployer/deployments/{d}/settings";
  facade->Add("GET", "/api-deployer/deployments", "DSSAPIDeployer.list_deployments",
              ListDssDeployments);
  facade->Add("POST", "/api-deployer/deployments", "DSSAPIDeployer.create_deployment",
              CreateDssDeployment);
  facade->Add("GET", one, "DSSAPIDeployerDeployment.get_status", ShowDssDeployment);
  facade->Add("DELETE", one, "DSSAPIDeployerDeployment.delete", DeleteDssDeployment);
  facade->Add("GET", "/api-deployer/deployments/{d}/status", "DSSAPIDeployerDeployment.get_status",
              ShowDssDeploymentStatus);
  facade->Add("GET", settings, "DSSAPIDeployerDeployment.get_settings", GetDssDeploymentSettings);
  facade->Add("PUT", settings, "DSSAPIDeployerDeploymentSettings.save", PutDssDeploymentSettings);
  facade->Add("POST", "/api-deployer/deployments/{d}/actions/update",
              "DSSAPIDeployerDeployment.start_update", StartDssUpdate);
  facade->Add("GET", "/api-deployer/deployments/{d}/update",
              "DSSAPIDeployerDeployment.list_updates", ListUpdates);
  facade->Add("GET", "/api-deployer/deployments/{d}/last-update",
              "DSSAPIDeployerDeployment.get_update", LastUpdate);
  facade->Add("GET", "/api-deployer/deployments/{d}/update/{u}",
              "DSSAPIDeployerDeployment.get_update", ShowDssUpdate);
  facade->Add("GET", "/api-deployer/deployments/{d}/get-open-api",
              "DSSAPIDeployerDeployment.get_open_api", ShowDssOpenApi);
  facade->AddSlow("POST", "/api-deployer/deployments/{d}/actions/run-test-queries",
                  "DSSAPIDeployerDeployment.run_test_queries", RunTestQueries);
  facade->AddSlow("POST", "/api-deployer/deployments/{d}/actions/run-queries",
                  "DSSAPIDeployerDeployment.run_queries", RunGivenQueries);
  facade->AddMissing("/api-deployer/deployments/{d}/governance-status", "governance", "");
}

}  // namespace slipway
