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

// Work that is no recipe: packaging a service. A job of one activity.
struct JobWork {
  std::string kind;                  // of the job: "package"
  std::string what, output, reason;  // as the activity's recipe, output and reason
  std::function<Result<ActivityRecord>(const ActivityContext&)> run;
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

  Registry& registry_;
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<Run>> runs_ GUARDED_BY(mutex_);
};

}  // namespace slipway
