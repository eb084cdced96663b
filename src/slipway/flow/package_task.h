// Making a package's file: the worker's side of `slipway service package`. Everything it needs is
// in the task; everything it writes goes below the task's folder. The parent (package_run) commits.
#pragma once

#include <atomic>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"
#include "slipway/jobs/worker.h"

namespace slipway {

// task: {"service", "id", "created_at", "created_by", "notes", "definition": the service's,
// "force", "models": {endpoint: {"name": "p/fare@3", "path"}}, "datasets": {name: FilesSpec},
// "folder", "output"}. Gives {"path", "content_hash", "endpoints", "tables", "test_queries",
// "warnings"}. kInvalidArgument when a written expectation does not hold and `force` is not set.
Result<Json> RunPackageTask(const Json& task, WorkerReporter* reporter,
                            const std::atomic<bool>* cancel);

}  // namespace slipway
