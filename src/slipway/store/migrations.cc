#include "slipway/store/migrations.h"

#include <algorithm>
#include <string>
#include <vector>

#include "slipway/base/clock.h"
#include "slipway/store/sql_dialect.h"

namespace slipway {

Result<int> SchemaVersion(Database& database) {
  ASSIGN_OR_RETURN(const std::vector<std::string> tables, database.TableNames());
  if (tables.empty()) return 0;
  if (std::find(tables.begin(), tables.end(), "schema_history") == tables.end()) {
    return Corruption("the database holds tables of something else, such as '" + tables[0] + "'");
  }
  ASSIGN_OR_RETURN(auto rows, database.Query("SELECT max(version) FROM schema_history"));
  return rows.empty() ? 0 : static_cast<int>(rows[0].Int(0));
}

Result<bool> IsMigrated(Database& database, std::span<const Migration> steps,
                        std::string_view where) {
  auto version = SchemaVersion(database);
  if (!version.ok()) return version.error().Within(where);
  const int newest = static_cast<int>(steps.size());
  if (*version > newest) {
    return InvalidArgument(
        std::string(where) + " was made by a newer Slipway: its schema version is " +
            std::to_string(*version) + ", this one knows up to " + std::to_string(newest),
        "use that newer Slipway, or another home");
  }
  return *version == newest;
}

Status Migrate(Database& database, std::span<const Migration> steps, std::string_view where,
               const std::function<Status(int version)>& before) {
  ASSIGN_OR_RETURN(const bool done, IsMigrated(database, steps, where));
  if (done) return {};
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database));
  // Another process may have done it meanwhile.
  ASSIGN_OR_RETURN(const bool done_now, IsMigrated(database, steps, where));
  if (done_now) return {};
  ASSIGN_OR_RETURN(const int version, SchemaVersion(database));
  if (version == 0) {
    RETURN_IF_ERROR(database.ExecuteScript(ScriptFor(
        database.dialect(),
        "CREATE TABLE IF NOT EXISTS schema_history(version INTEGER PRIMARY KEY, name TEXT NOT NULL,"
        " at TEXT NOT NULL)")));
  } else if (before) {
    RETURN_IF_ERROR(before(version));
  }
  for (size_t i = static_cast<size_t>(version); i < steps.size(); ++i) {
    const std::string name(steps[i].name);
    const std::string script = ScriptFor(database.dialect(), steps[i].script);
    if (auto status = database.ExecuteScript(script); !status.ok()) {
      return status.error().Within("schema step '" + name + "'");
    }
    RETURN_IF_ERROR(
        database.Execute("INSERT INTO schema_history(version, name, at) VALUES (?, ?, ?)",
                         {static_cast<int64_t>(i + 1), name, NowText()}));
  }
  return transaction.Commit();
}

}  // namespace slipway
