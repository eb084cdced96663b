// Projects: definitions as stored (JSON text of ProjectToJson) with revision and etag. Thread-safe
// as Database is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/registry/home.h"
#include "slipway/store/database.h"

namespace slipway {

struct ProjectRecord {
  std::string name;
  std::string definition_json;
  int64_t revision = 0;  // 1, 2, ...
  std::string etag;      // changes with every Put; never repeats
  std::string created_at, created_by, updated_at, updated_by;
};

class Projects {
 public:
  Projects(const Home& home, Database& database) : home_(home), database_(database) {}

  Result<std::vector<ProjectRecord>> List() const;  // by name
  Result<std::vector<std::string>> Names() const;
  // kNotFound with a suggestion.
  Result<ProjectRecord> Get(std::string_view name) const;
  Result<bool> Exists(std::string_view name) const;
  // Creates or replaces. `expected_etag`: "" = whatever is there; "new" = must not exist; else must
  // be the current one (kConflict otherwise). The same definition again changes nothing and keeps
  // the revision.
  Result<ProjectRecord> Put(std::string_view name, std::string_view definition_json,
                            std::string_view who, std::string_view expected_etag = "");
  // With its datasets' data, its models and the rights on it (ended_rights.h). Without `force` a
  // project whose models have versions is kConflict.
  Status Delete(std::string_view name, bool force, std::string_view expected_etag = "",
                std::string_view who = "");

 private:
  const Home& home_;
  Database& database_;
};

}  // namespace slipway
