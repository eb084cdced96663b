#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/json_view.h"
#include "slipway/hub/route_helpers.h"

namespace slipway {
namespace {

Result<Response> ListJobs(Hub& hub, const Request& request) {
  Registry& registry = hub.registry();
  JobFilter filter;
  if (const auto wanted = request.query.find("project"); wanted != request.query.end()) {
    filter.project = wanted->second;
    if (MaySee(request, {"project", wanted->second}))
      RETURN_IF_ERROR(registry.projects().Get(wanted->second));
  }
  if (!MaySee(request, {})) {
    filter.scopes.emplace();
    ASSIGN_OR_RETURN(const auto scopes, registry.jobs().Scopes());
    for (const std::string& scope : scopes) {
      if (MaySee(request, ResourceOfScope(scope))) filter.scopes->insert(scope);
    }
    if (!IsLimitedKey(*request.principal)) filter.or_of = request.principal->name;
  }
  ASSIGN_OR_RETURN(const std::vector<JobRecord> jobs,
                   registry.jobs().ListBefore(filter, request.page ? request.page->after : "",
                                              request.page ? request.page->limit + 1 : 1000));
  Json out = Json::array();
  for (const JobRecord& job : jobs) out.push_back(JobToJson(job));
  return JsonResponse(out);
}

Result<Response> ShowJob(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(JobRecord job, hub.registry().jobs().Get(request.params.at("job")));
  return JsonResponse(JobToJson(job));
}

Result<Response> JobLog(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(JobRecord job, hub.registry().jobs().Get(request.params.at("job")));
  Response response;
  response.content_type = "text/plain";
  response.file = job.log_path;
  return response;
}

Result<Response> Abort(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(JobRecord job, hub.registry().jobs().Get(request.params.at("job")));
  if (job.status != JobStatus::kRunning && job.status != JobStatus::kQueued) {
    return Conflict(job.id + " is not running; it is " + std::string(JobStatusName(job.status)));
  }
  RETURN_IF_ERROR(hub.registry().jobs().RequestAbort(job.id, request.who));
  hub.jobs().Abort(job.id);
  return JsonResponse({{"job", job.id}, {"aborting", true}});
}

Result<std::vector<std::string>> Targets(const ProjectDefinition& project,
                                         const std::vector<std::string>& names) {
  std::vector<std::string> known;
  for (const auto& [name, dataset] : project.datasets) known.push_back(name);
  for (const auto& [name, model] : project.models) known.push_back(name);
  std::vector<std::string> out;
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return NotFound("project '" + project.name + "' has no dataset or model '" + name + "'",
                      DidYouMean(name, known));
    }
    out.push_back(name);
  }
  if (out.empty()) return InvalidArgument("nothing to build was named");
  return out;
}

Result<Response> PlanBuild(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  const auto get = [&](const char* key, const char* fallback) {
    auto it = request.query.find(key);
    return it == request.query.end() ? std::string(fallback) : it->second;
  };
  ASSIGN_OR_RETURN(std::vector<std::string> targets,
                   Targets(stored.definition, Split(get("targets", ""), ',')));
  ASSIGN_OR_RETURN(BuildPlan plan,
                   MakeBuildPlan(hub.registry(), stored.definition, targets,
                                 get("mode", "upstream"), false, hub.CheckFor(request)));
  return JsonResponse(BuildPlanToJson(plan));
}

Result<Response> Build(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Json body, ParseBody(request, {"targets", "mode"}));
  ASSIGN_OR_RETURN(StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  ASSIGN_OR_RETURN(std::vector<std::string> names, GetStrings(body, "targets"));
  ASSIGN_OR_RETURN(std::vector<std::string> targets, Targets(stored.definition, names));
  ASSIGN_OR_RETURN(BuildPlan plan,
                   MakeBuildPlan(hub.registry(), stored.definition, targets,
                                 BodyText(body, "mode", "upstream"), true, hub.CheckFor(request)));
  ASSIGN_OR_RETURN(std::string id, hub.jobs().Start(std::move(plan), request.who));
  return JsonResponse({{"job", id}}, 202);
}

}  // namespace

void AddJobRoutes(Hub& hub, Router* router) {
  const auto add = [&](const char* method, const char* pattern, const char* permission,
                       const char* summary, Result<Response> (*handler)(Hub&, const Request&),
                       RouteDetails details = {}) {
    router->Add({method, pattern, permission, summary,
                 [&hub, handler](const Request& r) { return handler(hub, r); },
                 std::move(details)});
  };
  // Rights on a job are those on what it works on.
  const auto scope_of_job = [&hub](const Request& request) -> Result<Resource> {
    ASSIGN_OR_RETURN(JobRecord job, hub.registry().jobs().Get(request.params.at("job")));
    return ResourceOfJob(job.scope, job.who);
  };
  add("GET", "/api/v1/jobs", "read", "jobs, newest first; ?project", ListJobs,
      {.query = Keys({{"project", "string", false, "only this project's"}}),
       .paged = ListKey{"job", ListOrder::kNumbersDown},
       .filtered = true});
  add("GET", "/api/v1/jobs/{job}", "read", "one job with its activities", ShowJob,
      {.query = NoKeys(), .resource = scope_of_job});
  add("GET", "/api/v1/jobs/{job}/log", "read", "the job's log", JobLog,
      {.query = NoKeys(), .content_type = "text/plain", .resource = scope_of_job});
  add("POST", "/api/v1/jobs/{job}/abort", "write", "asks a running job to stop", Abort,
      {.body = NoKeys(), .query = NoKeys(), .resource = scope_of_job});
  add("GET", "/api/v1/projects/{project}/plan", "read",
      "what a build of ?targets in ?mode would do, and why", PlanBuild,
      {.query = Keys({{"targets", "string", true, "datasets and models, comma-separated"},
                      {"mode", "this|upstream|all|missing"}}),
       .waits = AlwaysWaits});
  add("POST", "/api/v1/projects/{project}/build", "write",
      "starts a build: 202 with the job to follow", Build,
      {.body = Keys({{"targets", "strings", true, "datasets and models"},
                     {"mode", "this|upstream|all|missing", false, "upstream unless told"}}),
       .query = NoKeys(),
       .status = 202});
}

}  // namespace slipway
