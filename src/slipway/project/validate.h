// Everything about a project that can be checked without data: shape, names and references. Pure;
// thread-safe.
#pragma once

#include "slipway/base/result.h"
#include "slipway/project/definition.h"

namespace slipway {

// For any definition, from YAML or not; messages carry file:line:column where the definition knows
// them. All problems at once (the first 20), one a line. LoadProject has called it already.
Status Validate(const ProjectDefinition& project);

}  // namespace slipway
