// Jobs: builds with their activities. That one was started, has ended or was aborted, and by whom,
// goes into the audit log in the transaction of that change. A running job holds the lock file
// jobs/<id>/lock; a job whose row says queued or running and whose lock is free died with its
// process. Thread-safe as Database is.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/file.h"
#include "slipway/base/result.h"
#include "slipway/registry/home.h"
#include "slipway/store/database.h"

namespace slipway {

std::string JobIdText(int64_t number);  // "job-000001"

enum class JobStatus { kQueued, kRunning, kDone, kFailed, kAborted };
std::string_view JobStatusName(
    JobStatus status);  // "queued", "running", "done", "failed", "aborted"

struct ActivityRecord {
  std::string recipe, output;
  std::string status;  // queued | running | done | skipped | failed | aborted
  std::string reason;  // why it runs or is skipped
  std::optional<int64_t> rows;
  double seconds = 0;
  std::string error;  // empty: none
  std::string
      details_json;  // anything else (version made, quarantined rows), JSON text; may be empty
};

struct JobRecord {
  std::string id;    // "job-000012"
  std::string kind;  // "build", "train", "experiment", ...
  std::string project;
  std::string scope;  // what it works on, as in a grant: "project:shop", "infra:production"
  std::vector<std::string> targets;
  std::string mode;
  JobStatus status = JobStatus::kQueued;
  bool interrupted = false;  // failed because its process ended
  std::string error;
  std::string who;
  std::string created_at, started_at, finished_at;  // "" until then
  std::vector<ActivityRecord> activities;           // in the plan's order
  std::string log_path;                             // absolute
};

struct NewJob {
  std::string kind = "build";
  std::string project;
  std::string scope;  // "": the project
  std::vector<std::string> targets;
  std::string mode;
  std::string who;
  std::vector<ActivityRecord> activities;  // the plan
};

struct JobFilter {
  std::string project = "";                                    // "": of all
  std::optional<std::set<std::string>> scopes = std::nullopt;  // nullopt: on anything
  std::string or_of = "";  // with `scopes`: also those that this one started
};

// A job of this process: while it lives, the job counts as alive. Movable.
struct JobHandle {
  std::string id;
  std::string work_folder;  // exists; removed by Finish
  std::string log_path;     // exists, empty
  FileLock lock;
};

class Jobs {
 public:
  Jobs(const Home& home, Database& database) : home_(home), database_(database) {}

  Result<JobHandle> Create(const NewJob& job);  // queued
  Status Start(std::string_view id);
  // Replaces activity `index` (0-based); adds it when it is the next one.
  Status PutActivity(std::string_view id, int64_t index, const ActivityRecord& activity);
  // Done, failed or aborted; removes the work folder. A job that is finished already is kConflict.
  Status Finish(std::string_view id, JobStatus status, std::string_view error = "");
  // kNotFound with a suggestion. `id` also as a bare number ("12").
  Result<JobRecord> Get(std::string_view id) const;
  // Newest first. "" = all projects; limit 0 = all.
  Result<std::vector<JobRecord>> List(std::string_view project = "", int64_t limit = 0) const;
  // What there are jobs on.
  Result<std::vector<std::string>> Scopes() const;
  // Those before the job `before` ("": from the newest), newest first.
  Result<std::vector<JobRecord>> ListBefore(const JobFilter& filter, std::string_view before,
                                            int64_t limit) const;
  // Jobs that died with their process and are not marked yet.
  Result<std::vector<JobRecord>> DeadJobs() const;
  // Jobs that died with their process: marked failed (interrupted), as are their unfinished
  // activities; their work folders are removed. Gives what it marked. For the home's writer, at
  // start.
  Result<std::vector<JobRecord>> MarkInterruptedJobs();
  // What jobs that nobody runs any more left in the home: their work folders, and whole folders of
  // jobs whose row was never written.
  Result<std::vector<std::string>> StrayFolders() const;
  // Leaves a note for the process that runs the job (jobs/<id>/abort); AbortRequested is its cheap
  // poll.
  Status RequestAbort(std::string_view id, std::string_view who) const;
  bool AbortRequested(std::string_view id) const;

 private:
  Result<std::vector<JobRecord>> Select(std::string_view where, std::vector<SqlValue> values) const;
  std::string AbortedBy(std::string_view id) const;  // "": nobody asked

  const Home& home_;
  Database& database_;
};

}  // namespace slipway
