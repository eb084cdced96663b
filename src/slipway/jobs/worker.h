// Worker: user work (data engine, training) in a child process `slipway worker TASK.json`. The
// child reads its inputs, writes into the job's own folder and reports JSON lines on a pipe; the
// parent commits. A crash of the child harms nothing.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"

namespace slipway {

// What a running task says about itself.
struct WorkerProgress {
  std::string stage;  // "read", "train", "score", ...
  double part = -1;   // 0 to 1; negative: not known
  int64_t rows = 0;
  std::string detail;  // "valid rmse 2.31"
};

struct WorkerRun {
  std::string
      kind;  // "sql", "sync", "score", "train", "inspect", "head", "count", "check_sql", "schema"
  std::string work_folder;  // exists; task.json and the outputs go there
  std::string log_path;     // the child's stdout and stderr
  std::string executable;   // empty: this program, or $SLIPWAY_EXECUTABLE
  std::function<void(const WorkerProgress&)> on_progress;
  const std::atomic<bool>* cancel = nullptr;
  std::function<bool()> also_cancel;
};

// What each worker of this process may use; 0: as much as there is.
struct WorkerLimits {
  int64_t memory_bytes = 0;
  double seconds = 0;
  int nice = 0;  // below this process
};
// Before any worker runs: not thread-safe.
void SetWorkerLimits(const WorkerLimits& limits);

// Runs a task to its end and gives its result. The task's own errors come back as they are; a child
// that dies is kInternal with its signal and the last lines of the log. Blocks; thread-safe.
Result<Json> RunWorker(const WorkerRun& run, const Json& task);

// The child's side: what it calls to report, on file descriptor 3. Thread-safe.
class WorkerReporter {
 public:
  // At most about 20 reports per second are sent; a changed stage always is.
  void Progress(const WorkerProgress& progress);
  void Finish(const Result<Json>& result);
};

}  // namespace slipway
