#include "slipway/registry/registry.h"

#include <cerrno>
#include <utility>

#include <unistd.h>

#include "slipway/registry/home_database.h"
#include "slipway/registry/stray.h"

namespace slipway {
namespace {

// Nobody else writes: the lock, or the database where several share it.
Result<std::optional<HomeLock>> TakeLock(const Home& home, double timeout,
                                         std::string_view command) {
  if (!home.shared()) {
    ASSIGN_OR_RETURN(HomeLock lock, HomeLock::Acquire(home, timeout, command));
    return std::optional<HomeLock>(std::move(lock));
  }
  if (::access(home.root().c_str(), W_OK) != 0)
    return FileError("write to the home", home.root(), errno);
  return std::optional<HomeLock>();
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
      accounts_(*database_),
      keys_(*database_),
      audit_(*database_),
      secrets_(home_, *database_),
      published_(*database_, blobs_),
      infras_(*database_, secrets_),
      deployments_(*database_) {}

Result<std::unique_ptr<Registry>> Registry::OpenWith(Home home, std::optional<HomeLock> lock) {
  ASSIGN_OR_RETURN(auto database, OpenRegistryDatabase(home, OpenMode::kReadWrite));
  RETURN_IF_ERROR(MigrateRegistry(*database, home));
  return std::unique_ptr<Registry>(
      new Registry(std::move(home), std::move(database), std::move(lock)));
}

Result<std::unique_ptr<Registry>> Registry::OpenForWriting(const std::string& folder,
                                                           std::string_view command,
                                                           double timeout_seconds) {
  ASSIGN_OR_RETURN(Home home, Home::Open(folder));
  ASSIGN_OR_RETURN(auto lock, TakeLock(home, timeout_seconds, command));
  return OpenWith(std::move(home), std::move(lock));
}

Result<std::unique_ptr<Registry>> Registry::OpenUnlocked(const std::string& folder) {
  ASSIGN_OR_RETURN(Home home, Home::Open(folder));
  return OpenWith(std::move(home), std::nullopt);
}

Result<std::unique_ptr<Registry>> Registry::OpenForReading(const std::string& folder) {
  ASSIGN_OR_RETURN(Home home, Home::Open(folder));
  ASSIGN_OR_RETURN(auto database, OpenRegistryDatabase(home, OpenMode::kReadOnly));
  ASSIGN_OR_RETURN(const bool current, IsRegistryMigrated(*database, home));
  if (!current) {
    // An older home: brought up to date once, as its writer.
    database.reset();
    RETURN_IF_ERROR(OpenForWriting(folder, "slipway (bringing the home up to date)"));
    ASSIGN_OR_RETURN(database, OpenRegistryDatabase(home, OpenMode::kReadOnly));
  }
  return std::unique_ptr<Registry>(
      new Registry(std::move(home), std::move(database), std::nullopt));
}

Result<GarbageReport> Registry::CollectGarbage(double min_age_seconds) {
  // While a backup reads, nothing goes; the next collection finds it all.
  auto lock = FileLock::Acquire(home_.BackupLockPath(), 0);
  if (!lock.ok() && lock.error().code == ErrorCode::kUnavailable) return GarbageReport();
  if (!lock.ok()) return std::move(lock).error();
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
