// JobRunner: runs builds in the background, at most a few recipes at a time, each in a worker
// process; commits what they made. Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "slipway/base/mutex.h"
#include "slipway/base/result.h"
#include "slipway/flow/activity.h"
#include "slipway/flow/build_plan.h"
#include "slipway/jobs/worker.h"
#include "slipway/registry/registry.h"

namespace slipway {

// What a follower sees. `index` is the activity's place in the job.
struct JobEvent {
  enum class Kind { kStarted, kProgress, kFinished };
  Kind kind = Kind::kProgress;
  int64_t index = 0;
  ActivityRecord activity;
  WorkerProgress progress;  // kProgress
};

// An event with its place among all events of the runner: numbers only rise. Of progress, only the
// newest of each activity is kept.
struct NumberedJobEvent {
  int64_t number = 0;
  std::string job, project;
  std::string scope, who;  // as in its record
  bool ended = false;      // the job has: `event` says nothing
  std::string status;      // of an ended job: "done", "failed", "aborted"
  JobEvent event;
};

// Work that is no recipe: packaging a service. A job of one activity.
struct JobWork {
  std::string kind;                  // of the job: "package"
  std::string scope;                 // of the job; "": the project
  std::string what, output, reason;  // as the activity's recipe, output and reason
  std::function<Result<ActivityRecord>(const ActivityContext&)> run;
  FileCheck check = {};              // of the files that it reads
  std::function<void()> ended = {};  // called when the job ends, also one that never ran
};

class JobRunner {
 public:
  explicit JobRunner(Registry& registry) : registry_(registry) {}
  ~JobRunner();  // aborts what runs and waits for it
  JobRunner(const JobRunner&) = delete;
  JobRunner& operator=(const JobRunner&) = delete;

  // Makes the job and runs it in a thread of its own; gives its id.
  Result<std::string> Start(BuildPlan plan, const std::string& who);
  Result<std::string> Start(const ProjectDefinition& project, JobWork work, const std::string& who);
  // Blocks until the job ends; calls `on_event` on this thread for what happens meanwhile. `cancel`
  // set: the job is aborted. kNotFound when this process does not run the job.
  Status Follow(const std::string& id, const std::function<void(const JobEvent&)>& on_event,
                const std::atomic<bool>* cancel);
  // What happened after `number`, in order, of one job or ("") of all that are remembered: those
  // that run and the last few hundred.
  std::vector<NumberedJobEvent> EventsAfter(int64_t number, const std::string& id = "");
  // Called on the jobs' threads when there are new events; quick, and never after it was replaced.
  void OnEvents(std::function<void()> listener);
  bool Runs(const std::string& id);
  void Abort(const std::string& id);

 private:
  struct Run;
  Result<std::string> StartRun(std::shared_ptr<Run> run, const std::string& kind,
                               const std::string& who);
  void Execute(std::shared_ptr<Run> run);
  void RunSteps(Run& run);
  void RunStep(Run& run, size_t index);
  void Emit(Run& run, JobEvent event);
  void Remember(Run& run, NumberedJobEvent event);
  void ForgetOldRuns();

  Registry& registry_;
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<Run>> runs_ GUARDED_BY(mutex_);
  std::atomic<int64_t> last_number_ = 0;
  Mutex listener_mutex_;
  std::function<void()> listener_ GUARDED_BY(listener_mutex_);
};

}  // namespace slipway
