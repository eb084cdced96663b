// Which files a FilesSpec means, and the head of standard input.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/csv/byte_source.h"

namespace slipway {

inline constexpr std::string_view kStandardInput = "-";

// Paths and globs (* ? [...]) to regular files, sorted, each once. A path that exists is taken as
// it stands. An error names the path or pattern that gives nothing. Standard input stays "-" and
// must be alone.
Result<std::vector<std::string>> ResolveFiles(const std::vector<std::string>& paths);

// Standard input, opened once for Inspect and OpenSource: what Inspect peeks at, the source that
// OpenSource makes reads again. Take hands it over; the next call opens it anew. Thread-safe.
Result<std::shared_ptr<ByteSource>> PeekStandardInput();
Result<std::shared_ptr<ByteSource>> TakeStandardInput();

}  // namespace slipway
