// The tasks that a worker process can run: recipes, and looks at data. Each takes a JSON task and
// gives a JSON result; what it writes goes to the paths in the task. The parent (flow/builder, hub)
// commits.
#pragma once

#include <atomic>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"
#include "slipway/jobs/worker.h"

namespace slipway {

// kinds: inspect, head, count, check_sql, sql, sync, score, train, package.
Result<Json> RunTask(const Json& task, WorkerReporter* reporter, const std::atomic<bool>* cancel);

// `slipway worker TASK.json`: runs it and reports on file descriptor 3. The exit code of the
// process.
int WorkerMain(const char* task_path);

}  // namespace slipway
