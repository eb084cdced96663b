// A project as YAML that a person would write: LoadProjectText(ToYaml(p)) gives p again. Pure;
// thread-safe.
#pragma once

#include <string>

#include "slipway/base/json_fwd.h"
#include "slipway/project/definition.h"

namespace slipway {

struct ExportOptions {
  // Where the YAML will stand: dataset paths below it are written relative to it. Empty: as they
  // are.
  std::string folder;
};
std::string ToYaml(const ProjectDefinition& project, const ExportOptions& options = {});

// Any JSON value as block-style YAML; maps and lists that fit a line of 100 stand on one.
std::string JsonToYaml(const Json& value);

}  // namespace slipway
