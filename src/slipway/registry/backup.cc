#include "slipway/registry/backup.h"

#include <algorithm>
#include <map>
#include <vector>

#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/tar.h"
#include "slipway/registry/backup_parts.h"
#include "slipway/registry/home.h"
#include "slipway/registry/snapshot.h"
#include "slipway/store/sqlite.h"

namespace slipway {
namespace {

constexpr int kAttempts = 5;

constexpr double kLockSeconds = 60;

struct Contents {
  std::vector<Blob> blobs;
  std::vector<std::string> data_files;  // below the home
  std::vector<std::string> job_ids;
};

// The snapshot as it goes into the archive, and the files that belong to it.
Result<Contents> PrepareSnapshot(const std::string& path, const BackupOptions& options) {
  ASSIGN_OR_RETURN(auto database, OpenSqlite(path, OpenMode::kReadWrite));
  // The data before the current one is kept for readers that are at it: in a copy there are none.
  if (options.data) {
    RETURN_IF_ERROR(
        database->Execute("UPDATE dataset_data SET previous_version = 0, previous_file = ''"));
  } else {
    RETURN_IF_ERROR(database->Execute("DELETE FROM dataset_data"));
  }
  Contents contents;
  ASSIGN_OR_RETURN(auto blobs, database->Query("SELECT hash, bytes FROM blobs ORDER BY hash"));
  for (const SqlRow& row : blobs) contents.blobs.push_back({row.Text(0), row.Int(1)});
  ASSIGN_OR_RETURN(auto data, database->Query("SELECT project, dataset, file FROM dataset_data "
                                              "ORDER BY project, dataset"));
  for (const SqlRow& row : data)
    contents.data_files.push_back("data/" + row.Text(0) + "/" + row.Text(1) + "/" + row.Text(2));
  if (options.logs) {
    ASSIGN_OR_RETURN(contents.job_ids, JobIdsOf(*database));
  }
  return contents;
}

// kNotFound: a file of the snapshot has been replaced and removed meanwhile.
Status AddContents(const Home& home, const Contents& contents, const BackupOptions& options,
                   TarWriter& archive, std::vector<TarEntry>* entries, BackupReport* report) {
  const size_t files = contents.blobs.size() + contents.data_files.size() + contents.job_ids.size();
  size_t done = 0;
  const auto next = [&]() -> Status {
    if (options.cancel != nullptr && options.cancel->load())
      return Cancelled("aborted; no backup was made");
    if (options.on_progress)
      options.on_progress(static_cast<double>(done++) / static_cast<double>(files));
    return {};
  };
  for (const Blob& blob : contents.blobs) {
    RETURN_IF_ERROR(next());
    const std::string path = home.BlobPath(blob.hash);
    ASSIGN_OR_RETURN(TarEntry entry, archive.AddFile(BlobName(blob.hash), path));
    if (entry.sha256 != blob.hash) {
      return Corruption("the content of '" + path + "' is not what it was",
                        "`slipway doctor --deep` names all such files; restore them from a backup");
    }
    entries->push_back(std::move(entry));
    ++report->blobs;
  }
  for (const std::string& file : contents.data_files) {
    RETURN_IF_ERROR(next());
    ASSIGN_OR_RETURN(TarEntry entry, archive.AddFile(file, JoinPath(home.root(), file)));
    entries->push_back(std::move(entry));
    ++report->datasets;
  }
  for (const std::string& id : contents.job_ids) {
    RETURN_IF_ERROR(next());
    auto entry = archive.AddFile("jobs/" + id + "/log.txt", home.JobLogPath(id));
    if (!entry.ok() && entry.error().code == ErrorCode::kNotFound) continue;
    if (!entry.ok()) return std::move(entry).error();
    entries->push_back(*std::move(entry));
    ++report->logs;
  }
  return {};
}

Result<BackupReport> Attempt(const Home& home, const std::string& path,
                             const BackupOptions& options) {
  ASSIGN_OR_RETURN(auto archive, TarWriter::Create(path));
  ASSIGN_OR_RETURN(const TempDir folder, TempDir::Make(DirName(path)));
  const std::string snapshot = folder.File("registry.db");
  RETURN_IF_ERROR(SnapshotRegistry(home, snapshot));
  ASSIGN_OR_RETURN(const Contents contents, PrepareSnapshot(snapshot, options));
  BackupReport report;
  report.path = path;
  report.home_id = home.id();
  report.created_at = NowText();
  std::vector<TarEntry> entries;
  ASSIGN_OR_RETURN(TarEntry registry, archive->AddFile(std::string(kRegistryName), snapshot));
  entries.push_back(std::move(registry));
  RETURN_IF_ERROR(AddContents(home, contents, options, *archive, &entries, &report));
  RETURN_IF_ERROR(
      archive->AddBytes(std::string(kManifestName), ManifestText(report, options, entries)));
  ASSIGN_OR_RETURN(report.bytes, archive->Finish());
  return report;
}

}  // namespace

Json BackupToJson(const BackupReport& report) {
  return {{"backup", report.path}, {"created", report.created_at}, {"bytes", report.bytes},
          {"blobs", report.blobs}, {"datasets", report.datasets},  {"job_logs", report.logs},
          {"verified", true}};
}

std::string NameOfBackup(const std::string& home, const std::string& mark) {
  std::string moment;
  for (const char c : NowText()) {
    if (c == '.') break;
    if (c != '-' && c != ':') moment += c;
  }
  if (!moment.ends_with('Z')) moment += 'Z';
  return BaseName(home) + "-" + moment + mark + ".tar";
}

Result<BackupReport> CreateBackup(const std::string& folder, const std::string& path,
                                  const BackupOptions& options) {
  ASSIGN_OR_RETURN(const Home home, Home::Open(folder));
  if (!IsDirectory(DirName(path))) {
    return NotFound("there is no folder '" + DirName(path) + "' for the backup",
                    "make it first, or give another name");
  }
  // Whoever may only read the home does without the lock: it may have to begin again.
  auto lock = FileLock::Acquire(home.BackupLockPath(), kLockSeconds);
  if (!lock.ok() && lock.error().code == ErrorCode::kUnavailable) {
    return Unavailable("another backup of the home '" + home.root() + "' is being made",
                       "wait until it has finished, and run the command again");
  }
  for (int round = 1;; ++round) {
    auto report = Attempt(home, path, options);
    // Something that was deleted or rebuilt while its file was to be read: the next snapshot does
    // not have it. A file that is missing for good is missing every time.
    if (!report.ok() && report.error().code == ErrorCode::kNotFound && round < kAttempts) continue;
    if (!report.ok() && report.error().code == ErrorCode::kNotFound) {
      return Corruption("a file of the home is missing: " + report.error().message,
                        "`slipway doctor` names all such files; restore them from a backup");
    }
    if (!report.ok()) return std::move(report).error();
    if (auto verified = VerifyBackup(path); !verified.ok()) {
      ::unlink(path.c_str());
      return verified.error().Within("the new backup was read again");
    }
    return report;
  }
}

}  // namespace slipway
