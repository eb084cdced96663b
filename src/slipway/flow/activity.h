// One recipe's run: the worker's task from the definition and the state, and the commit of what it
// made.
#pragma once

#include <atomic>
#include <functional>
#include <set>
#include <string>

#include "slipway/base/result.h"
#include "slipway/flow/datasets.h"
#include "slipway/jobs/worker.h"
#include "slipway/project/definition.h"
#include "slipway/registry/registry.h"

namespace slipway {

struct ActivityContext {
  Registry* registry = nullptr;
  const ProjectDefinition* project = nullptr;
  std::string job;
  std::string work_folder;  // of the job
  std::string job_folder;   // what stays with the job: quarantined rows
  std::string log_path;
  std::string who;
  std::function<void(const WorkerProgress&)> on_progress;
  const std::atomic<bool>* cancel = nullptr;
  std::function<bool()> also_cancel;
  FileCheck check;  // of the files that it reads
};

// Resolves the inputs, runs the worker, commits. The record has rows and details (version made,
// quarantined rows).
Result<ActivityRecord> RunActivity(const ActivityContext& context, const std::string& recipe_name);

// Version numbers of the model that recipes and services of the project name ("fare@3"): never
// deleted.
std::set<int64_t> PinnedVersions(const ProjectDefinition& project, const std::string& model);

}  // namespace slipway
