// SQLite as a Database: rollback journal, synchronous=EXTRA, foreign keys, defensive settings, 5 s
// busy timeout.
#pragma once

#include <memory>
#include <string>

#include "slipway/base/result.h"
#include "slipway/store/database.h"

namespace slipway {

enum class SqliteMode {
  kCreate,     // read and write; makes the file when absent
  kReadWrite,  // the file must exist
  kReadOnly,  // writes are refused; a journal left by a crash is still rolled back when the file is
              // writable
};

// Opens in well under 3 ms. kNotFound when the file is absent (unless kCreate).
Result<std::unique_ptr<Database>> OpenSqlite(const std::string& path, SqliteMode mode);

// "3.53.2"
std::string SqliteVersion();

}  // namespace slipway
