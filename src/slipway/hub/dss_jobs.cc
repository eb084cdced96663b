// Jobs and futures for DSS's clients. Both are jobs of the hub: a future is one whose result is
// waited for.
#include "slipway/base/text.h"
#include "slipway/hub/dss_facade.h"
#include "slipway/hub/dss_wire.h"

namespace slipway {
namespace {

struct Mode {
  const char* dss;
  const char* ours;
};
constexpr Mode kModes[] = {{"NON_RECURSIVE_FORCED_BUILD", "this"},
                           {"RECURSIVE_BUILD", "upstream"},
                           {"RECURSIVE_FORCED_BUILD", "all"},
                           {"RECURSIVE_MISSING_ONLY_BUILD", "missing"}};

bool Runs(const Json& job) {
  const std::string status = TextMember(job, "status");
  return status == "queued" || status == "running";
}

std::string DssJobState(const std::string& status) {
  if (status == "queued") return "NOT_STARTED";
  if (status == "running") return "RUNNING";
  if (status == "done" || status == "skipped") return "DONE";
  return status == "aborted" ? "ABORTED" : "FAILED";
}

// The one error that tells most: an activity's own, else the job's.
std::string WhyOf(const Json& job) {
  for (const Json& activity : job["activities"]) {
    if (const std::string why = TextMember(activity, "error"); !why.empty()) return why;
  }
  return TextMember(job, "error");
}

Json JobItem(const Json& job) {
  const std::string id = TextMember(job, "job"), project = TextMember(job, "project");
  Json outputs = Json::array();
  for (const Json& target : job["targets"])
    outputs.push_back({{"projectKey", project}, {"id", target}});
  std::string type = TextMember(job, "mode");
  for (const Mode& mode : kModes) {
    if (type == mode.ours) type = mode.dss;
  }
  return {{"jobId", id},
          {"projectKey", project},
          {"state", DssJobState(TextMember(job, "status"))},
          {"startTime", DssMillis(TextMember(job, "started_at"))},
          {"endTime", DssMillis(TextMember(job, "finished_at"))},
          {"def",
           {{"id", id},
            {"name", TextMember(job, "kind")},
            {"projectKey", project},
            {"initiator", TextMember(job, "who")},
            {"initiationTimestamp", DssMillis(TextMember(job, "created_at"))},
            {"type", type},
            {"outputs", std::move(outputs)}}}};
}

// The job of the path; one of another project is not there.
Result<Json> JobOf(const DssCall& call) {
  ASSIGN_OR_RETURN(Json job, call.Get("jobs/" + call.param("j")));
  if (TextMember(job, "project") == call.param("p")) return job;
  return NotFound("project '" + call.param("p") + "' has no job '" + call.param("j") + "'");
}

Result<Json> JobItems(const DssCall& call, const std::string& project, bool running) {
  DssCall::Query query;
  if (!project.empty()) query["project"] = project;
  ASSIGN_OR_RETURN(const Json jobs, call.Get("jobs", query));
  Json out = Json::array();
  for (const Json& job : jobs) {
    if (!running || Runs(job)) out.push_back(JobItem(job));
  }
  return out;
}

Result<Response> ListDssJobs(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json out, JobItems(call, call.param("p"), false));
  return JsonResponse(out);
}

Result<Response> ListRunningJobs(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json out, JobItems(call, call.param("p"), true));
  return JsonResponse(out);
}

// "Only mine" is what allUsers=False asks for.
Result<bool> OnlyMine(const DssCall& call) {
  ASSIGN_OR_RETURN(const bool all, call.flag("allUsers", false));
  return !all;
}

Result<Response> ListAllRunningJobs(const DssCall& call) {
  ASSIGN_OR_RETURN(const bool mine, OnlyMine(call));
  ASSIGN_OR_RETURN(const Json items, JobItems(call, "", true));
  Json out = Json::array();
  for (const Json& item : items) {
    if (!mine || item["def"]["initiator"] == call.request().who) out.push_back(item);
  }
  return JsonResponse(out);
}

Result<Response> StartJob(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json body, call.body());
  const std::string type = TextMember(body, "type");
  const char* mode = nullptr;
  std::vector<std::string> known;
  for (const Mode& each : kModes) {
    known.push_back(each.dss);
    if (type == each.dss || (type.empty() && std::string(each.ours) == "this")) mode = each.ours;
  }
  if (mode == nullptr)
    return InvalidArgument("Slipway has no jobs of type '" + type.substr(0, 100) + "'",
                           "types are " + QuotedList(known));
  ASSIGN_OR_RETURN(const Json* outputs, GetArray(body, "outputs"));
  Json targets = Json::array();
  for (const Json& output : *outputs) {
    ASSIGN_OR_RETURN(const std::string id, GetString(output, "id"));
    const std::string project = TextMember(output, "projectKey");
    if (!project.empty() && project != call.param("p"))
      return InvalidArgument("a job builds what is in its own project; '" + id.substr(0, 100) +
                             "' is in '" + project.substr(0, 100) + "'");
    const std::string partition = TextMember(output, "partition");
    if (!partition.empty() && partition != "NP")
      return DssNotSupported("partitions ('" + partition.substr(0, 100) + "')",
                             "leave the output's partition out");
    const std::string kind = TextMember(output, "type");
    if (!kind.empty() && kind != "DATASET" && kind != "SAVED_MODEL")
      return DssNotSupported("building a " + kind.substr(0, 100),
                             "build datasets and saved models");
    ASSIGN_OR_RETURN(const std::string name, DssLocalName(call.param("p"), id));
    targets.push_back(name);
  }
  ASSIGN_OR_RETURN(const Json started, call.Send("POST", "projects/" + call.param("p") + "/build",
                                                 {{"targets", targets}, {"mode", mode}}));
  return JsonResponse({{"id", started["job"]}});
}

Result<Response> ShowDssJobStatus(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json job, JobOf(call));
  Json base = JobItem(job), activities = Json::object();
  int64_t done = 0, failed = 0, running = 0, total = 0;
  for (const Json& activity : job["activities"]) {
    const std::string state = DssJobState(TextMember(activity, "status"));
    done += state == "DONE";
    failed += state == "FAILED" || state == "ABORTED";
    running += state == "RUNNING";
    ++total;
    Json item = {{"activityId", activity["recipe"]},
                 {"recipeName", activity["recipe"]},
                 {"state", state},
                 {"totalTime", static_cast<int64_t>(activity.value("seconds", 0.0) * 1000)}};
    if (const std::string why = TextMember(activity, "error"); !why.empty())
      item["firstFailure"] = {{"message", why}};
    activities[activity.value("recipe", "")] = std::move(item);
  }
  base["activities"] = std::move(activities);
  if (const std::string why = WhyOf(job); !why.empty()) base["firstFailure"] = {{"message", why}};
  return JsonResponse(
      {{"baseStatus", std::move(base)},
       {"globalState",
        {{"done", done}, {"failed", failed}, {"running", running}, {"total", total}}}});
}

Result<Response> AbortJob(const DssCall& call) {
  RETURN_IF_ERROR(JobOf(call));
  RETURN_IF_ERROR(call.Send("POST", "jobs/" + call.param("j") + "/abort"));
  return DssOk();
}

Result<Response> ShowDssJobLog(const DssCall& call) {
  RETURN_IF_ERROR(JobOf(call));
  return call.Fetch("jobs/" + call.param("j") + "/log");
}

// A client polls until there is a result, with no other end: one that has none is an error.
Result<Response> GetFuture(const DssCall& call) {
  RETURN_IF_ERROR(call.flag("peek", false));
  ASSIGN_OR_RETURN(const Json job, call.Get("jobs/" + call.param("j")));
  const std::string status = TextMember(job, "status");
  if (Runs(job) || status == "done") return JsonResponse(DssFutureOf(job));
  const std::string why = WhyOf(job);
  return Internal(call.param("j") + (status == "aborted" ? " was aborted" : " failed") +
                      (why.empty() ? "" : ": " + why),
                  "slipway job log " + call.param("j") + " tells more");
}

Result<Response> AbortFuture(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json job, call.Get("jobs/" + call.param("j")));
  if (Runs(job)) RETURN_IF_ERROR(call.Send("POST", "jobs/" + call.param("j") + "/abort"));
  return DssOk();
}

Result<Response> ListFutures(const DssCall& call) {
  ASSIGN_OR_RETURN(const bool mine, OnlyMine(call));
  ASSIGN_OR_RETURN(const bool others, call.flag("withNotScenarios", true));
  Json out = Json::array();
  if (!others) return JsonResponse(out);  // scenarios: there are none
  ASSIGN_OR_RETURN(const Json jobs, call.Get("jobs"));
  for (const Json& job : jobs) {
    if (Runs(job) && (!mine || TextMember(job, "who") == call.request().who))
      out.push_back(DssFutureOf(job));
  }
  return JsonResponse(out);
}

}  // namespace

Json DssFutureOf(const Json& job) {
  const bool runs = Runs(job);
  Json out = {{"jobId", TextMember(job, "job")},
              {"alive", runs},
              {"aborted", false},
              {"hasResult", !runs},
              {"owner", TextMember(job, "who")},
              {"startTime", DssMillis(TextMember(job, "started_at"))},
              {"payload", {{"displayName", TextMember(job, "kind")}}}};
  if (runs) return out;
  // Of a job of one step: what that step made.
  const Json& activities = job["activities"];
  const Json* details =
      activities.size() == 1 ? FindMember(activities.front(), "details") : nullptr;
  out["result"] = details != nullptr ? *details : Json::object();
  return out;
}

void AddDssJobCalls(DssFacade* facade) {
  const char* const jobs = "/projects/{p}/jobs";
  facade->Add("GET", "/jobs/running", "DSSClient.list_running_jobs", ListAllRunningJobs);
  facade->Add("GET", jobs, "DSSProject.list_jobs", ListDssJobs);
  facade->Add("POST", jobs, "DSSProject.start_job", StartJob);
  facade->Add("GET", "/projects/{p}/jobs/running", "DSSProject.list_running_jobs", ListRunningJobs);
  facade->Add("GET", "/projects/{p}/jobs/{j}", "DSSJob.get_status", ShowDssJobStatus);
  facade->Add("POST", "/projects/{p}/jobs/{j}/abort", "DSSJob.abort", AbortJob);
  facade->Add("GET", "/projects/{p}/jobs/{j}/log", "DSSJob.get_log", ShowDssJobLog);
  facade->Add("GET", "/futures", "DSSClient.list_futures", ListFutures);
  facade->Add("GET", "/futures/{j}", "DSSFuture.get_state, peek_state", GetFuture);
  facade->Add("DELETE", "/futures/{j}", "DSSFuture.abort", AbortFuture);
}

}  // namespace slipway
