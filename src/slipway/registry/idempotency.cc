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
  if (rows[0].Int(1) == 0) {
    return Conflict("the request with the idempotency key '" + std::string(key) +
                        "' is running, or ended with its process",
                    "look at what there is now before sending it again with a new key");
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

Status Idempotency::Reserve(std::string_view scope, std::string_view key,
                            std::string_view request_hash) {
  return Put(scope, key, request_hash, {.status = 0, .body = ""});
}

Status Idempotency::Finish(std::string_view scope, std::string_view key,
                           const StoredResponse& response) {
  RETURN_IF_ERROR(database_.Execute(
      "UPDATE idempotency SET status = ?, body = ? WHERE scope = ? AND key = ? AND status = 0",
      {int64_t{response.status}, response.body, SqlText(scope), SqlText(key)}));
  return {};
}

Status Idempotency::Release(std::string_view scope, std::string_view key) {
  RETURN_IF_ERROR(
      database_.Execute("DELETE FROM idempotency WHERE scope = ? AND key = ? AND status = 0",
                        {SqlText(scope), SqlText(key)}));
  return {};
}

Result<int64_t> Idempotency::Expire(double max_age_seconds) {
  const int64_t before = NowMicros() - static_cast<int64_t>(max_age_seconds * 1e6);
  return database_.Execute("DELETE FROM idempotency WHERE at <= ?", {before});
}

}  // namespace slipway
