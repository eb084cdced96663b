#include "slipway/registry/home_database.h"

#include <algorithm>
#include <vector>

#include "slipway/base/clock.h"
#include "slipway/base/text.h"
#include "slipway/registry/schema.h"
#include "slipway/registry/snapshot.h"
#include "slipway/store/migrations.h"
#include "slipway/store/postgres.h"
#include "slipway/store/sqlite.h"

namespace slipway {
namespace {

constexpr size_t kCopiesKept = 3;
constexpr std::string_view kCopyPrefix = "registry.db.v";

std::string Where(const Home& home) { return "home '" + home.root() + "'"; }

// nullopt: the registry is older than the row, or it is not there yet.
Result<std::optional<std::string>> HomeIdOf(Database& database) {
  ASSIGN_OR_RETURN(const std::vector<std::string> tables, database.TableNames());
  if (std::find(tables.begin(), tables.end(), "home") == tables.end())
    return std::optional<std::string>();
  ASSIGN_OR_RETURN(auto rows, database.Query("SELECT id FROM home"));
  if (rows.empty()) return std::optional<std::string>();
  return std::optional<std::string>(rows[0].Text(0));
}

Status CheckId(Database& database, const Home& home) {
  if (home.id().empty()) return {};
  ASSIGN_OR_RETURN(const std::optional<std::string> found, HomeIdOf(database));
  if (!found || *found == home.id()) return {};
  return Conflict("'" + home.RegistryName() + "' holds the metadata of another home than '" +
                      home.root() + "' (home " + *found + ", not " + home.id() + ")",
                  home.shared() ? "give the home's own --registry, or make a new home with another "
                                  "schema=NAME in the URL"
                                : "put the home's own registry.db back");
}

// The oldest copies go.
void KeepNewestCopies(const std::string& root) {
  auto names = ListDir(root);
  if (!names.ok()) return;
  std::vector<int64_t> versions;
  for (const std::string& name : *names) {
    if (!name.starts_with(kCopyPrefix)) continue;
    if (auto version = ParseInt64(std::string_view(name).substr(kCopyPrefix.size())))
      versions.push_back(*version);
  }
  std::sort(versions.rbegin(), versions.rend());
  for (size_t i = kCopiesKept; i < versions.size(); ++i)
    (void)RemoveAll(JoinPath(root, std::string(kCopyPrefix) + std::to_string(versions[i]))).ok();
}

Status KeepCopy(Database& database, const Home& home, int version) {
  const std::string path =
      JoinPath(home.root(), std::string(kCopyPrefix) + std::to_string(version));
  Status copied = home.shared() ? CopyRegistryRows(database, version, path)
                                : CopySqlite(home.DatabasePath(), path);
  if (!copied.ok()) return copied.error().Within("keeping a copy before the schema changes");
  KeepNewestCopies(home.root());
  return {};
}

}  // namespace

Result<std::unique_ptr<Database>> OpenRegistryDatabase(const Home& home, OpenMode mode) {
  std::unique_ptr<Database> database;
  if (home.shared()) {
    ASSIGN_OR_RETURN(database, OpenPostgres(home.registry_url(), mode));
  } else {
    auto opened = OpenSqlite(home.DatabasePath(), mode);
    if (!opened.ok() && opened.error().code == ErrorCode::kNotFound) {
      return Corruption("'" + home.DatabasePath() + "' is missing from the home",
                        "restore it from a backup");
    }
    if (!opened.ok()) return std::move(opened).error();
    database = *std::move(opened);
  }
  RETURN_IF_ERROR(CheckId(*database, home));
  return database;
}

Status MigrateRegistry(Database& database, const Home& home) {
  RETURN_IF_ERROR(Migrate(database, RegistrySchema(), Where(home),
                          [&](int version) { return KeepCopy(database, home, version); }));
  if (home.id().empty()) return {};
  ASSIGN_OR_RETURN(const std::optional<std::string> id, HomeIdOf(database));
  if (id) return CheckId(database, home);
  return SetHomeId(database, home.id());
}

Result<bool> IsRegistryMigrated(Database& database, const Home& home) {
  return IsMigrated(database, RegistrySchema(), Where(home));
}

Status MakeRegistryDatabase(const std::string& folder, const std::string& id,
                            const std::string& registry_url) {
  const std::string where = "home '" + folder + "'";
  std::unique_ptr<Database> database;
  if (registry_url.empty()) {
    ASSIGN_OR_RETURN(database, OpenSqlite(JoinPath(folder, "registry.db"), OpenMode::kCreate));
  } else {
    ASSIGN_OR_RETURN(database, OpenPostgres(registry_url, OpenMode::kCreate));
  }
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database));
  ASSIGN_OR_RETURN(const std::optional<std::string> found, HomeIdOf(*database));
  if (!registry_url.empty() && found && *found != id) {
    return Conflict("the registry already holds the metadata of another home (home " + *found + ")",
                    "use that home's folder, or give this one a schema of its own with schema=NAME "
                    "in the URL");
  }
  RETURN_IF_ERROR(Migrate(*database, RegistrySchema(), where));
  RETURN_IF_ERROR(SetHomeId(*database, id));
  return transaction.Commit();
}

Status SetHomeId(Database& database, const std::string& id) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database));
  RETURN_IF_ERROR(database.Execute("DELETE FROM home"));
  RETURN_IF_ERROR(
      database.Execute("INSERT INTO home(id, created_at) VALUES (?, ?)", {id, NowText()}));
  return transaction.Commit();
}

}  // namespace slipway
