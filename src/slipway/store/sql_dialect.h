// The common subset of SQL and what each database makes of it. Pure functions.
//
// Statements: `?` placeholders; `INSERT ... ON CONFLICT(...) DO UPDATE` (not INSERT OR REPLACE),
// with the table's name before a column that is read there; no double quotes for texts; ORDER BY on
// columns that are never NULL (they come first in one and last in the other); no LIKE (its case
// differs). In scripts of migrations: INTEGER, REAL, TEXT, `INTEGER PRIMARY KEY` for numbers that
// the database gives, STRICT; sections as migrations.h says.
#pragma once

#include <string>
#include <string_view>

#include "slipway/base/result.h"
#include "slipway/store/database.h"

namespace slipway {

// A migration's script as the database takes it. For PostgreSQL: INTEGER -> BIGINT, REAL -> DOUBLE
// PRECISION, TEXT -> TEXT COLLATE "C" (bytewise order, as SQLite's), INTEGER PRIMARY KEY -> an
// identity column, STRICT goes. Texts in quotes, dollar quotes and comments stay as they are.
std::string ScriptFor(SqlDialect dialect, std::string_view script);

// `?` as $1, $2, ... outside of quotes and comments. `count` gets their number.
std::string NumberedPlaceholders(std::string_view sql, int* count);

// What a statement does to a transaction.
enum class StatementKind { kRead, kWrite, kControl };
StatementKind KindOfStatement(std::string_view sql);

}  // namespace slipway
