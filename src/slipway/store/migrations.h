// Migrations: the schema as a list of steps, each applied once, in one transaction with its record
// in the table `schema_history`. Step i (from 1) brings the database to version i. Steps are never
// edited once released.
//
// A step is one script for both databases, in SQLite's words: sql_dialect.h translates types and
// STRICT for PostgreSQL. What only one of them understands (triggers, a key that refers to a table
// made later) stands between lines of their own:
//   --@ sqlite      the lines from here are SQLite's alone
//   --@ postgres    the lines from here are PostgreSQL's alone
//   --@ both
// A step that PostgreSQL does not understand fails there as a whole, with its name; the registry's
// tests run all steps on a real PostgreSQL and compare tables, columns and triggers with SQLite's.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "slipway/base/result.h"
#include "slipway/store/database.h"

namespace slipway {

struct Migration {
  std::string_view name;
  std::string_view script;
};

// 0 for an empty database. kCorruption when it holds tables of something else.
Result<int> SchemaVersion(Database& database);
// Applies what is missing. A database of a newer version is refused (kInvalidArgument: "made by a
// newer Slipway"); `where` names it in messages. Safe with several processes at once. `before` is
// called with the old version (not 0) before anything is changed, while nobody else can write: what
// it fails with ends the migration.
Status Migrate(Database& database, std::span<const Migration> steps, std::string_view where,
               const std::function<Status(int version)>& before = {});
// Refuses a newer one, changes nothing. true: it is at the steps' version.
Result<bool> IsMigrated(Database& database, std::span<const Migration> steps,
                        std::string_view where);

}  // namespace slipway
