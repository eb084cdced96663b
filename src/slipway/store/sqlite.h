// SQLite as a Database: rollback journal, synchronous=EXTRA, foreign keys, defensive settings, 5 s
// busy timeout.
#pragma once

#include <memory>
#include <string>

#include "slipway/base/result.h"
#include "slipway/store/database.h"

namespace slipway {

// Also for reading, a journal left by a crash is rolled back when the file is writable.
using SqliteMode = OpenMode;

// Opens in well under 3 ms. kNotFound when the file is absent (unless kCreate).
Result<std::unique_ptr<Database>> OpenSqlite(const std::string& path, SqliteMode mode);

// A copy of the database as it is at one moment, also while others write to it; `to` is a new file,
// durable and checked when this returns, or absent.
Status CopySqlite(const std::string& from, const std::string& to);

// "3.53.2"
std::string SqliteVersion();

}  // namespace slipway
