// Accounts: people with a password and their roles; sessions of those who signed in; the one-time
// link on which the first administrator is made. Thread-safe as Database is. Passwords are argon2id
// hashes, tokens SHA-256 hashes: what is stored opens nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/store/database.h"

namespace slipway {

// A role on a scope: "*" (everything), "project:shop", "service:shop/prices", "infra:production".
struct Grant {
  std::string role;  // read | write | deploy | admin
  std::string scope = "*";
  bool operator==(const Grant&) const = default;
};
// "write" or "write@project:shop"; kInvalidArgument says what is wrong.
Result<Grant> ParseGrant(std::string_view text);
Status CheckRole(std::string_view role);
Status CheckScope(std::string_view scope);

struct AccountRecord {
  std::string name;
  bool admin = false;     // of the instance: every right
  bool disabled = false;  // nothing opens for it
  bool has_password = false;
  std::vector<Grant> grants;
  std::string created_at, created_by;
};

class Accounts {
 public:
  explicit Accounts(Database& database) : database_(database) {}

  Result<std::vector<AccountRecord>> List() const;  // by name
  // kNotFound with a suggestion.
  Result<AccountRecord> Get(std::string_view name) const;
  Result<std::optional<AccountRecord>> Find(std::string_view name) const;
  Result<int64_t> Count() const;
  // `password_hash`: of HashPassword; "": nobody can sign in with a password yet.
  Status Add(std::string_view name, std::string_view password_hash, bool admin,
             std::string_view who);
  // Also ends the account's sessions.
  Status SetPassword(std::string_view name, std::string_view password_hash);
  // Disabling ends its sessions; its keys open nothing meanwhile. The last administrator stays.
  Status SetDisabled(std::string_view name, bool disabled);
  Status SetAdmin(std::string_view name, bool admin);
  Status AddGrant(std::string_view name, const Grant& grant, std::string_view who);
  Status RemoveGrant(std::string_view name, const Grant& grant);

  // The stored hash; "" for no account, a disabled one, or one without a password. The caller
  // compares: hashing takes long and must hold no database.
  Result<std::string> PasswordHash(std::string_view name) const;

  // Gives the token, which is stored as a hash only.
  Result<std::string> OpenSession(std::string_view name, double seconds);
  Result<std::optional<AccountRecord>> FindSession(std::string_view token) const;
  Status CloseSession(std::string_view token);

  // A new one-time token; earlier ones end.
  Result<std::string> Invite(double seconds);
  // Makes the first administrator; the token is used up in the same transaction. kPermissionDenied
  // when it is not (or no longer) one, or when there is an account already.
  Status AcceptInvitation(std::string_view token, std::string_view name,
                          std::string_view password_hash);
  // Forgets sessions and links that have expired.
  Status Expire();

 private:
  Result<std::vector<AccountRecord>> Select(std::string_view where,
                                            std::vector<SqlValue> values) const;
  Status CheckAnAdminIsLeft(std::string_view but_for) const;

  Database& database_;
};

}  // namespace slipway
