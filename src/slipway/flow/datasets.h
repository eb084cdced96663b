// A dataset as something that can be read: its pinned description, fingerprint and size, from the
// definition and the registry. Sniffing runs in a worker process; what was found is kept in the
// registry when it is open for writing.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/dataset/dataset.h"
#include "slipway/project/definition.h"
#include "slipway/registry/registry.h"

namespace slipway {

struct ResolvedDataset {
  FilesSpec spec;                  // pinned, absolute paths
  std::vector<std::string> files;  // what the globs gave when it was inspected
  int64_t bytes = 0;
  std::string fingerprint;      // "" unless asked for
  std::optional<int64_t> rows;  // when known
  std::vector<std::string> warnings;
  std::optional<FilesState> learned;  // new knowledge that was not kept: without `persist`
};

// Whether a files dataset's paths may be read (now: links change); empty: they may.
using FileCheck = std::function<Status(const std::vector<std::string>& paths)>;

struct ResolveOptions {
  bool fingerprint = false;
  bool refresh = false;  // sniff again, even when the description is pinned
  bool persist = false;  // the registry is open for writing: keep what was found
  FileCheck check;
};

// kNotFound with a suggestion for an unknown dataset; a managed one without data is
// kInvalidArgument that says how to build it.
Result<ResolvedDataset> ResolveDataset(Registry& registry, const ProjectDefinition& project,
                                       const std::string& name, const ResolveOptions& options);

// The description as the definition states it (not pinned): globs, stated format, dialect and
// schema.
Result<FilesSpec> SpecFromDefinition(const DatasetDefinition& definition);

// Runs one look-at-data task ("inspect", "head", "count", "check_sql") in a worker, in a scratch
// folder of its own.
Result<Json> RunLook(const std::string& kind, const Json& task);

}  // namespace slipway
