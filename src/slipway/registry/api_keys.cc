#include "slipway/registry/api_keys.h"

#include "slipway/base/clock.h"
#include "slipway/base/hash.h"
#include "slipway/base/secret.h"

namespace slipway {

Result<MadeApiKey> ApiKeys::Add(const NewApiKey& key) {
  if (key.label.empty() || key.label.size() > 200)
    return InvalidArgument("a key's label has 1 to 200 bytes", "say what the key is for");
  RETURN_IF_ERROR(CheckRole(key.limit.role));
  RETURN_IF_ERROR(CheckScope(key.limit.scope));
  MadeApiKey made{"key-" + RandomId().substr(0, 10), NewToken("swk_")};
  RETURN_IF_ERROR(database_.Execute(
      "INSERT INTO api_keys(id, hash, label, account, role, scope, created_at, created_by, "
      "expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      {made.id, Sha256Hex(made.key), key.label, SqlTextOrNull(key.account), key.limit.role,
       key.limit.scope, NowText(), key.who,
       key.seconds ? SqlValue(NowMicros() + static_cast<int64_t>(*key.seconds * 1e6))
                   : SqlValue()}));
  return made;
}

Result<std::vector<ApiKeyRecord>> ApiKeys::Select(std::string_view where,
                                                  std::vector<SqlValue> values) const {
  ASSIGN_OR_RETURN(auto rows,
                   database_.Query("SELECT id, label, account, role, scope, created_at, "
                                   "created_by, expires_at, revoked_at FROM api_keys " +
                                       std::string(where) + " ORDER BY created_at DESC, id",
                                   std::move(values)));
  std::vector<ApiKeyRecord> out;
  for (const SqlRow& row : rows) {
    ApiKeyRecord key;
    key.id = row.Text(0);
    key.label = row.Text(1);
    key.account = row.Text(2);
    key.limit = {row.Text(3), row.Text(4)};
    key.created_at = row.Text(5);
    key.created_by = row.Text(6);
    key.expires_at = row.OptionalInt(7);
    key.revoked = !row.Text(8).empty();
    key.expired = key.expires_at && *key.expires_at <= NowMicros();
    out.push_back(std::move(key));
  }
  return out;
}

Result<std::vector<ApiKeyRecord>> ApiKeys::List(std::string_view account) const {
  if (account.empty()) return Select("", {});
  return Select("WHERE account = ?", {SqlText(account)});
}

Result<ApiKeyRecord> ApiKeys::Get(std::string_view id) const {
  ASSIGN_OR_RETURN(auto found, Select("WHERE id = ?", {SqlText(id)}));
  if (!found.empty()) return std::move(found[0]);
  return NotFound("there is no key '" + std::string(id.substr(0, 60)) + "'",
                  "slipway key ls lists them");
}

Status ApiKeys::Revoke(std::string_view id) {
  RETURN_IF_ERROR(Get(id));
  RETURN_IF_ERROR(
      database_.Execute("UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at = ''",
                        {NowText(), SqlText(id)}));
  return {};
}

Result<std::optional<ApiKeyRecord>> ApiKeys::FindByKey(std::string_view key) const {
  ASSIGN_OR_RETURN(auto found, Select("WHERE hash = ?", {Sha256Hex(key)}));
  if (found.empty() || found[0].revoked || found[0].expired) return std::optional<ApiKeyRecord>();
  return std::optional<ApiKeyRecord>(std::move(found[0]));
}

}  // namespace slipway
