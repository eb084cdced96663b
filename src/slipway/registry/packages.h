// Packages of services: numbered and immutable, each a zip in a blob. Numbers come from a sequence
// per PROJECT/SERVICE that never goes back, also not when packages or the service are deleted. A
// package has its own copy of everything: model versions that it holds may be deleted. Every change
// is one transaction. Thread-safe as Database is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/registry/blobs.h"
#include "slipway/store/database.h"

namespace slipway {

// A version of a saved model that a package holds.
struct PackageModel {
  std::string endpoint;
  std::string project, model;
  int64_t version = 0;
};

struct PackageRecord {
  std::string project, service;
  int64_t number = 0;
  std::string blob;  // hash of the zip
  int64_t bytes = 0;
  // Of what the package does, without its number, time, maker and notes: equal for packages of the
  // same content.
  std::string content_hash;
  std::string definition_json;  // the service's, when it was packaged
  std::string summary_json;     // endpoints, tables, counts: whatever describes the package
  std::string notes;
  std::string created_at, created_by;
  std::vector<PackageModel> models;
};
// "v3".
std::string PackageId(int64_t number);

struct NewPackage {
  std::string project, service;
  int64_t number = 0;  // what NextNumber said: it stands in the zip
  std::string path;    // of the zip
  bool move_file = false;
  std::string content_hash, definition_json, summary_json, notes;
  std::string created_at, who;
  std::vector<PackageModel> models;
};

class Packages {
 public:
  Packages(Database& database, Blobs& blobs) : database_(database), blobs_(blobs) {}

  // The number that the service's next package has: it is written into the zip, so it is known
  // first. Add refuses it when another package was made meanwhile.
  Result<int64_t> NextNumber(std::string_view project, std::string_view service) const;
  // The project must exist. kConflict when `number` is not the next one any more.
  Result<PackageRecord> Add(const NewPackage& package);

  // Oldest first; "" = all services of the project, "" = all projects.
  Result<std::vector<PackageRecord>> List(std::string_view project,
                                          std::string_view service = "") const;
  Result<std::optional<PackageRecord>> Latest(std::string_view project,
                                              std::string_view service) const;
  // kNotFound names what exists.
  Result<PackageRecord> Get(std::string_view project, std::string_view service,
                            int64_t number) const;
  // Packages that hold the version, by service and number.
  Result<std::vector<PackageRecord>> Holding(std::string_view project, std::string_view model,
                                             int64_t version) const;
  Result<std::string> Path(const PackageRecord& package) const;
  // The zip goes with the garbage collection unless another package has the same.
  Status Delete(std::string_view project, std::string_view service, int64_t number);

 private:
  Result<std::vector<PackageRecord>> Select(std::string_view where,
                                            std::vector<SqlValue> values) const;
  Database& database_;
  Blobs& blobs_;
};

}  // namespace slipway
