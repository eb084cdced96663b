#include "slipway/registry/snapshot.h"

#include <algorithm>
#include <vector>

#include <unistd.h>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/registry/home_database.h"
#include "slipway/registry/schema.h"
#include "slipway/store/migrations.h"
#include "slipway/store/sqlite.h"

namespace slipway {
namespace {

constexpr std::string_view kHistory = "schema_history";
constexpr int64_t kRowsAtOnce = 500;

// Of the SQLite side, which both sides' steps made alike.
Result<std::vector<std::string>> Columns(Database& sqlite, const std::string& table,
                                         bool key_only = false) {
  ASSIGN_OR_RETURN(auto rows, sqlite.Query("SELECT name FROM pragma_table_info(?) " +
                                               std::string(key_only ? "WHERE pk > 0 ORDER BY pk"
                                                                    : "ORDER BY cid"),
                                           {SqlText(table)}));
  std::vector<std::string> names;
  for (const SqlRow& row : rows) names.push_back("\"" + row.Text(0) + "\"");
  return names;
}

Status CopyTable(Database& from, Database& to, Database& sqlite, const std::string& table) {
  ASSIGN_OR_RETURN(const std::vector<std::string> columns, Columns(sqlite, table));
  ASSIGN_OR_RETURN(std::vector<std::string> key, Columns(sqlite, table, true));
  if (key.empty()) key = columns;
  const std::string list = Join(columns, ", ");
  std::string marks;
  for (size_t i = 0; i < columns.size(); ++i) marks += i == 0 ? "?" : ", ?";
  const std::string select = "SELECT " + list + " FROM \"" + table + "\" ORDER BY " +
                             Join(key, ", ") + " LIMIT ? OFFSET ?";
  const std::string insert = "INSERT INTO \"" + table + "\"(" + list + ") VALUES (" + marks + ")";
  for (int64_t done = 0;; done += kRowsAtOnce) {
    ASSIGN_OR_RETURN(auto rows, from.Query(select, {kRowsAtOnce, done}));
    for (SqlRow& row : rows) {
      auto inserted = to.Execute(insert, std::move(row).values());
      if (!inserted.ok()) return inserted.error().Within("copying table '" + table + "'");
    }
    if (static_cast<int64_t>(rows.size()) < kRowsAtOnce) return {};
  }
}

Status CopyTables(Database& from, Database& to, Database& sqlite) {
  ASSIGN_OR_RETURN(std::vector<std::string> tables, from.TableNames());
  ASSIGN_OR_RETURN(const std::vector<std::string> expected, to.TableNames());
  for (const std::string& table : tables) {
    if (std::find(expected.begin(), expected.end(), table) == expected.end()) {
      return Conflict("the registry has a table '" + table + "' that is not Slipway's",
                      "remove it from the registry's schema");
    }
  }
  std::erase(tables, kHistory);
  // Triggers put rows of their own; what is copied has them already.
  for (const std::string& table : tables)
    RETURN_IF_ERROR(to.Execute("DELETE FROM \"" + table + "\""));
  // First what others' triggers look at.
  std::stable_partition(tables.begin(), tables.end(),
                        [](const std::string& t) { return t == "models"; });
  for (const std::string& table : tables) RETURN_IF_ERROR(CopyTable(from, to, sqlite, table));
  return {};
}

}  // namespace

Status CopyRegistryRows(Database& source, int version, const std::string& to) {
  const std::string temp = to + ".tmp" + std::to_string(::getpid());
  ::unlink(temp.c_str());
  const auto steps = RegistrySchema();
  if (version < 1 || version > static_cast<int>(steps.size()))
    return Internal("no schema version " + std::to_string(version));
  auto copy = [&]() -> Status {
    {
      ASSIGN_OR_RETURN(auto target, OpenSqlite(temp, OpenMode::kCreate));
      RETURN_IF_ERROR(
          Migrate(*target, steps.first(static_cast<size_t>(version)), "'" + temp + "'"));
      ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*target));
      RETURN_IF_ERROR(target->ExecuteScript("PRAGMA defer_foreign_keys = ON"));
      RETURN_IF_ERROR(CopyTables(source, *target, *target));
      RETURN_IF_ERROR(transaction.Commit());
    }
    RETURN_IF_ERROR(FsyncFile(temp));
    return RenameDurably(temp, to);
  };
  Status status = copy();
  if (!status.ok()) ::unlink(temp.c_str());
  return status;
}

Status SnapshotRegistry(const Home& home, const std::string& to) {
  if (!home.shared()) return CopySqlite(home.DatabasePath(), to);
  ASSIGN_OR_RETURN(auto source, OpenRegistryDatabase(home, OpenMode::kReadOnly));
  ASSIGN_OR_RETURN(Transaction moment, Transaction::Begin(*source));
  RETURN_IF_ERROR(IsRegistryMigrated(*source, home));
  ASSIGN_OR_RETURN(const int version, SchemaVersion(*source));
  return CopyRegistryRows(*source, version, to);
}

Status LoadRegistryRows(const std::string& from, Database& target) {
  ASSIGN_OR_RETURN(auto source, OpenSqlite(from, OpenMode::kReadOnly));
  // Keys that refer to each other, in any order of tables: checked at the commit.
  RETURN_IF_ERROR(target.ExecuteScript(R"sql(
DO $body$
DECLARE k record;
BEGIN
  FOR k IN SELECT conrelid::regclass AS of, conname FROM pg_constraint WHERE contype = 'f'
      AND NOT condeferrable AND connamespace = current_schema()::regnamespace LOOP
    EXECUTE format('ALTER TABLE %s ALTER CONSTRAINT %I DEFERRABLE INITIALLY IMMEDIATE', k.of, k.conname);
  END LOOP;
END $body$;
SET CONSTRAINTS ALL DEFERRED;)sql"));
  RETURN_IF_ERROR(CopyTables(*source, target, *source));
  // Numbers that the database gives go on after the largest.
  ASSIGN_OR_RETURN(auto identities,
                   target.Query("SELECT table_name::text, column_name::text FROM "
                                "information_schema.columns WHERE table_schema = current_schema() "
                                "AND is_identity = 'YES' ORDER BY 1"));
  for (const SqlRow& row : identities) {
    const std::string table = "\"" + row.Text(0) + "\"", column = "\"" + row.Text(1) + "\"";
    RETURN_IF_ERROR(target.Query("SELECT setval(pg_get_serial_sequence(?, ?), (SELECT max(" +
                                     column + ") FROM " + table + ")) WHERE EXISTS(SELECT 1 FROM " +
                                     table + ")",
                                 {SqlText(table), SqlText(row.Text(1))}));
  }
  return {};
}

}  // namespace slipway
