#include "slipway/flow/job_runner.h"

#include <algorithm>
#include <chrono>
#include <deque>

#include <fcntl.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"

namespace slipway {
namespace {

constexpr int kMaxParallel = 2;  // recipes at a time; each uses all cores where it can

enum class StepState { kWaiting, kRunning, kDone, kFailed, kStopped };

}  // namespace

struct JobRunner::Run {
  BuildPlan plan;
  JobWork work;  // instead of the plan's recipes
  JobHandle handle;
  std::string who, scope;
  std::thread thread;
  std::atomic<bool> cancel{false};

  Mutex mutex;
  std::condition_variable_any changed;
  std::vector<StepState> states GUARDED_BY(mutex);
  std::vector<ActivityRecord> records GUARDED_BY(mutex);
  int running GUARDED_BY(mutex) = 0;
  std::deque<JobEvent> events GUARDED_BY(mutex);
  bool finished GUARDED_BY(mutex) = false;
  // For EventsAfter: what started and ended, and the newest progress of each activity.
  std::vector<NumberedJobEvent> history GUARDED_BY(mutex);
  std::map<int64_t, NumberedJobEvent> progress GUARDED_BY(mutex);

  void Log(const std::string& line) {
    const std::string text = NowText() + " " + line + "\n";
    const int fd = ::open(handle.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return;  // a log that cannot be written stops nothing
    if (::write(fd, text.data(), text.size()) < 0) {
    }
    ::close(fd);
  }
};

JobRunner::~JobRunner() {
  std::map<std::string, std::shared_ptr<Run>> runs;
  {
    MutexLock lock(mutex_);
    runs.swap(runs_);
  }
  for (auto& [id, run] : runs) run->cancel = true;
  for (auto& [id, run] : runs) {
    if (run->thread.joinable()) run->thread.join();
  }
}

Result<std::string> JobRunner::Start(BuildPlan plan, const std::string& who) {
  auto run = std::make_shared<Run>();
  run->plan = std::move(plan);
  return StartRun(std::move(run), "build", who);
}

Result<std::string> JobRunner::Start(const ProjectDefinition& project, JobWork work,
                                     const std::string& who) {
  auto run = std::make_shared<Run>();
  run->plan.project = project;
  run->plan.targets = {work.output};
  run->plan.steps = {{work.what, work.output, true, work.reason, {}}};
  run->plan.check = work.check;
  run->work = std::move(work);
  const std::string kind = run->work.kind;
  return StartRun(std::move(run), kind, who);
}

Result<std::string> JobRunner::StartRun(std::shared_ptr<Run> run, const std::string& kind,
                                        const std::string& who) {
  const BuildPlan& plan = run->plan;
  NewJob job;
  job.kind = kind;
  job.project = plan.project.name;
  job.scope = run->work.scope.empty() ? "project:" + job.project : run->work.scope;
  job.targets = plan.targets;
  job.mode = plan.mode;
  job.who = who;
  for (const BuildStep& step : plan.steps) {
    ActivityRecord activity;
    activity.recipe = step.recipe;
    activity.output = step.output;
    activity.status = step.run ? "queued" : "skipped";
    activity.reason = step.reason;
    job.activities.push_back(activity);
  }
  ASSIGN_OR_RETURN(run->handle, registry_.jobs().Create(job));
  run->who = who;
  run->scope = job.scope;
  {
    MutexLock lock(run->mutex);
    run->records = job.activities;
    for (const BuildStep& step : run->plan.steps)
      run->states.push_back(step.run ? StepState::kWaiting : StepState::kDone);
  }
  const std::string id = run->handle.id;
  ForgetOldRuns();
  run->thread = std::thread([this, run] { Execute(run); });
  MutexLock lock(mutex_);
  runs_[id] = run;
  return id;
}

// Finished jobs that nobody follows: their threads have ended.
void JobRunner::ForgetOldRuns() {
  constexpr size_t kRemembered = 300;
  std::vector<std::shared_ptr<Run>> old;
  {
    MutexLock lock(mutex_);
    for (auto it = runs_.begin(); it != runs_.end() && runs_.size() > kRemembered;) {
      bool finished = false;
      {
        MutexLock run_lock(it->second->mutex);
        finished = it->second->finished;
      }
      if (!finished) {
        ++it;
        continue;
      }
      old.push_back(std::move(it->second));
      it = runs_.erase(it);
    }
  }
  for (const auto& run : old) {
    if (run->thread.joinable()) run->thread.join();
  }
}

void JobRunner::Remember(Run& run, NumberedJobEvent event) {
  event.job = run.handle.id;
  event.project = run.plan.project.name;
  event.scope = run.scope;
  event.who = run.who;
  {
    MutexLock lock(run.mutex);
    event.number = ++last_number_;
    if (!event.ended && event.event.kind == JobEvent::Kind::kProgress) {
      run.progress[event.event.index] = std::move(event);
    } else {
      if (!event.ended && event.event.kind == JobEvent::Kind::kFinished)
        run.progress.erase(event.event.index);
      run.history.push_back(std::move(event));
    }
  }
  MutexLock lock(listener_mutex_);
  if (listener_) listener_();
}

std::vector<NumberedJobEvent> JobRunner::EventsAfter(int64_t number, const std::string& id) {
  std::vector<std::shared_ptr<Run>> runs;
  {
    MutexLock lock(mutex_);
    for (const auto& [job, run] : runs_) {
      if (id.empty() || job == id) runs.push_back(run);
    }
  }
  std::vector<NumberedJobEvent> out;
  for (const auto& run : runs) {
    MutexLock lock(run->mutex);
    for (const NumberedJobEvent& event : run->history) {
      if (event.number > number) out.push_back(event);
    }
    for (const auto& [index, event] : run->progress) {
      if (event.number > number) out.push_back(event);
    }
  }
  std::sort(out.begin(), out.end(), [](const NumberedJobEvent& a, const NumberedJobEvent& b) {
    return a.number < b.number;
  });
  return out;
}

void JobRunner::OnEvents(std::function<void()> listener) {
  MutexLock lock(listener_mutex_);
  listener_ = std::move(listener);
}

void JobRunner::Emit(Run& run, JobEvent event) {
  NumberedJobEvent numbered;
  numbered.event = event;
  Remember(run, std::move(numbered));
  MutexLock lock(run.mutex);
  // Progress is only worth its newest state.
  if (event.kind == JobEvent::Kind::kProgress && !run.events.empty() &&
      run.events.back().kind == event.kind && run.events.back().index == event.index) {
    run.events.back() = std::move(event);
  } else {
    run.events.push_back(std::move(event));
    if (run.events.size() > 10'000) run.events.pop_front();
  }
  run.changed.notify_all();
}

void JobRunner::Execute(std::shared_ptr<Run> run) {
  if (Status status = registry_.jobs().Start(run->handle.id); !status.ok())
    run->Log("error: " + status.error().message);
  run->Log("job " + run->handle.id + " started");
  RunSteps(*run);
  int failed = 0;
  bool aborted = false;  // what had ended before the abort came is done
  std::string first_error;
  {
    MutexLock lock(run->mutex);
    for (const ActivityRecord& record : run->records) {
      aborted |= record.status == "aborted";
      if (record.error.empty()) continue;
      ++failed;
      if (first_error.empty()) first_error = record.error;
    }
  }
  const JobStatus end = run->cancel && (aborted || failed > 0) ? JobStatus::kAborted
                        : failed > 0                           ? JobStatus::kFailed
                                                               : JobStatus::kDone;
  run->Log("job " + run->handle.id + " " + std::string(JobStatusName(end)));
  if (Status status = registry_.jobs().Finish(run->handle.id, end, first_error); !status.ok()) {
    run->Log("error: " + status.error().message);
  }
  if (run->work.ended) run->work.ended();
  NumberedJobEvent ended;
  ended.ended = true;
  ended.status = JobStatusName(end);
  Remember(*run, std::move(ended));
  MutexLock lock(run->mutex);
  run->finished = true;
  run->changed.notify_all();
}

void JobRunner::RunSteps(Run& run) {
  std::vector<std::jthread> threads;
  run.mutex.lock();
  for (;;) {
    if (registry_.jobs().AbortRequested(run.handle.id)) run.cancel = true;
    bool waiting = false;
    for (size_t i = 0; i < run.plan.steps.size(); ++i) {
      if (run.states[i] != StepState::kWaiting) continue;
      bool ready = true;
      for (size_t before : run.plan.steps[i].after) {
        const StepState state = run.states[before];
        if (state == StepState::kFailed || state == StepState::kStopped) {
          // A failure stops only what depends on it.
          run.states[i] = StepState::kStopped;
          run.records[i].status = "skipped";
          run.records[i].reason = "'" + run.plan.steps[before].output + "' was not built";
          (void)registry_.jobs()
              .PutActivity(run.handle.id, static_cast<int64_t>(i), run.records[i])
              .ok();
        }
        if (state != StepState::kDone) ready = false;
      }
      if (run.states[i] != StepState::kWaiting) continue;
      if (run.cancel) {
        run.states[i] = StepState::kStopped;
        run.records[i].status = "aborted";
        (void)registry_.jobs()
            .PutActivity(run.handle.id, static_cast<int64_t>(i), run.records[i])
            .ok();
        continue;
      }
      waiting = true;
      if (!ready || run.running >= kMaxParallel) continue;
      run.states[i] = StepState::kRunning;
      ++run.running;
      threads.emplace_back([this, &run, i] { RunStep(run, i); });
    }
    if (!waiting && run.running == 0) break;
    run.changed.wait_for(run.mutex, std::chrono::milliseconds(200));
  }
  run.mutex.unlock();
}

void JobRunner::RunStep(Run& run, size_t index) {
  const BuildStep& step = run.plan.steps[index];
  const double start = SteadySeconds();
  ActivityRecord record;
  {
    MutexLock lock(run.mutex);
    run.records[index].status = "running";
    record = run.records[index];
  }
  (void)registry_.jobs().PutActivity(run.handle.id, static_cast<int64_t>(index), record).ok();
  run.Log(step.recipe + " -> " + step.output + ": started (" + step.reason + ")");
  JobEvent started;
  started.kind = JobEvent::Kind::kStarted;
  started.index = static_cast<int64_t>(index);
  started.activity = record;
  Emit(run, started);

  ActivityContext context;
  context.registry = &registry_;
  context.project = &run.plan.project;
  context.job = run.handle.id;
  context.work_folder = run.handle.work_folder;
  context.job_folder = DirName(run.handle.log_path);
  context.log_path = run.handle.log_path;
  context.who = run.who;
  context.check = run.plan.check;
  context.cancel = &run.cancel;
  context.also_cancel = [&] { return registry_.jobs().AbortRequested(run.handle.id); };
  context.on_progress = [&](const WorkerProgress& progress) {
    JobEvent event;
    event.index = static_cast<int64_t>(index);
    event.activity = record;
    event.progress = progress;
    Emit(run, std::move(event));
  };
  const Result<ActivityRecord> result =
      run.work.run ? run.work.run(context) : RunActivity(context, step.recipe);
  if (result.ok()) {
    record.status = "done";
    record.rows = result->rows;
    record.details_json = result->details_json;
  } else {
    const bool aborted = result.error().code == ErrorCode::kCancelled;
    if (aborted) run.cancel = true;
    record.status = aborted ? "aborted" : "failed";
    record.error = result.error().message +
                   (result.error().hint.empty() ? "" : " (" + result.error().hint + ")");
    if (aborted) {
      record.error.clear();
    } else {
      const Error& error = result.error();
      record.details_json = DumpJson({{"error",
                                       {{"code", ErrorCodeName(error.code)},
                                        {"message", error.message},
                                        {"hint", error.hint}}}});
    }
  }
  record.seconds = SteadySeconds() - start;
  run.Log(step.recipe + " -> " + step.output + ": " + record.status +
          (record.error.empty() ? "" : ": " + record.error));
  (void)registry_.jobs().PutActivity(run.handle.id, static_cast<int64_t>(index), record).ok();
  (void)RemoveAll(JoinPath(run.handle.work_folder, step.recipe)).ok();
  JobEvent finished;
  finished.kind = JobEvent::Kind::kFinished;
  finished.index = static_cast<int64_t>(index);
  finished.activity = record;
  Emit(run, std::move(finished));
  MutexLock lock(run.mutex);
  run.records[index] = record;
  run.states[index] = record.status == "done" ? StepState::kDone : StepState::kFailed;
  --run.running;
  run.changed.notify_all();
}

Status JobRunner::Follow(const std::string& id,
                         const std::function<void(const JobEvent&)>& on_event,
                         const std::atomic<bool>* cancel) {
  std::shared_ptr<Run> run;
  {
    MutexLock lock(mutex_);
    auto it = runs_.find(id);
    if (it == runs_.end()) return NotFound("this process does not run the job '" + id + "'");
    run = it->second;
  }
  for (bool finished = false; !finished;) {
    std::deque<JobEvent> events;
    run->mutex.lock();
    if (run->events.empty() && !run->finished)
      run->changed.wait_for(run->mutex, std::chrono::milliseconds(100));
    events.swap(run->events);
    finished = run->finished;
    run->mutex.unlock();
    for (const JobEvent& event : events) on_event(event);
    if (cancel != nullptr && cancel->load()) run->cancel = true;
  }
  if (run->thread.joinable()) run->thread.join();
  MutexLock lock(mutex_);
  runs_.erase(id);
  return {};
}

bool JobRunner::Runs(const std::string& id) {
  MutexLock lock(mutex_);
  return runs_.count(id) != 0;
}

void JobRunner::Abort(const std::string& id) {
  MutexLock lock(mutex_);
  if (auto it = runs_.find(id); it != runs_.end()) it->second->cancel = true;
}

}  // namespace slipway
