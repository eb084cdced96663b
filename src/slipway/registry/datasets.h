// Datasets' state: the current data of managed datasets, and what is known about the files of files
// datasets. Managed data is published by rename and never changed; the previous data is kept until
// the next publish. Thread-safe as Database is. Data versions come from a sequence that never goes
// back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/registry/build_record.h"
#include "slipway/registry/home.h"
#include "slipway/store/database.h"

namespace slipway {

// The current data of a managed dataset.
struct DatasetState {
  std::string project, dataset;
  int64_t version = 0;      // data version
  std::string path;         // absolute, of the current file
  std::string schema_json;  // as the caller gave it
  int64_t rows = 0;
  int64_t bytes = 0;
  std::string fingerprint;
  BuildRecord build;
  std::string at, by;
  int64_t previous_version = 0;  // 0: none kept
  std::string previous_path;     // empty: none kept
};

struct NewDatasetData {
  std::string path;  // the finished file, below the job's folder; it is moved
  std::string schema_json;
  int64_t rows = 0;
  std::string fingerprint;  // empty: XXH3-128 of the file's bytes
  BuildRecord build;
  std::string who;
};

// What is known about a files dataset, so that nothing is sniffed or hashed twice.
struct FilesState {
  std::string
      definition_hash;  // of the definition that was inspected; a changed one makes this stale
  std::string inspection_json;    // pinned spec and warnings
  std::string fingerprint;        // "" until known
  std::string fingerprint_state;  // for FingerprintFiles
  std::optional<int64_t> rows;    // of that fingerprint
  int64_t bytes = 0;
  std::string at;  // set by Put
};

class Datasets {
 public:
  Datasets(const Home& home, Database& database) : home_(home), database_(database) {}

  // nullopt: no data yet. The path's existence is not checked here.
  Result<std::optional<DatasetState>> Find(std::string_view project,
                                           std::string_view dataset) const;
  Result<std::vector<DatasetState>> List(std::string_view project) const;
  // fsync, rename into data/, fsync of the folder, then the row: either the old data or the new is
  // current. On an error `data.path` may have been moved away already, and the old data is still
  // current.
  Result<DatasetState> Publish(std::string_view project, std::string_view dataset,
                               const NewDatasetData& data);
  // Forgets the data and removes its files. No error when there is none.
  Status Clear(std::string_view project, std::string_view dataset);

  Result<std::optional<FilesState>> FindFilesState(std::string_view project,
                                                   std::string_view dataset) const;
  Status PutFilesState(std::string_view project, std::string_view dataset, const FilesState& state);
  Status ForgetFilesState(std::string_view project, std::string_view dataset);

  // Files below data/ that no row names: leftovers of a crash.
  Result<std::vector<std::string>> StrayFiles() const;
  // Removes files below data/ that no row names, older than `min_age_seconds`; gives their paths.
  Result<std::vector<std::string>> RemoveStrayFiles(double min_age_seconds = 3600);

 private:
  const Home& home_;
  Database& database_;
};

}  // namespace slipway
