// Blobs: immutable files named by the SHA-256 of their content. On disk before in the database;
// never changed. Thread-safe as Database is. Put makes the file durable; the row is added by
// whoever refers to it, in the same transaction as the reference (Record). A file without a row is
// a leftover that CollectGarbage removes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/registry/home.h"
#include "slipway/store/database.h"

namespace slipway {

struct Blob {
  std::string hash;  // 64 hex characters
  int64_t bytes = 0;
};

struct GarbageReport {
  int64_t blobs = 0;
  int64_t bytes = 0;
  std::vector<std::string> leftovers;  // other files removed: temporary files, unreferenced data
};

class Blobs {
 public:
  Blobs(const Home& home, Database& database) : home_(home), database_(database) {}

  Result<Blob> PutBytes(std::string_view content);
  // Copies the file, or moves it when `move` (it must be on the home's file system, else it is
  // copied).
  Result<Blob> PutFile(const std::string& path, bool move = false);
  // The row. To be called inside the transaction that refers to the blob; checks that the file is
  // still there.
  Status Record(const Blob& blob);
  // Path of a recorded blob whose file is there with the right size; kNotFound or kCorruption
  // otherwise.
  Result<std::string> Path(std::string_view hash) const;
  // Reads it whole and checks its hash.
  Result<std::string> Read(std::string_view hash, size_t max_bytes = size_t{1} << 30) const;
  // The content's hash is the name (kCorruption otherwise).
  Status Verify(std::string_view hash) const;
  Result<std::vector<Blob>> List() const;
  // Files below blobs/ without a row: leftovers of a crash, or being written just now.
  Result<std::vector<std::string>> StrayFiles() const;
  // Removes blobs that nothing refers to and stray files, both older than `min_age_seconds`.
  Result<GarbageReport> CollectGarbage(double min_age_seconds = 3600);

 private:
  Result<Blob> Install(const std::string& temp, const Blob& blob);

  const Home& home_;
  Database& database_;
};

}  // namespace slipway
