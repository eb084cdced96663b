// The audit log: who changed what, when, and how it was before and after. Append-only: the
// database refuses to change or delete a row. Written in the transaction of the change itself where
// the change is one (AuditOnCommit). Thread-safe as Database is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/store/database.h"

namespace slipway {

struct AuditRecord {
  int64_t id = 0;
  int64_t at = 0;       // microseconds
  std::string who;      // an account, or the operating system's user
  std::string how;      // "session", "key key-abc", "command line", ...
  std::string action;   // "POST /api/v1/projects/{project}/datasets"
  std::string project;  // "": of none
  std::string path;
  int status = 200;
  std::string request_id;
  std::string before_json, after_json;  // what changed, JSON text; never a secret
};

struct AuditFilter {
  std::string project, who;
  int64_t since = 0;   // microseconds
  int64_t before = 0;  // ids below this one; 0: from the newest
  int64_t limit = 100;
};

class Audit {
 public:
  explicit Audit(Database& database) : database_(database) {}
  Status Append(const AuditRecord& record);
  Result<std::vector<AuditRecord>> List(const AuditFilter& filter) const;  // newest first
  Result<int64_t> LastId() const;  // 0: there is none yet. Moves with every change

 private:
  Database& database_;
};

}  // namespace slipway
