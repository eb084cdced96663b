// A dataset's rows, read by our own reader, as a table that DuckDB can scan.
#pragma once

#include <atomic>
#include <string>

#include "slipway/dataset/dataset.h"
#include "slipway/dataset/stream_function.h"

namespace slipway {

// REQUIRES: a pinned spec. A bad row ends the scan with its message under on_bad_rows: fail; else
// it is left out. `cancel` (may be nullptr) must outlive the scans.
FeedTable SourceTable(const std::string& name, const FilesSpec& spec,
                      const std::atomic<bool>* cancel);

}  // namespace slipway
