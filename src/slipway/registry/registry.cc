#include "slipway/registry/registry.h"

#include <utility>

#include "slipway/registry/home_database.h"
#include "slipway/registry/sequence.h"
#include "slipway/registry/stray.h"

namespace slipway {
namespace {

constexpr std::string_view kTerms = "hub";  // a sequence
// Shorter than Begin waits: whoever holds the lock for so long without a word was cut off.
constexpr double kCutOffSeconds = 4;

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
      deployments_(*database_),
      activity_(*database_),
      accounts_(*database_),
      keys_(*database_),
      audit_(*database_) {}

Result<std::unique_ptr<Registry>> Registry::OpenWith(Home home, std::optional<HomeLock> lock) {
  ASSIGN_OR_RETURN(auto database, OpenRegistryDatabase(home, OpenMode::kReadWrite));
  RETURN_IF_ERROR(MigrateRegistry(*database, home));
  return std::unique_ptr<Registry>(
      new Registry(std::move(home), std::move(database), std::move(lock)));
}

Result<std::unique_ptr<Registry>> Registry::OpenForWriting(const std::string& folder,
                                                           std::string_view command,
                                                           double timeout_seconds, bool alone) {
  ASSIGN_OR_RETURN(Home home, Home::Open(folder));
  // Commands on a shared registry go side by side, and never beside a hub.
  const bool several = home.shared() && !alone;
  ASSIGN_OR_RETURN(HomeLock lock, HomeLock::Acquire(home, timeout_seconds, command,
                                                    several ? FileLock::Kind::kShared
                                                            : FileLock::Kind::kExclusive));
  ASSIGN_OR_RETURN(auto registry, OpenWith(std::move(home), std::move(lock)));
  if (alone && registry->home().shared()) RETURN_IF_ERROR(registry->TakeTerm());
  return registry;
}

// The lock is the folder's; where it does not reach (a file system without locks, a machine that
// was cut off), the database itself lets only the last one go on.
Status Registry::TakeTerm() {
  const auto next = [this]() -> Status {
    ASSIGN_OR_RETURN(Transaction transaction, Begin());
    ASSIGN_OR_RETURN(term_, NextNumber(*database_, kTerms));
    return transaction.Commit();
  };
  Status taken = next();
  if (!taken.ok() && taken.error().code == ErrorCode::kUnavailable) {
    const auto ended = database_->EndIdleWriter(kCutOffSeconds);
    if (ended.ok() && *ended) taken = next();
  }
  RETURN_IF_ERROR(taken);
  database_->Fence("SELECT 1 FROM sequences WHERE name = '" + std::string(kTerms) +
                       "' AND last = " + std::to_string(term_),
                   Unavailable("another hub has taken over home '" + home_.root() + "'",
                               "ask that one; HOME/hub.json has its URL"));
  return {};
}

bool Registry::StillAlone() {
  if (term_ == 0) return true;
  const auto rows =
      database_->Query("SELECT last FROM sequences WHERE name = ?", {SqlText(kTerms)});
  return !rows.ok() || rows->empty() || (*rows)[0].Int(0) == term_;
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
