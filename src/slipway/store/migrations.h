// Migrations: the schema as a list of steps, each applied once, in one transaction with its record
// in the table `schema_history`. Step i (from 1) brings the database to version i. Steps are never
// edited once released.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "slipway/base/result.h"
#include "slipway/store/database.h"

namespace slipway {

struct Migration {
  std::string_view name;
  std::string_view sqlite;  // script
};

// 0 for an empty database. kCorruption when it holds tables of something else.
Result<int> SchemaVersion(Database& database);
// Applies what is missing. A database of a newer version is refused (kInvalidArgument: "made by a
// newer Slipway"); `where` names it in messages. Safe with several processes at once.
Status Migrate(Database& database, std::span<const Migration> steps, std::string_view where);
// Refuses a newer one, changes nothing. true: it is at the steps' version.
Result<bool> IsMigrated(Database& database, std::span<const Migration> steps,
                        std::string_view where);

}  // namespace slipway
