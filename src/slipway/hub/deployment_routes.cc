// Deployments: create, update (a job), roll back, promote, test, query, watch.
#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "slipway/base/clock.h"
#include "slipway/base/names.h"
#include "slipway/base/text.h"
#include "slipway/hub/answer_schemas.h"
#include "slipway/hub/body_shapes.h"
#include "slipway/hub/deploy_views.h"
#include "slipway/hub/deployer_bodies.h"
#include "slipway/hub/deployment_wish.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/route_helpers.h"

namespace slipway {
namespace {

const std::string kDeployment = "/api/v1/deployments/{deployment}";

Result<DeploymentRecord> Find(Hub& hub, const Request& request) {
  return hub.registry().deployments().Get(request.params.at("deployment"));
}

// The update as a job of one activity; its progress lines are the update's log. Answered once what
// is wanted is saved, or cannot be.
Result<Response> StartUpdate(Hub& hub, const DeploymentRecord& record, UpdateRequest update) {
  ASSIGN_OR_RETURN(const PublishedService service, hub.registry().published().Get(record.service));
  ProjectDefinition project;
  project.name = service.project;
  JobWork work;
  work.kind = "deploy";
  work.scope = "infra:" + record.infra;
  work.what = update.kind;
  work.output = record.name;
  work.reason = "asked for";
  const Json before = record.applied ? SpecToJson(*record.applied) : Json();
  const auto saved = std::make_shared<std::atomic<bool>>(false);
  work.ended = [saved] {
    saved->store(true);
    saved->notify_all();
  };
  work.run = [&hub, update, before,
              begun = work.ended](const ActivityContext& context) -> Result<ActivityRecord> {
    UpdateRequest request = update;
    request.begun = begun;
    request.job = context.job;
    request.cancel = context.cancel;
    request.log = [&](const std::string& line, double part) {
      context.on_progress({"", part, 0, line});
    };
    ASSIGN_OR_RETURN(Json done, hub.deployer().Update(request));
    done["before"] = before;
    ActivityRecord activity;
    activity.details_json = DumpJson(done);
    return activity;
  };
  RETURN_IF_ERROR(hub.deployer().CheckIdle(record.name));
  ASSIGN_OR_RETURN(const std::string id, hub.jobs().Start(project, std::move(work), update.who));
  saved->wait(false);
  return JsonResponse({{"job", id}, {"deployment", record.name}}, 202);
}

Result<Response> ListDeployments(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(auto records, hub.registry().deployments().List());
  std::erase_if(records,
                [&](const auto& record) { return !MaySee(request, {"infra", record.infra}); });
  const auto status = request.query.find("status");
  if (status != request.query.end() && status->second == "true") {
    ASSIGN_OR_RETURN(const Json out, hub.deployer().ExamineAll(records));
    return JsonResponse(out);
  }
  ASSIGN_OR_RETURN(const auto infras, hub.registry().infras().List());
  std::map<std::string, const InfraRecord*> by_name;
  for (const InfraRecord& infra : infras) by_name[infra.name] = &infra;
  Json out = Json::array();
  for (const DeploymentRecord& record : records) {
    // One that was deleted between the two queries had no deployments left.
    if (const auto infra = by_name.find(record.infra); infra != by_name.end())
      out.push_back(Deployer::Describe(record, *infra->second));
  }
  return JsonResponse(out);
}

Result<Response> CreateDeployment(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"name", "service", "infra", "version",
                                                        "weights", "settings"}));
  ASSIGN_OR_RETURN(const std::string name, GetString(body, "name"));
  ASSIGN_OR_RETURN(std::string service, GetString(body, "service"));
  ASSIGN_OR_RETURN(const std::string infra, GetString(body, "infra"));
  RETURN_IF_ERROR(CheckValidName(name));
  RETURN_IF_ERROR(hub.registry().infras().Get(infra));
  // PROJECT/SERVICE names the same as SERVICE.
  const size_t slash = service.find('/');
  const std::string project = slash == std::string::npos ? "" : service.substr(0, slash);
  if (slash != std::string::npos) service = service.substr(slash + 1);
  ASSIGN_OR_RETURN(const PublishedService found, FindSeenPublished(hub, request, service));
  if (slash != std::string::npos && found.project != project)
    return NotFound("the published service '" + service + "' is of project '" + found.project +
                    "', not of '" + project + "'");
  DeploymentRecord wanted;
  wanted.service = service;
  ASSIGN_OR_RETURN(const PublishedVersion newest,
                   hub.registry().published().GetVersion(service, ""));
  wanted.desired.generations = {{newest.version, 1.0}};
  ASSIGN_OR_RETURN(const DeploymentSpec spec, ReadWish(hub, wanted, body));
  ASSIGN_OR_RETURN(const DeploymentRecord record,
                   hub.registry().deployments().Create(name, service, infra, spec, request.who));
  ASSIGN_OR_RETURN(const Json json, hub.deployer().Describe(record));
  return JsonResponse(json, 201);
}

Result<Response> ShowDeployment(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const DeploymentRecord record, Find(hub, request));
  ASSIGN_OR_RETURN(const Json json, hub.deployer().Describe(record));
  return JsonResponse(json);
}

Result<Response> ShowDeploymentStatus(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json json, hub.deployer().Examine(request.params.at("deployment")));
  return JsonResponse(json);
}

// Saved, not brought to the nodes.
Result<Response> PutDeploymentSettings(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body,
                   ParseBody(request, {"version", "weights", "settings", "enabled"}));
  ASSIGN_OR_RETURN(const DeploymentRecord record, Find(hub, request));
  // What a running update wants is what it ends with.
  if (record.state == "updating") return Deployer::Busy(record.name);
  ASSIGN_OR_RETURN(DeploymentSpec spec, ReadWish(hub, record, body));
  if (body.contains("enabled")) spec.enabled = BodyFlag(body, "enabled");
  RETURN_IF_ERROR(hub.registry().deployments().SetDesired(record.name, spec));
  return ShowDeployment(hub, request);
}

const std::vector<std::string> kUpdateKeys = {"version", "weights", "settings", "canary",
                                              "take_over"};

Result<Response> PlanUpdate(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, kUpdateKeys));
  ASSIGN_OR_RETURN(const DeploymentRecord record, Find(hub, request));
  ASSIGN_OR_RETURN(const DeploymentSpec spec, ReadWish(hub, record, body));
  ASSIGN_OR_RETURN(const Json plan, hub.deployer().Plan(record.name, spec));
  return JsonResponse(plan);
}

Result<Response> Update(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, kUpdateKeys));
  ASSIGN_OR_RETURN(const DeploymentRecord record, Find(hub, request));
  UpdateRequest update;
  update.deployment = record.name;
  update.who = request.who;
  update.take_over = BodyFlag(body, "take_over");
  ASSIGN_OR_RETURN(update.desired, ReadWish(hub, record, body));
  if (const Json* canary = FindMember(body, "canary"); canary != nullptr && !canary->is_null()) {
    ASSIGN_OR_RETURN(update.canary, ReadCanary(*canary));
    if (update.desired->generations.size() != 1)
      return InvalidArgument("a canary brings one version",
                             "--version vN --canary 10,50,100, without --weights");
    if (record.applied && record.applied->enabled &&
        record.applied->generations == update.desired->generations)
      return Conflict(
          "deployment '" + record.name + "' serves " + DescribeSpec(*record.applied) + " already",
          "a canary brings another version: --version vN");
    update.kind = "canary";
  }
  return StartUpdate(hub, record, std::move(update));
}

// After a failed update the way back is what runs; else what ran before it.
Result<DeploymentSpec> WayBack(Hub& hub, const DeploymentRecord& record) {
  const bool unsettled = record.state != "deployed" && record.applied;
  std::optional<DeploymentSpec> back = unsettled ? record.applied : record.previous;
  // A rollback that did not reach every node is done again, not undone.
  if (record.state == "partial") {
    ASSIGN_OR_RETURN(const auto last, hub.registry().deployments().Updates(record.name, 1));
    if (!last.empty() && last.front().kind == "rollback") back = record.desired;
  }
  if (!back)
    return Conflict("deployment '" + record.name + "' has nothing to go back to",
                    "it had one state only");
  return *back;
}

Result<Response> PlanRollback(Hub& hub, const Request& request) {
  RETURN_IF_ERROR(ParseBody(request, {}));
  ASSIGN_OR_RETURN(const DeploymentRecord record, Find(hub, request));
  ASSIGN_OR_RETURN(const DeploymentSpec back, WayBack(hub, record));
  ASSIGN_OR_RETURN(const Json plan, hub.deployer().Plan(record.name, back));
  return JsonResponse(plan);
}

Result<Response> RollbackDeployment(Hub& hub, const Request& request) {
  RETURN_IF_ERROR(ParseBody(request, {}));
  ASSIGN_OR_RETURN(const DeploymentRecord record, Find(hub, request));
  UpdateRequest update;
  ASSIGN_OR_RETURN(update.desired, WayBack(hub, record));
  update.deployment = record.name;
  update.kind = "rollback";
  update.who = request.who;
  return StartUpdate(hub, record, std::move(update));
}

Result<Response> SetEnabled(Hub& hub, const Request& request, bool enabled) {
  RETURN_IF_ERROR(ParseBody(request, {}));
  ASSIGN_OR_RETURN(const DeploymentRecord record, Find(hub, request));
  UpdateRequest update;
  update.deployment = record.name;
  update.kind = enabled ? "enable" : "disable";
  update.who = request.who;
  update.desired = record.desired;
  update.desired->enabled = enabled;
  return StartUpdate(hub, record, std::move(update));
}

Result<Response> Enable(Hub& hub, const Request& request) { return SetEnabled(hub, request, true); }
Result<Response> Disable(Hub& hub, const Request& request) {
  return SetEnabled(hub, request, false);
}

Result<Response> DeleteDeployment(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const DeploymentRecord record, Find(hub, request));
  const auto force = request.query.find("force");
  RETURN_IF_ERROR(
      hub.deployer().Remove(record.name, force != request.query.end() && force->second == "true"));
  return JsonResponse({{"deleted", record.name}});
}

// The same package on the next stage.
Result<Response> Promote(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"to", "name"}));
  ASSIGN_OR_RETURN(const DeploymentRecord from, Find(hub, request));
  if (!MaySee(request, {"infra", from.infra}))
    return NotFound("there is no deployment '" + from.name + "', or you have no right to see it");
  RETURN_IF_ERROR(FindSeenPublished(hub, request, from.service));
  ASSIGN_OR_RETURN(const std::string infra, GetString(body, "to"));
  if (!from.applied || from.applied->generations.empty())
    return Conflict("deployment '" + from.name + "' serves nothing that could be promoted",
                    "bring it to its nodes: slipway deployment update " + from.name);
  ASSIGN_OR_RETURN(const InfraRecord target, hub.registry().infras().Get(infra));
  if (target.name == from.infra)
    return InvalidArgument("deployment '" + from.name + "' is on '" + infra + "' already");
  ASSIGN_OR_RETURN(const auto all, hub.registry().deployments().List());
  const DeploymentRecord* there = nullptr;
  for (const DeploymentRecord& each : all) {
    if (each.service == from.service && each.infra == infra) there = &each;
  }
  const std::string name = BodyText(body, "name");
  DeploymentRecord record;
  DeploymentSpec spec = *from.applied;
  spec.enabled = true;
  if (there != nullptr) {
    if (!name.empty() && name != there->name)
      return Conflict("service '" + from.service + "' is on '" + infra + "' as deployment '" +
                          there->name + "'",
                      "leave --name out: that one is updated");
    record = *there;
    spec.settings = there->desired.settings;  // a stage has its own
    spec.enabled = there->desired.enabled;
  } else {
    ASSIGN_OR_RETURN(record, hub.registry().deployments().Create(
                                 name.empty() ? from.service + "-" + infra : name, from.service,
                                 infra, spec, request.who));
  }
  UpdateRequest update;
  update.deployment = record.name;
  update.kind = "promote";
  update.who = request.who;
  update.desired = spec;
  return StartUpdate(hub, record, std::move(update));
}

Result<Response> Test(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json json, hub.deployer().Test(request.params.at("deployment")));
  return JsonResponse(json);
}

Result<Response> Query(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body,
                   ParseBody(request, {"endpoint", "record", "body", "generation", "node"}));
  QueryRequest query;
  query.deployment = request.params.at("deployment");
  ASSIGN_OR_RETURN(query.endpoint, GetString(body, "endpoint"));
  if (const Json* whole = FindMember(body, "body")) query.body = *whole;
  if (const Json* record = FindMember(body, "record")) query.record = *record;
  if (query.body.is_null() && !query.record.is_object())
    return InvalidArgument("'record' is a JSON object: the fields of one record");
  query.generation = BodyText(body, "generation");
  query.node = BodyText(body, "node");
  ASSIGN_OR_RETURN(const Json json, hub.deployer().Query(query));
  return JsonResponse(json);
}

Result<Response> Updates(Hub& hub, const Request& request) {
  const auto limit = request.query.find("limit");
  const int64_t most = limit == request.query.end() ? 50 : ParseInt64(limit->second).value_or(50);
  ASSIGN_OR_RETURN(const auto updates,
                   hub.registry().deployments().Updates(request.params.at("deployment"),
                                                        std::clamp<int64_t>(most, 1, 1000)));
  Json out = Json::array();
  for (const UpdateRecord& update : updates) out.push_back(UpdateToJson(update, most == 1));
  return JsonResponse(out);
}

Result<Response> ShowUpdate(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const auto updates,
                   hub.registry().deployments().Updates(request.params.at("deployment"), 1000));
  const std::string& id = request.params.at("update");
  for (const UpdateRecord& update : updates) {
    if (id == "last" || std::to_string(update.id) == id)
      return JsonResponse(UpdateToJson(update, true));
  }
  return NotFound("deployment '" + request.params.at("deployment") + "' has no update '" + id +
                  "'");
}

// "90s", "30m", "24h", "7d".
Result<int64_t> SpanSeconds(const std::string& text) {
  const auto number = text.empty() ? std::nullopt : ParseInt64(text.substr(0, text.size() - 1));
  const size_t unit = text.empty() ? std::string::npos : std::string("smhd").find(text.back());
  constexpr int64_t kSeconds[] = {1, 60, 3600, 86'400};
  if (!number || unit == std::string::npos || *number < 1 || *number > 100'000)
    return InvalidArgument("'" + text.substr(0, 40) + "' is no span of time",
                           "write it as 30m, 24h or 7d");
  return *number * kSeconds[unit];
}

// Of rows by deployment, those of infrastructures that the caller may see.
Status KeepSeen(Hub& hub, const Request& request, Json* rows) {
  ASSIGN_OR_RETURN(const auto records, hub.registry().deployments().List());
  std::set<std::string> seen;
  for (const DeploymentRecord& record : records) {
    if (MaySee(request, {"infra", record.infra})) seen.insert(record.name);
  }
  const bool all = MaySee(request, {});  // also of deployments that are gone
  Json kept = Json::array();
  for (Json& row : *rows) {
    if (all || seen.contains(row["deployment"].get<std::string>())) kept.push_back(std::move(row));
  }
  *rows = std::move(kept);
  return {};
}

Result<Response> Activity(Hub& hub, const Request& request) {
  const auto param = request.params.find("deployment");
  const std::string name = param == request.params.end() ? "" : param->second;
  if (const auto stage = request.query.find("stage"); stage != request.query.end()) {
    ASSIGN_OR_RETURN(const auto stages, hub.registry().infras().Stages());
    if (std::none_of(stages.begin(), stages.end(),
                     [&](const Stage& each) { return each.name == stage->second; }))
      return NotFound("there is no stage '" + stage->second + "'",
                      "slipway infra stages lists them");
  }
  Json rows;
  if (const auto since = request.query.find("since"); since != request.query.end()) {
    ASSIGN_OR_RETURN(const int64_t seconds, SpanSeconds(since->second));
    ASSIGN_OR_RETURN(rows, hub.deployer().ActivitySince(name, NowMicros() / 1'000'000 - seconds));
  } else {
    ASSIGN_OR_RETURN(rows, hub.deployer().Activity(name));
  }
  if (name.empty()) RETURN_IF_ERROR(KeepSeen(hub, request, &rows));
  if (const auto stage = request.query.find("stage"); stage != request.query.end()) {
    Json kept = Json::array();
    for (Json& row : rows) {
      if (row["stage"] == stage->second) kept.push_back(std::move(row));
    }
    rows = std::move(kept);
  }
  return JsonResponse(rows);
}

}  // namespace

void AddDeploymentRoutes(Hub& hub, Router* router) {
  // Rights on a deployment are those on its infrastructure; to promote takes those on the next one.
  const auto infra_of = [&hub](const Request& request) -> Result<Resource> {
    const auto name = request.params.find("deployment");
    const bool promotes = request.method == "POST" && request.path.ends_with("/promote");
    if (name == request.params.end() || promotes) {
      const auto body = ParseJson(request.body);
      std::string infra = body.ok() && body->is_object()
                              ? BodyText(*body, promotes ? "to" : "infra")
                              : std::string();
      if (!infra.empty()) return Resource{"infra", std::move(infra)};
    }
    if (name == request.params.end()) return Resource{};
    ASSIGN_OR_RETURN(DeploymentRecord record, hub.registry().deployments().Get(name->second));
    return Resource{"infra", std::move(record.infra)};
  };
  const auto state = [&hub](const Request& request) {
    const auto found = hub.registry().deployments().Get(request.params.at("deployment"));
    return found.ok() ? Json{{"desired", SpecToJson(found->desired)}, {"state", found->state}}
                      : Json();
  };
  const auto add = [&](const char* method, const std::string& pattern, const char* permission,
                       const char* summary, Result<Response> (*handler)(Hub&, const Request&),
                       RouteDetails details = {}) {
    if (!details.query) details.query = NoKeys();
    if (pattern.find("{deployment}") != std::string::npos) {
      details.resource = infra_of;
      if (std::string_view(method) != "GET" || details.etag) details.state = state;
    }
    router->Add({method, pattern, permission, summary,
                 [&hub, handler](const Request& r) { return handler(hub, r); },
                 std::move(details)});
  };
  add("GET", "/api/v1/deployments", "read", "deployments, as they are stored", ListDeployments,
      {.query = Keys({{"status", "boolean", false,
                       "with the health of each, asked of every node (once for all of them)"}}),
       .paged = ListKey{"name"},
       .filtered = true,
       .answer = AnswersList("Deployment"),
       .waits = [](const Request& r) { return r.query.contains("status"); }});
  add("POST", "/api/v1/deployments", "deploy", "makes a deployment; nothing is pushed yet",
      CreateDeployment,
      {.status = 201,
       .rule = ShapedBody(NewDeploymentBody(), "the deployment"),
       .answer = Answers("Deployment"),
       .resource = infra_of});
  add("GET", kDeployment, "read", "one deployment, as it is stored", ShowDeployment,
      {.etag = true, .wider = true, .answer = Answers("Deployment")});
  add("PUT", kDeployment + "/settings", "deploy", "what is wanted; pushed by an update",
      PutDeploymentSettings,
      {.etag = true,
       .atomic = true,
       .rule = ShapedBody(DeploymentSettingsBody(), "the body"),
       .answer = Answers("Deployment")});
  add("DELETE", kDeployment, "deploy", "takes the service off the nodes; ?force=true",
      DeleteDeployment,
      {.query = Keys({{"force", "boolean", false, "also when a node cannot be reached"}}),
       .answer = Answers("Deleted"),
       .waits = AlwaysWaits});
  add("GET", kDeployment + "/status", "read", "health, asked of every node", ShowDeploymentStatus,
      {.answer = Answers("DeploymentStatus"), .waits = AlwaysWaits});
  add("POST", kDeployment + "/plan", "deploy", "what an update would do", PlanUpdate,
      {.asks = true,
       .rule = ShapedBody(DeploymentUpdateBody(), "the body"),
       .answer = Answers("DeploymentPlan"),
       .waits = AlwaysWaits});
  add("POST", kDeployment + "/update", "deploy", "brings it to the nodes: 202 with the job", Update,
      {.status = 202,
       .rule = ShapedBody(DeploymentUpdateBody(), "the body"),
       .answer = Answers("DeploymentJob")});
  add("POST", kDeployment + "/rollback/plan", "deploy", "what a rollback would do", PlanRollback,
      {.body = NoKeys(), .asks = true, .answer = Answers("DeploymentPlan"), .waits = AlwaysWaits});
  add("POST", kDeployment + "/rollback", "deploy", "goes back: 202 with the job",
      RollbackDeployment, {.body = NoKeys(), .status = 202, .answer = Answers("DeploymentJob")});
  add("POST", kDeployment + "/enable", "deploy", "serves again: 202 with the job", Enable,
      {.body = NoKeys(), .status = 202, .answer = Answers("DeploymentJob")});
  add("POST", kDeployment + "/disable", "deploy", "stops serving: 202 with the job", Disable,
      {.body = NoKeys(), .status = 202, .answer = Answers("DeploymentJob")});
  add("POST", kDeployment + "/promote", "deploy", "the same packages on 'to': 202 with the job",
      Promote,
      {.status = 202,
       .rule = ShapedBody(PromoteBody(), "the body"),
       .answer = Answers("DeploymentJob")});
  add("POST", kDeployment + "/test", "deploy", "the stored test queries on every node", Test,
      {.body = NoKeys(), .asks = true, .answer = AnswersList("TestOutcome"), .waits = AlwaysWaits});
  add("POST", kDeployment + "/query", "deploy", "one query, answered by a node", Query,
      {.asks = true,
       .rule = ShapedBody(QueryBody(), "the query"),
       .answer = Answers("NodeAnswer"),
       .waits = AlwaysWaits});
  add("GET", kDeployment + "/updates", "read", "updates, newest first; ?limit", Updates,
      {.query = Keys({{"limit", "integer", false, "how many (50)", "", 1, 1000}}),
       .answer = AnswersList("DeploymentUpdate")});
  add("GET", kDeployment + "/updates/{update}", "read", "one update with its log; also 'last'",
      ShowUpdate, {.answer = Answers("DeploymentUpdate")});
  const std::vector<RouteKey> stage =
      Keys({{"stage", "string", false, "only this stage's"},
            {"since", "string", false,
             "what was recorded in this span (24h); else what the nodes "
             "count now",
             "^[1-9][0-9]{0,4}[smhd]$"}});
  // What the nodes count now is asked of them, what was recorded is here.
  const auto counted_now = [](const Request& r) { return !r.query.contains("since"); };
  add("GET", "/api/v1/activity", "read", "requests, errors, latencies; ?stage", Activity,
      {.query = stage, .filtered = true, .answer = AnswersList("Activity"), .waits = counted_now});
  add("GET", kDeployment + "/activity", "read", "requests, errors, latencies of a deployment",
      Activity, {.query = stage, .answer = AnswersList("Activity"), .waits = counted_now});
}

}  // namespace slipway
