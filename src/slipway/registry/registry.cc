#include "slipway/registry/registry.h"

#include <utility>

#include "slipway/registry/schema.h"
#include "slipway/registry/stray.h"
#include "slipway/store/migrations.h"
#include "slipway/store/sqlite.h"

namespace slipway {
namespace {

std::string Where(const Home& home) { return "home '" + home.root() + "'"; }

Result<std::unique_ptr<Database>> OpenDatabase(const Home& home, SqliteMode mode) {
  auto database = OpenSqlite(home.DatabasePath(), mode);
  if (!database.ok() && database.error().code == ErrorCode::kNotFound) {
    return Corruption("'" + home.DatabasePath() + "' is missing from the home",
                      "restore it from a backup");
  }
  return database;
}

}  // namespace

Registry::Registry(Home home, std::unique_ptr<Database> database, std::optional<HomeLock> lock)
    : lock_(std::move(lock)),
      home_(std::move(home)),
      database_(std::move(database)),
      blobs_(home_, *database_),
      projects_(home_, *database_),
      datasets_(home_, *database_),
      models_(*database_, blobs_),
      packages_(*database_, blobs_),
      jobs_(home_, *database_),
      idempotency_(*database_),
      secrets_(home_, *database_),
      published_(*database_, blobs_),
      infras_(*database_, secrets_),
      deployments_(*database_) {}

Result<std::unique_ptr<Registry>> Registry::OpenWith(Home home, std::optional<HomeLock> lock) {
  ASSIGN_OR_RETURN(auto database, OpenDatabase(home, SqliteMode::kReadWrite));
  RETURN_IF_ERROR(Migrate(*database, RegistrySchema(), Where(home)));
  return std::unique_ptr<Registry>(
      new Registry(std::move(home), std::move(database), std::move(lock)));
}

Result<std::unique_ptr<Registry>> Registry::OpenForWriting(const std::string& folder,
                                                           std::string_view command,
                                                           double timeout_seconds) {
  ASSIGN_OR_RETURN(Home home, Home::Open(folder));
  ASSIGN_OR_RETURN(HomeLock lock, HomeLock::Acquire(home, timeout_seconds, command));
  return OpenWith(std::move(home), std::move(lock));
}

Result<std::unique_ptr<Registry>> Registry::OpenUnlocked(const std::string& folder) {
  ASSIGN_OR_RETURN(Home home, Home::Open(folder));
  return OpenWith(std::move(home), std::nullopt);
}

Result<std::unique_ptr<Registry>> Registry::OpenForReading(const std::string& folder) {
  ASSIGN_OR_RETURN(Home home, Home::Open(folder));
  ASSIGN_OR_RETURN(auto database, OpenDatabase(home, SqliteMode::kReadOnly));
  ASSIGN_OR_RETURN(const bool current, IsMigrated(*database, RegistrySchema(), Where(home)));
  if (!current) {
    // An older home: brought up to date once, as its writer.
    database.reset();
    RETURN_IF_ERROR(OpenForWriting(folder, "slipway (bringing the home up to date)"));
    ASSIGN_OR_RETURN(database, OpenDatabase(home, SqliteMode::kReadOnly));
  }
  return std::unique_ptr<Registry>(
      new Registry(std::move(home), std::move(database), std::nullopt));
}

Result<GarbageReport> Registry::CollectGarbage(double min_age_seconds) {
  ASSIGN_OR_RETURN(GarbageReport report, blobs_.CollectGarbage(min_age_seconds));
  ASSIGN_OR_RETURN(const auto stray, datasets_.RemoveStrayFiles(min_age_seconds));
  report.leftovers.insert(report.leftovers.end(), stray.begin(), stray.end());
  ASSIGN_OR_RETURN(const auto work, jobs_.StrayFolders());
  for (const std::string& path : work) {
    if (RemoveIfOld(path, min_age_seconds)) report.leftovers.push_back(path);
  }
  return report;
}

}  // namespace slipway
