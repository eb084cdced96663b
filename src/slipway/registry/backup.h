// Backups: a home as one file, made while others work, and a home made from it.
//
// A backup is a tar archive: registry.db (the metadata as of one moment, a SQLite file whatever the
// registry is), blobs/..., data/... and jobs/<id>/log.txt as asked for, and last manifest.json with
// every file's size and SHA-256: an archive without it is not whole.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"

namespace slipway {

struct BackupOptions {
  bool data = true;   // of managed datasets; else they are as never built
  bool logs = false;  // of jobs
  std::function<void(double part)> on_progress;  // 0 to 1, by files
  const std::atomic<bool>* cancel = nullptr;     // set: kCancelled, and there is no file
};

struct BackupReport {
  std::string path;
  std::string home_id, created_at;
  int64_t bytes = 0;  // of the archive
  int64_t blobs = 0, datasets = 0, logs = 0;
  std::vector<std::string> notices;  // of a restored home, for people
};

// {backup, created, bytes, blobs, datasets, job_logs, verified}
Json BackupToJson(const BackupReport& report);
// What a backup of this home is called: by the home and the moment, home-20261129T231500Z.tar.
std::string NameOfBackup(const std::string& home, const std::string& mark = "");

// Takes no lock. Durable, read again and verified when it returns, or absent. kCorruption when a
// blob of the home is damaged (its name is in the message).
Result<BackupReport> CreateBackup(const std::string& home, const std::string& path,
                                  const BackupOptions& options);

// Reads it whole and compares every hash.
Result<BackupReport> VerifyBackup(const std::string& path);

// A new home in `folder` (new or empty), its registry in its own file or, with a URL, in an empty
// PostgreSQL schema. It is a home of its own (another id); jobs that ran are marked interrupted.
// All or nothing; verified. kCorruption for a damaged backup, kConflict for a folder or a schema in
// use.
Result<BackupReport> RestoreBackup(const std::string& path, const std::string& folder,
                                   const std::string& registry_url = "");

}  // namespace slipway
