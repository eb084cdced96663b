#include "slipway/registry/idempotency.h"

#include "slipway/base/clock.h"

namespace slipway {

Result<std::optional<StoredResponse>> Idempotency::Find(std::string_view scope,
                                                        std::string_view key,
                                                        std::string_view request_hash) const {
  ASSIGN_OR_RETURN(
      auto rows,
      database_.Query("SELECT request_hash, status, body FROM idempotency WHERE scope = ? AND "
                      "key = ?",
                      {SqlText(scope), SqlText(key)}));
  if (rows.empty()) return std::optional<StoredResponse>();
  if (rows[0].Text(0) != request_hash) {
    return Conflict("the idempotency key '" + std::string(key) + "' was used for another request",
                    "use a new key for each request, and the same one only to send it again");
  }
  return std::optional<StoredResponse>(
      StoredResponse{static_cast<int>(rows[0].Int(1)), rows[0].Text(2)});
}

Status Idempotency::Put(std::string_view scope, std::string_view key, std::string_view request_hash,
                        const StoredResponse& response) {
  RETURN_IF_ERROR(
      database_.Execute("INSERT INTO idempotency(scope, key, request_hash, status, body, at) "
                        "VALUES (?, ?, ?, ?, ?, ?)",
                        {SqlText(scope), SqlText(key), SqlText(request_hash),
                         int64_t{response.status}, response.body, NowMicros()}));
  return {};
}

Result<int64_t> Idempotency::Expire(double max_age_seconds) {
  const int64_t before = NowMicros() - static_cast<int64_t>(max_age_seconds * 1e6);
  return database_.Execute("DELETE FROM idempotency WHERE at <= ?", {before});
}

}  // namespace slipway
