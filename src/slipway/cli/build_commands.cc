#include <map>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/counted.h"

namespace slipway {
namespace {

struct BuildOptions {
  std::vector<std::string> targets;
  std::string mode = "upstream";
  bool plan = false;
};

std::string ActivityLine(const ActivityRecord& a) {
  const bool terminal = StderrIsTerminal();
  std::string mark = a.status == "done"     ? Styled("✓", Style::kGreen, terminal)
                     : a.status == "failed" ? Styled("✗", Style::kRed, terminal)
                                            : Styled("–", Style::kDim, terminal);
  std::string out = mark + " " + a.recipe + " → " + a.output + ": " + a.status;
  if (a.rows) out += ", " + Counted(*a.rows, "row");
  if (a.seconds > 0) out += " in " + FormatSeconds(a.seconds);
  if (!a.error.empty()) out += "\n  " + Styled(a.error, Style::kRed, terminal);
  auto details = ParseJson(a.details_json);
  if (details.ok() && details->is_object()) {
    if (const Json* version = FindMember(*details, "version")) {
      out += "; version " + DumpJson(*version) +
             (details->value("active", false) ? ", active" : ", not activated");
      out += " (" + details->value("activation", "") + ")";
    }
    if (const Json* warnings = FindMember(*details, "warnings")) {
      for (const Json& warning : *warnings)
        out += "\n  " + Styled("warning:", Style::kYellow, terminal) + " " +
               warning.get<std::string>();
    }
    if (const Json* quarantine = FindMember(*details, "quarantine")) {
      out += "\n  " + Counted((*details)["bad_rows"].get<int64_t>(), "row") +
             " could not be read: see " + quarantine->get<std::string>();
    } else if (details->value("bad_rows", int64_t{0}) > 0) {
      out += "\n  " + Counted((*details)["bad_rows"].get<int64_t>(), "row") +
             " could not be read: left out";
    }
  }
  return out;
}

// One bar for whatever runs now; a line for whatever ends.
class BuildView {
 public:
  explicit BuildView(const Context& context)
      : context_(context), bar_("", context.quiet || context.json) {}
  void Show(const JobEvent& event) {
    if (event.kind == JobEvent::Kind::kFinished) {
      bar_.Clear();
      context_.Say(ActivityLine(event.activity));
    } else if (event.kind == JobEvent::Kind::kProgress) {
      bar_.set_label(event.activity.recipe + " " + event.progress.stage);
      bar_.Update(event.progress.part, event.progress.rows, event.progress.detail);
    }
  }

 private:
  const Context& context_;
  ProgressBar bar_;
};

// interfaces.md 2: {"job", "status", "activities": [...]}.
Json BuildAnswer(const Json& job) {
  Json out = {{"job", job["job"]}, {"status", job["status"]}, {"activities", job["activities"]}};
  if (out["status"] != "done") out["error"] = job["error"];
  return out;
}

Result<int> PlanOnly(Context& context, const std::string& project, const Json& body) {
  ASSIGN_OR_RETURN(
      Json plan,
      context.Call("GET", ApiPath("/api/v1/projects/{}/plan?", {project}) +
                              "mode=" + body["mode"].get<std::string>() + "&targets=" +
                              Join(body["targets"].get<std::vector<std::string>>(), ",")));
  TextTable table({"RECIPE", "OUTPUT", "ACTION", "WHY"});
  for (const Json& step : plan["steps"]) {
    table.Add({step["recipe"].get<std::string>(), step["output"].get<std::string>(),
               step["action"].get<std::string>(), step["reason"].get<std::string>()});
  }
  RETURN_IF_ERROR(context.Print(table.empty() ? "nothing to build\n" : table.ToString(), plan));
  return kExitDone;
}

Result<int> Build(Context& context, const BuildOptions& options) {
  std::string project;
  Json targets = Json::array();
  for (const std::string& target : options.targets) {
    ASSIGN_OR_RETURN(ObjectRef ref, ParseObjectRef(target, "dataset or model"));
    if (!project.empty() && ref.project != project) {
      return Usage("the targets are of two projects, '" + project + "' and '" + ref.project + "'",
                   "build one project at a time");
    }
    project = ref.project;
    targets.push_back(ref.name);
  }
  Json body = {{"targets", targets}, {"mode", options.mode}};
  if (options.plan) return PlanOnly(context, project, body);
  ASSIGN_OR_RETURN(Json job, RunBuild(context, project, body));
  const Json answer = BuildAnswer(job);
  const std::string status = job["status"].get<std::string>();
  int ran = 0, skipped = 0;
  for (const Json& a : job["activities"]) {
    (a["status"] == "done" ? ran : skipped) += 1;
    if (!context.json && a["status"] == "skipped")
      context.Say("– " + a["recipe"].get<std::string>() + " → " + a["output"].get<std::string>() +
                  ": skipped, " + a["reason"].get<std::string>());
  }
  const std::string human =
      job["job"].get<std::string>() + ": " + status +
      (status == "done" && ran == 0 ? ", everything is up to date\n"
       : status == "done"
           ? ", " + std::to_string(ran) + " built" +
                 (skipped > 0 ? ", " + std::to_string(skipped) + " up to date\n" : "\n")
           : ", " + std::to_string(ran) + " of " + std::to_string(ran + skipped) +
                 " built; slipway job log " + job["job"].get<std::string>() + " tells more\n");
  RETURN_IF_ERROR(context.Print(human, answer));
  return status == "done" ? kExitDone : status == "aborted" ? kExitInterrupted : kExitFailed;
}

Result<int> ListJobs(Context& context, const std::string& project) {
  ASSIGN_OR_RETURN(
      Json jobs,
      context.Call("GET", project.empty() ? "/api/v1/jobs" : "/api/v1/jobs?project=" + project));
  TextTable table({"JOB", "PROJECT", "TARGETS", "STATUS", "CREATED", "FINISHED", "BY"});
  for (const Json& j : jobs) {
    table.Add(
        {j["job"].get<std::string>(), j["project"].get<std::string>(),
         Join(j["targets"].get<std::vector<std::string>>(), " "),
         j["status"].get<std::string>() + (j["interrupted"].get<bool>() ? " (interrupted)" : ""),
         j["created_at"].get<std::string>(),
         j["finished_at"].is_null() ? "-" : j["finished_at"].get<std::string>(),
         j["who"].get<std::string>()});
  }
  RETURN_IF_ERROR(context.Print(table.empty() ? "no jobs yet\n" : table.ToString(), jobs));
  return kExitDone;
}

Result<int> ShowJob(Context& context, const std::string& id) {
  ASSIGN_OR_RETURN(Json job, context.Call("GET", "/api/v1/jobs/" + id));
  std::string human = job["job"].get<std::string>() + ": " + job["status"].get<std::string>() +
                      (job["interrupted"].get<bool>() ? " (interrupted: its process ended)" : "") +
                      "\nstarted by " + job["who"].get<std::string>() + " at " +
                      job["created_at"].get<std::string>() + "\n\n";
  TextTable table({"RECIPE", "OUTPUT", "STATUS", "ROWS", "SECONDS", "WHY"});
  std::string errors;
  for (const Json& a : job["activities"]) {
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%.2f", a["seconds"].get<double>());
    table.Add({a["recipe"].get<std::string>(), a["output"].get<std::string>(),
               a["status"].get<std::string>(),
               a["rows"].is_null() ? "-" : FormatCount(a["rows"].get<int64_t>()), seconds,
               a["reason"].get<std::string>()});
    if (a["error"].is_string())
      errors += "\n" + a["recipe"].get<std::string>() + ": " + a["error"].get<std::string>() + "\n";
  }
  RETURN_IF_ERROR(context.Print(human + table.ToString() + errors, job));
  return kExitDone;
}

Result<int> JobLog(Context& context, const std::string& id) {
  ASSIGN_OR_RETURN(Response log, context.CallRaw("GET", "/api/v1/jobs/" + id + "/log"));
  ASSIGN_OR_RETURN(std::string text, ReadFile(log.file));
  RETURN_IF_ERROR(context.Print(text, {{"job", id}, {"log", text}}));
  return kExitDone;
}

Result<int> AbortJob(Context& context, const std::string& id) {
  // A note for the process that runs the job; that process holds the home's lock, so this does not
  // ask for it.
  ASSIGN_OR_RETURN(Json answer, context.CallWithoutLock("POST", "/api/v1/jobs/" + id + "/abort"));
  RETURN_IF_ERROR(
      context.Print("asked " + answer["job"].get<std::string>() + " to stop\n", answer));
  return kExitDone;
}

}  // namespace

Result<Json> RunBuild(Context& context, const std::string& project, const Json& body) {
  ASSIGN_OR_RETURN(Json started,
                   context.Call("POST", ApiPath("/api/v1/projects/{}/build", {project}), body));
  ASSIGN_OR_RETURN(std::string id, GetString(started, "job"));
  {
    BuildView view(context);
    RETURN_IF_ERROR(context.Follow(id, [&](const JobEvent& event) { view.Show(event); }));
  }
  return context.Call("GET", "/api/v1/jobs/" + id);
}

void AddBuildCommands(CLI::App* app, Invocation* invocation) {
  static BuildOptions options;
  static std::string id, project;
  CLI::App* build = app->add_subcommand("build", "builds datasets and models: what is out of date");
  build->add_option("TARGET", options.targets, "PROJECT/DATASET or PROJECT/MODEL")->required();
  build
      ->add_option("--mode", options.mode,
                   "this, upstream (default: what is out of date), all or missing")
      ->check(CLI::IsMember({"this", "upstream", "all", "missing"}));
  build->add_flag("--plan", options.plan, "say what would run and why, and run nothing");
  Handle(build, invocation, [](Context& c) { return Build(c, options); });
  CLI::App* job =
      app->add_subcommand("job", "jobs: builds, past and present")->require_subcommand(1);
  CLI::App* ls = job->add_subcommand("ls", "jobs, newest first");
  ls->add_option("PROJECT", project, "only this project's");
  Handle(ls, invocation, [](Context& c) { return ListJobs(c, project); });
  const auto add = [&](const char* name, const char* about) {
    CLI::App* command = job->add_subcommand(name, about);
    command->add_option("JOB", id, "its id, or just the number")->required();
    return command;
  };
  Handle(add("show", "one job with its activities"), invocation,
         [](Context& c) { return ShowJob(c, id); });
  Handle(add("log", "the job's log"), invocation, [](Context& c) { return JobLog(c, id); });
  Handle(add("abort", "asks a running job to stop"), invocation,
         [](Context& c) { return AbortJob(c, id); });
}

}  // namespace slipway
