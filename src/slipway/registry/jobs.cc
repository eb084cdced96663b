#include "slipway/registry/jobs.h"

#include <limits>

#include <fmt/format.h>

#include "slipway/base/clock.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/registry/audit.h"
#include "slipway/registry/sequence.h"

namespace slipway {
namespace {

constexpr std::string_view kPrefix = "job-";
constexpr size_t kMostName = 4096, kMostDetails = 4096;
constexpr const char* kInterrupted = "interrupted: the process that ran it ended";

// "job-000012", "job-12" or "12".
std::optional<int64_t> IdNumber(std::string_view id) {
  if (id.starts_with(kPrefix)) id.remove_prefix(kPrefix.size());
  if (id.empty() || id.find_first_not_of("0123456789") != std::string_view::npos)
    return std::nullopt;
  return ParseInt64(id);
}

Error NoJob(std::string_view id) {
  return NotFound("no job '" + std::string(id) + "'", "`slipway job ls` lists them");
}

std::optional<JobStatus> StatusFromName(std::string_view name) {
  for (const JobStatus status : {JobStatus::kQueued, JobStatus::kRunning, JobStatus::kDone,
                                 JobStatus::kFailed, JobStatus::kAborted}) {
    if (JobStatusName(status) == name) return status;
  }
  return std::nullopt;
}

std::string TargetsToText(const std::vector<std::string>& targets) {
  return DumpJson(Json(targets));
}

std::vector<std::string> TargetsFromText(const std::string& text) {
  std::vector<std::string> targets;
  auto json = ParseJson(text);
  if (!json.ok() || !json->is_array()) return targets;
  for (const Json& item : *json) {
    if (item.is_string()) targets.push_back(item.get<std::string>());
  }
  return targets;
}

Status WriteActivity(Database& database, int64_t job, int64_t position,
                     const ActivityRecord& activity) {
  RETURN_IF_ERROR(database.Execute(
      "INSERT INTO activities(job_id, position, recipe, output, status, reason, "
      "row_count, seconds, error, "
      "details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(job_id, position) DO UPDATE SET "
      "recipe = excluded.recipe, output = excluded.output, status = excluded.status, "
      "reason = excluded.reason, row_count = excluded.row_count, seconds = excluded.seconds, "
      "error = excluded.error, details = excluded.details",
      {job, position, activity.recipe, activity.output, activity.status, activity.reason,
       SqlIntOrNull(activity.rows), activity.seconds, activity.error, activity.details_json}));
  return {};
}

Result<std::vector<ActivityRecord>> ReadActivities(Database& database, int64_t job) {
  ASSIGN_OR_RETURN(
      auto rows,
      database.Query("SELECT recipe, output, status, reason, row_count, seconds, error, details "
                     "FROM activities WHERE job_id = ? ORDER BY position",
                     {job}));
  std::vector<ActivityRecord> activities;
  for (const SqlRow& row : rows) {
    activities.push_back({row.Text(0), row.Text(1), row.Text(2), row.Text(3), row.OptionalInt(4),
                          row.Double(5), row.Text(6), row.Text(7)});
  }
  return activities;
}

// What happened to a job, for the audit log.
struct AboutJob {
  std::string id, project, who;
};
Status Record(Database& database, const char* action, const AboutJob& job, const Json& after) {
  AuditRecord record;
  record.who = job.who;
  record.how = "job";
  record.action = action;
  record.project = job.project;
  record.path = "/api/v1/jobs/" + job.id;
  record.before_json = "null";
  record.after_json = DumpJson(after);
  return Audit(database).Append(record);
}

// The files that a job of this process works with. Its lock is taken before its row can be seen.
Result<JobHandle> MakeJobFolder(const Home& home, const std::string& id) {
  JobHandle handle;
  handle.id = id;
  handle.work_folder = home.JobWorkFolder(id);
  handle.log_path = home.JobLogPath(id);
  // What a crash before the row was written may have left.
  RETURN_IF_ERROR(RemoveAll(home.JobFolder(id)));
  RETURN_IF_ERROR(MakeDirs(handle.work_folder));
  RETURN_IF_ERROR(CreateEmptyFile(handle.log_path));
  // Nobody else wants it; but whoever looks whether it is held has it for that moment.
  ASSIGN_OR_RETURN(handle.lock, FileLock::Acquire(home.JobLockPath(id), 5));
  return handle;
}

}  // namespace

std::string JobIdText(int64_t number) { return fmt::format("job-{:06}", number); }

std::string_view JobStatusName(JobStatus status) {
  switch (status) {
    case JobStatus::kQueued:
      return "queued";
    case JobStatus::kRunning:
      return "running";
    case JobStatus::kDone:
      return "done";
    case JobStatus::kFailed:
      return "failed";
    case JobStatus::kAborted:
      return "aborted";
  }
  return "failed";
}

Result<JobHandle> Jobs::Create(const NewJob& job) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const int64_t number, NextNumber(database_, "job"));
  const std::string id = JobIdText(number);
  auto create = [&]() -> Result<JobHandle> {
    ASSIGN_OR_RETURN(JobHandle handle, MakeJobFolder(home_, id));
    RETURN_IF_ERROR(database_.Execute(
        "INSERT INTO jobs(id, kind, project, scope, targets, mode, status, who, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?)",
        {number, job.kind, job.project, job.scope.empty() ? "project:" + job.project : job.scope,
         TargetsToText(job.targets), job.mode, job.who, NowText()}));
    for (size_t i = 0; i < job.activities.size(); ++i) {
      RETURN_IF_ERROR(WriteActivity(database_, number, static_cast<int64_t>(i), job.activities[i]));
    }
    Json after = {{"job", id}, {"kind", job.kind}, {"targets", job.targets}};
    if (!job.scope.empty()) after["scope"] = job.scope;
    if (!job.mode.empty()) after["mode"] = job.mode;
    RETURN_IF_ERROR(Record(database_, "job started", {id, job.project, job.who}, after));
    RETURN_IF_ERROR(transaction.Commit());
    return handle;
  };
  auto handle = create();
  if (!handle.ok()) (void)RemoveAll(home_.JobFolder(id)).ok();
  return handle;
}

Status Jobs::Start(std::string_view id) {
  ASSIGN_OR_RETURN(
      const int64_t changed,
      database_.Execute("UPDATE jobs SET status = 'running', started_at = ? WHERE id = ? AND "
                        "status = 'queued'",
                        {NowText(), IdNumber(id).value_or(-1)}));
  if (changed == 1) return {};
  ASSIGN_OR_RETURN(const JobRecord job, Get(id));
  return Conflict("job '" + job.id + "' is " + std::string(JobStatusName(job.status)) + " already");
}

Status Jobs::PutActivity(std::string_view id, int64_t index, const ActivityRecord& activity) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  const int64_t job = IdNumber(id).value_or(-1);
  ASSIGN_OR_RETURN(
      auto rows,
      database_.Query("SELECT (SELECT count(*) FROM activities WHERE job_id = j.id) FROM "
                      "jobs j WHERE j.id = ?",
                      {job}));
  if (rows.empty()) return NoJob(id);
  if (index < 0 || index > rows[0].Int(0))
    return Internal("activity " + std::to_string(index) + " leaves a gap");
  RETURN_IF_ERROR(WriteActivity(database_, job, index, activity));
  return transaction.Commit();
}

Status Jobs::Finish(std::string_view id, JobStatus status, std::string_view error) {
  if (status == JobStatus::kQueued || status == JobStatus::kRunning)
    return Internal("a job does not finish as that");
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(
      const int64_t changed,
      database_.Execute(
          "UPDATE jobs SET status = ?, error = ?, finished_at = ? WHERE id = ? AND "
          "status IN ('queued', 'running')",
          {SqlText(JobStatusName(status)), SqlText(error), NowText(), IdNumber(id).value_or(-1)}));
  ASSIGN_OR_RETURN(const JobRecord job, Get(id));
  if (changed != 1) {
    return Conflict("job '" + job.id + "' is " + std::string(JobStatusName(job.status)) +
                    " already");
  }
  Json after = {{"job", job.id}, {"status", JobStatusName(status)}};
  if (!error.empty()) after["error"] = error;
  // Of a job of one step: what that step made.
  if (job.activities.size() == 1 && job.activities[0].details_json.size() <= kMostDetails) {
    if (auto details = ParseJson(job.activities[0].details_json); details.ok())
      after["result"] = *std::move(details);
  }
  std::string who = job.who;
  if (status == JobStatus::kAborted) {
    if (const std::string by = AbortedBy(job.id); !by.empty()) who = by;
    after["started_by"] = job.who;
  }
  RETURN_IF_ERROR(Record(database_, status == JobStatus::kAborted ? "job aborted" : "job ended",
                         {job.id, job.project, who}, after));
  RETURN_IF_ERROR(transaction.Commit());
  // What cannot be removed is a leftover for the garbage collection.
  (void)RemoveAll(home_.JobWorkFolder(job.id)).ok();
  (void)RemoveAll(JoinPath(home_.JobFolder(job.id), "abort")).ok();
  return {};
}

Result<std::vector<JobRecord>> Jobs::Select(std::string_view where,
                                            std::vector<SqlValue> values) const {
  ASSIGN_OR_RETURN(
      auto rows,
      database_.Query("SELECT id, kind, project, targets, mode, status, interrupted, error, "
                      "who, created_at, started_at, finished_at, scope FROM jobs " +
                          std::string(where),
                      std::move(values)));
  std::vector<JobRecord> jobs;
  for (const SqlRow& row : rows) {
    JobRecord job;
    job.id = JobIdText(row.Int(0));
    job.kind = row.Text(1);
    job.project = row.Text(2);
    job.targets = TargetsFromText(row.Text(3));
    job.mode = row.Text(4);
    job.status = StatusFromName(row.Text(5)).value_or(JobStatus::kFailed);
    job.interrupted = row.Int(6) != 0;
    job.error = row.Text(7);
    job.who = row.Text(8);
    job.created_at = row.Text(9);
    job.started_at = row.Text(10);
    job.finished_at = row.Text(11);
    job.scope = row.Text(12);
    job.log_path = home_.JobLogPath(job.id);
    ASSIGN_OR_RETURN(job.activities, ReadActivities(database_, row.Int(0)));
    jobs.push_back(std::move(job));
  }
  return jobs;
}

Result<JobRecord> Jobs::Get(std::string_view id) const {
  ASSIGN_OR_RETURN(auto found, Select("WHERE id = ?", {IdNumber(id).value_or(-1)}));
  if (found.empty()) return NoJob(id);
  return std::move(found[0]);
}

Result<std::vector<JobRecord>> Jobs::List(std::string_view project, int64_t limit) const {
  const int64_t rows = limit > 0 ? limit : int64_t{1} << 40;
  if (project.empty()) return Select("ORDER BY id DESC LIMIT ?", {rows});
  return Select("WHERE project = ? ORDER BY id DESC LIMIT ?", {SqlText(project), rows});
}

Result<std::vector<std::string>> Jobs::Scopes() const {
  ASSIGN_OR_RETURN(auto rows, database_.Query("SELECT DISTINCT scope FROM jobs ORDER BY scope"));
  std::vector<std::string> scopes;
  for (const SqlRow& row : rows) scopes.push_back(row.Text(0));
  return scopes;
}

Result<std::vector<JobRecord>> Jobs::ListBefore(const JobFilter& filter, std::string_view before,
                                                int64_t limit) const {
  std::string where = "WHERE id < ?";
  std::vector<SqlValue> values = {before.empty() ? std::numeric_limits<int64_t>::max()
                                                 : IdNumber(before).value_or(0)};
  if (!filter.project.empty()) {
    where += " AND project = ?";
    values.emplace_back(filter.project);
  }
  if (filter.scopes) {
    if (filter.scopes->empty() && filter.or_of.empty()) return std::vector<JobRecord>();
    std::vector<std::string> either;
    if (!filter.or_of.empty()) {
      either.emplace_back("who = ?");
      values.emplace_back(filter.or_of);
    }
    for (const std::string& scope : *filter.scopes) values.emplace_back(scope);
    if (const size_t scopes = filter.scopes->size(); scopes > 0) {
      either.push_back("scope IN (" + Join(std::vector<std::string>(scopes, "?"), ", ") + ")");
    }
    where += " AND (" + Join(either, " OR ") + ")";
  }
  values.emplace_back(limit);
  return Select(where + " ORDER BY id DESC LIMIT ?", std::move(values));
}

Result<std::vector<std::string>> Jobs::StrayFolders() const {
  std::vector<std::string> stray;
  ASSIGN_OR_RETURN(auto rows, database_.Query("SELECT max(id) FROM jobs", {}));
  const int64_t newest = rows.empty() ? 0 : rows[0].OptionalInt(0).value_or(0);
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(home_.JobsFolder()));
  for (const std::string& name : names) {
    const bool never_made = IdNumber(name).value_or(0) > newest;
    const std::string folder = never_made ? home_.JobFolder(name) : home_.JobWorkFolder(name);
    if (IsDirectory(folder) && !FileLock::IsHeld(home_.JobLockPath(name))) stray.push_back(folder);
  }
  return stray;
}

Result<std::vector<JobRecord>> Jobs::DeadJobs() const {
  ASSIGN_OR_RETURN(auto open, Select("WHERE status IN ('queued', 'running') ORDER BY id", {}));
  std::erase_if(
      open, [this](const JobRecord& job) { return FileLock::IsHeld(home_.JobLockPath(job.id)); });
  return open;
}

Result<std::vector<JobRecord>> Jobs::MarkInterruptedJobs() {
  ASSIGN_OR_RETURN(const auto dead, DeadJobs());
  std::vector<JobRecord> marked;
  for (const JobRecord& job : dead) {
    const int64_t number = IdNumber(job.id).value_or(-1);
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
    // Its process may have finished it just before it ended.
    ASSIGN_OR_RETURN(
        const int64_t changed,
        database_.Execute(
            "UPDATE jobs SET status = 'failed', interrupted = 1, error = ?, finished_at = ? "
            "WHERE id = ? AND status IN ('queued', 'running')",
            {SqlText(kInterrupted), NowText(), number}));
    if (changed == 0) continue;
    RETURN_IF_ERROR(
        database_.Execute("UPDATE activities SET status = 'failed', error = ? WHERE job_id = ? AND "
                          "status = 'running'",
                          {SqlText(kInterrupted), number}));
    RETURN_IF_ERROR(database_.Execute(
        "UPDATE activities SET status = 'aborted' WHERE job_id = ? AND status = 'queued'",
        {number}));
    RETURN_IF_ERROR(Record(
        database_, "job interrupted", {job.id, job.project, job.who},
        {{"job", job.id}, {"status", JobStatusName(JobStatus::kFailed)}, {"error", kInterrupted}}));
    RETURN_IF_ERROR(transaction.Commit());
    (void)RemoveAll(home_.JobWorkFolder(job.id)).ok();
    (void)RemoveAll(JoinPath(home_.JobFolder(job.id), "abort")).ok();
    ASSIGN_OR_RETURN(JobRecord record, Get(job.id));
    marked.push_back(std::move(record));
  }
  return marked;
}

Status Jobs::RequestAbort(std::string_view id, std::string_view who) const {
  ASSIGN_OR_RETURN(const JobRecord job, Get(id));
  if (job.status != JobStatus::kQueued && job.status != JobStatus::kRunning) {
    return Conflict("job '" + job.id + "' is " + std::string(JobStatusName(job.status)) +
                    " already");
  }
  return WriteFileAtomic(JoinPath(home_.JobFolder(job.id), "abort"), std::string(who) + "\n");
}

std::string Jobs::AbortedBy(std::string_view id) const {
  const auto note = ReadFile(JoinPath(home_.JobFolder(id), "abort"), kMostName);
  return note.ok() ? std::string(Trim(*note)) : std::string();
}

bool Jobs::AbortRequested(std::string_view id) const {
  const std::optional<int64_t> number = IdNumber(id);
  return number && PathExists(JoinPath(home_.JobFolder(JobIdText(*number)), "abort"));
}

}  // namespace slipway
