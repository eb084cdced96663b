// Reads a project from YAML: one file, or the *.yaml and *.yml files of a folder and of the folders
// in it. Thread-safe.
#pragma once

#include <string>

#include "slipway/base/result.h"
#include "slipway/project/definition.h"

namespace slipway {

// Merged, validated, with absolute paths (relative ones stand against the folder of the file that
// names them) and the text of every `query_file`. Messages name files as they follow from `path`.
Result<ProjectDefinition> LoadProject(const std::string& path);

// The same from text, as of a file at `file` (for paths and messages); reads `query_file`s only.
Result<ProjectDefinition> LoadProjectText(std::string_view text, const std::string& file);

}  // namespace slipway
