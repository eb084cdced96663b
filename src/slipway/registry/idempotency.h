// Idempotency keys: the answer to a mutating request, so that the same request sent again gets the
// same answer and changes nothing. Look up and store inside the Transaction that makes the change.
// Thread-safe as Database is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "slipway/base/result.h"
#include "slipway/store/database.h"

namespace slipway {

struct StoredResponse {
  int status = 200;
  std::string body;
};

class Idempotency {
 public:
  explicit Idempotency(Database& database) : database_(database) {}
  // `request_hash`: of Secrets::KeyedHash, since requests hold passwords. nullopt: a new key. The
  // key was used with another request: kConflict. `scope` = who and the route.
  Result<std::optional<StoredResponse>> Find(std::string_view scope, std::string_view key,
                                             std::string_view request_hash) const;
  Status Put(std::string_view scope, std::string_view key, std::string_view request_hash,
             const StoredResponse& response);
  // Claims a key before work that is no single transaction: until Finish or Release, Find and
  // Reserve give kConflict. A claim whose process ended stays: the outcome is not known.
  Status Reserve(std::string_view scope, std::string_view key, std::string_view request_hash);
  Status Finish(std::string_view scope, std::string_view key, const StoredResponse& response);
  Status Release(std::string_view scope, std::string_view key);
  // Forgets those older than `max_age_seconds`; gives how many.
  Result<int64_t> Expire(double max_age_seconds = 24 * 3600);

 private:
  Database& database_;
};

}  // namespace slipway
