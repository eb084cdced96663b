#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/registry/backup.h"
#include "slipway/registry/backup_parts.h"
#include "slipway/registry/home_database.h"
#include "slipway/registry/registry.h"
#include "slipway/registry/schema.h"
#include "slipway/registry/snapshot.h"
#include "slipway/store/migrations.h"
#include "slipway/store/postgres.h"
#include "slipway/store/postgres_url.h"
#include "slipway/store/sqlite.h"

namespace slipway {
namespace {

constexpr size_t kMaxManifest = size_t{256} << 20;

// Reads the archive; its files go below `folder`, or nowhere when that is empty.
class Unpacker {
 public:
  Unpacker(std::string path, std::string folder)
      : path_(std::move(path)), folder_(std::move(folder)) {}
  ~Unpacker() {
    if (fd_ >= 0) ::close(fd_);
  }
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;

  Result<BackupReport> Run() {
    RETURN_IF_ERROR(ReadTar(path_, {.on_entry = [this](const TarEntry& e) { return Begin(e); },
                                    .on_bytes = [this](std::string_view b) { return Take(b); },
                                    .on_end = [this](const TarEntry& e) { return End(e); }}));
    if (!whole_) {
      return Corruption("backup '" + path_ + "' is not whole: it has no manifest",
                        "use another backup, or fetch the file again");
    }
    ASSIGN_OR_RETURN(BackupReport report, CheckManifest(path_, manifest_, entries_));
    ASSIGN_OR_RETURN(report.bytes, FileSize(path_));
    // The names of all files, durably, bottom-up.
    for (auto it = folders_.rbegin(); it != folders_.rend(); ++it) RETURN_IF_ERROR(FsyncDir(*it));
    return report;
  }

 private:
  Status Begin(const TarEntry& entry) {
    if (whole_ || !IsBackupName(entry.name) || !names_.insert(entry.name).second) {
      return Corruption("'" + path_ + "' is damaged or not a backup: it holds '" + entry.name + "'",
                        "use another backup, or fetch the file again");
    }
    in_manifest_ = entry.name == kManifestName;
    if (in_manifest_ || folder_.empty()) return {};
    out_ = JoinPath(folder_, entry.name);
    RETURN_IF_ERROR(MakeDirs(DirName(out_)));
    for (std::string dir = DirName(out_); dir.size() >= folder_.size(); dir = DirName(dir))
      folders_.insert(dir);
    fd_ = ::open(out_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd_ < 0) return FileError("create", out_, errno);
    return {};
  }

  Status Take(std::string_view bytes) {
    if (in_manifest_) {
      manifest_ += bytes;
      if (manifest_.size() <= kMaxManifest) return {};
      return Corruption("'" + path_ + "' is not a backup: its manifest is too large");
    }
    while (fd_ >= 0 && !bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FileError("write", out_, errno);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return {};
  }

  Status End(const TarEntry& entry) {
    if (in_manifest_) {
      whole_ = true;
      return {};
    }
    entries_.push_back(entry);
    if (fd_ < 0) return {};
    const int synced = ::fsync(fd_);
    const int error = errno;
    ::close(std::exchange(fd_, -1));
    if (synced != 0) return FileError("fsync", out_, error);
    return {};
  }

  const std::string path_, folder_;
  std::string out_, manifest_;
  std::vector<TarEntry> entries_;
  std::set<std::string> names_, folders_;
  bool in_manifest_ = false, whole_ = false;
  int fd_ = -1;
};

Status CheckTarget(const std::string& folder) {
  if (!PathExists(folder)) return MakeDirs(DirName(folder));
  if (!IsDirectory(folder)) return Conflict("'" + folder + "' exists and is not a folder");
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(folder));
  if (names.empty()) return {};
  return Conflict(
      "'" + folder + "' is not empty: it holds '" + names[0] + "'",
      "give a new or an empty folder to `slipway restore`; a home is never overwritten");
}

// The unpacked registry.db, sound and of the newest schema.
Status PrepareRegistry(const std::string& backup, const std::string& file, const std::string& id) {
  auto database = OpenSqlite(file, OpenMode::kReadWrite);
  if (!database.ok()) return database.error().Within("backup '" + backup + "'");
  ASSIGN_OR_RETURN(const std::vector<std::string> damage, (*database)->CheckIntegrity());
  if (!damage.empty())
    return Corruption("backup '" + backup + "' holds a damaged registry: " + damage[0]);
  RETURN_IF_ERROR(Migrate(**database, RegistrySchema(), "backup '" + backup + "'"));
  return SetHomeId(**database, id);
}

Status MoveToPostgres(const std::string& file, const std::string& url) {
  ASSIGN_OR_RETURN(auto database, OpenPostgres(url, OpenMode::kCreate));
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database));
  ASSIGN_OR_RETURN(const std::vector<std::string> tables, database->TableNames());
  if (!tables.empty()) {
    ASSIGN_OR_RETURN(const PostgresUrl parsed, ParsePostgresUrl(url));
    return Conflict(
        "the registry '" + parsed.shown + "' holds tables already, such as '" + tables[0] + "'",
        "give another schema=NAME in the URL, or drop the schema '" + parsed.schema + "'");
  }
  RETURN_IF_ERROR(Migrate(*database, RegistrySchema(), "the registry"));
  RETURN_IF_ERROR(LoadRegistryRows(file, *database));
  RETURN_IF_ERROR(transaction.Commit());
  ::unlink(file.c_str());
  return {};
}

// As a home's next writer sees it.
Status CheckRestored(const std::string& folder, std::vector<std::string>* notices) {
  ASSIGN_OR_RETURN(auto registry, Registry::OpenForWriting(folder, "slipway restore"));
  RETURN_IF_ERROR(registry->jobs().MarkInterruptedJobs());
  ASSIGN_OR_RETURN(const std::vector<Finding> findings, registry->CheckIntegrity(false));
  for (const Finding& finding : findings) {
    if (finding.error) return Corruption("the restored home is not sound: " + finding.message);
    notices->push_back(finding.message + "; " + finding.hint);
  }
  return {};
}

}  // namespace

Result<BackupReport> VerifyBackup(const std::string& path) { return Unpacker(path, "").Run(); }

Result<BackupReport> RestoreBackup(const std::string& path, const std::string& folder,
                                   const std::string& registry_url) {
  std::string root = AbsolutePath(folder);
  if (root.size() > 1 && root.ends_with('/')) root.pop_back();
  if (!registry_url.empty()) RETURN_IF_ERROR(ParsePostgresUrl(registry_url));
  RETURN_IF_ERROR(CheckTarget(root));
  // Beside the target, so that the last step is one rename.
  ASSIGN_OR_RETURN(const TempDir temp, TempDir::Make(DirName(root)));
  const std::string made = temp.File("home");
  RETURN_IF_ERROR(MakeDirs(made));
  ASSIGN_OR_RETURN(BackupReport report, Unpacker(path, made).Run());
  for (const char* part : {"blobs/sha256", "data", "jobs", "logs"})
    RETURN_IF_ERROR(MakeDirs(JoinPath(made, part)));
  const std::string id = RandomId();
  const std::string file = JoinPath(made, kRegistryName);
  RETURN_IF_ERROR(PrepareRegistry(path, file, id));
  if (!registry_url.empty()) RETURN_IF_ERROR(MoveToPostgres(file, registry_url));
  RETURN_IF_ERROR(WriteHomeFile(made, id, registry_url));
  CloseHomeToOthers(made);
  RETURN_IF_ERROR(CheckRestored(made, &report.notices));
  for (std::string& notice : report.notices) {  // it is not there to stay
    if (const size_t at = notice.find(made); at != std::string::npos)
      notice.replace(at, made.size(), root);
  }
  RETURN_IF_ERROR(FsyncDir(made));
  if (::rename(made.c_str(), root.c_str()) != 0) return FileError("rename to", root, errno);
  RETURN_IF_ERROR(FsyncDir(DirName(root)));
  report.home_id = id;
  return report;
}

}  // namespace slipway
