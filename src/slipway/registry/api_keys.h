// API keys: what programs show instead of a password. Stored as a hash; a key never does more than
// its account may, nor more than its own role on its own scope. Thread-safe as Database is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/registry/accounts.h"
#include "slipway/store/database.h"

namespace slipway {

struct ApiKeyRecord {
  std::string id;  // public: names the key in lists and in the audit log
  std::string label;
  std::string account;  // "": made on the hub's machine, of nobody in particular
  Grant limit;          // the most that it may do
  std::string created_at, created_by;
  std::optional<int64_t> expires_at;  // microseconds
  bool revoked = false, expired = false;
};

struct NewApiKey {
  std::string label, account, who;
  Grant limit{"admin", "*"};
  std::optional<double> seconds;  // until it expires
};

struct MadeApiKey {
  std::string id, key;  // the only time that the key is seen
};

class ApiKeys {
 public:
  explicit ApiKeys(Database& database) : database_(database) {}
  Result<MadeApiKey> Add(const NewApiKey& key);
  // Newest first; `account` "": all.
  Result<std::vector<ApiKeyRecord>> List(std::string_view account = "") const;
  Result<ApiKeyRecord> Get(std::string_view id) const;
  // One that is revoked already stays so.
  Status Revoke(std::string_view id);
  // nullopt: unknown, revoked or expired.
  Result<std::optional<ApiKeyRecord>> FindByKey(std::string_view key) const;

 private:
  Result<std::vector<ApiKeyRecord>> Select(std::string_view where,
                                           std::vector<SqlValue> values) const;
  Database& database_;
};

}  // namespace slipway
