#include "slipway/registry/accounts.h"

#include "slipway/base/clock.h"
#include "slipway/base/hash.h"
#include "slipway/base/names.h"
#include "slipway/base/secret.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

int64_t In(double seconds) { return NowMicros() + static_cast<int64_t>(seconds * 1e6); }

}  // namespace

Status CheckRole(std::string_view role) {
  if (role == "read" || role == "write" || role == "deploy" || role == "admin") return {};
  return InvalidArgument("'" + std::string(role.substr(0, 60)) + "' is no role",
                         "read, write, deploy or admin");
}

Status CheckScope(std::string_view scope) {
  if (scope == "*") return {};
  const size_t colon = scope.find(':');
  const std::string_view kind = scope.substr(0, colon);
  const std::string_view name =
      colon == std::string_view::npos ? std::string_view() : scope.substr(colon + 1);
  bool fine = (kind == "project" || kind == "infra") && IsValidName(name);
  if (kind == "service") {
    const size_t slash = name.find('/');
    fine = slash != std::string_view::npos && IsValidName(name.substr(0, slash)) &&
           IsValidName(name.substr(slash + 1));
  }
  if (fine) return {};
  return InvalidArgument("'" + std::string(scope.substr(0, 100)) + "' is no scope",
                         "*, project:NAME, service:PROJECT/NAME or infra:NAME");
}

Result<Grant> ParseGrant(std::string_view text) {
  const size_t at = text.find('@');
  Grant grant{std::string(text.substr(0, at)),
              at == std::string_view::npos ? "*" : std::string(text.substr(at + 1))};
  RETURN_IF_ERROR(CheckRole(grant.role));
  RETURN_IF_ERROR(CheckScope(grant.scope));
  return grant;
}

Result<std::vector<AccountRecord>> Accounts::Select(std::string_view where,
                                                    std::vector<SqlValue> values) const {
  ASSIGN_OR_RETURN(
      auto rows,
      database_.Query("SELECT name, admin, disabled, CASE WHEN password = '' THEN 0 ELSE 1 END, "
                      "created_at, "
                      "created_by FROM accounts " +
                          std::string(where) + " ORDER BY name",
                      std::move(values)));
  std::vector<AccountRecord> out;
  for (const SqlRow& row : rows) {
    AccountRecord account;
    account.name = row.Text(0);
    account.admin = row.Int(1) != 0;
    account.disabled = row.Int(2) != 0;
    account.has_password = row.Int(3) != 0;
    account.created_at = row.Text(4);
    account.created_by = row.Text(5);
    ASSIGN_OR_RETURN(auto grants, database_.Query("SELECT role, scope FROM grants WHERE account = "
                                                  "? ORDER BY scope, role",
                                                  {account.name}));
    for (const SqlRow& grant : grants) account.grants.push_back({grant.Text(0), grant.Text(1)});
    out.push_back(std::move(account));
  }
  return out;
}

Result<std::vector<AccountRecord>> Accounts::List() const { return Select("", {}); }

Result<std::optional<AccountRecord>> Accounts::Find(std::string_view name) const {
  ASSIGN_OR_RETURN(auto found, Select("WHERE name = ?", {SqlText(name)}));
  if (found.empty()) return std::optional<AccountRecord>();
  return std::optional<AccountRecord>(std::move(found[0]));
}

Result<AccountRecord> Accounts::Get(std::string_view name) const {
  ASSIGN_OR_RETURN(auto found, Find(name));
  if (found) return *std::move(found);
  ASSIGN_OR_RETURN(auto rows, database_.Query("SELECT name FROM accounts"));
  std::vector<std::string> names;
  for (const SqlRow& row : rows) names.push_back(row.Text(0));
  return NotFound("there is no account '" + std::string(name.substr(0, 128)) + "'",
                  DidYouMean(name, names));
}

Result<int64_t> Accounts::Count() const {
  ASSIGN_OR_RETURN(auto rows, database_.Query("SELECT count(*) FROM accounts"));
  return rows[0].Int(0);
}

Status Accounts::Add(std::string_view name, std::string_view password_hash, bool admin,
                     std::string_view who) {
  if (!IsValidName(name)) {
    return InvalidArgument("'" + std::string(name.substr(0, 128)) + "' is not a valid account name",
                           NameRule(name));
  }
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(auto there, Find(name));
  if (there) return Conflict("there is an account '" + std::string(name) + "' already");
  RETURN_IF_ERROR(database_.Execute(
      "INSERT INTO accounts(name, password, admin, created_at, created_by) VALUES (?, ?, ?, ?, ?)",
      {SqlText(name), SqlText(password_hash), int64_t{admin}, NowText(), SqlText(who)}));
  return transaction.Commit();
}

Status Accounts::SetPassword(std::string_view name, std::string_view password_hash) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  RETURN_IF_ERROR(Get(name));
  RETURN_IF_ERROR(database_.Execute("UPDATE accounts SET password = ? WHERE name = ?",
                                    {SqlText(password_hash), SqlText(name)}));
  RETURN_IF_ERROR(database_.Execute("DELETE FROM sessions WHERE account = ?", {SqlText(name)}));
  return transaction.Commit();
}

// Whoever locks everybody out needs the machine to come back.
Status Accounts::CheckAnAdminIsLeft(std::string_view but_for) const {
  ASSIGN_OR_RETURN(auto rows, database_.Query("SELECT count(*) FROM accounts WHERE admin = 1 AND "
                                              "disabled = 0 AND name <> ?",
                                              {SqlText(but_for)}));
  if (rows[0].Int(0) > 0) return {};
  return Conflict("'" + std::string(but_for) + "' is the last administrator",
                  "make another one first: slipway user add NAME --admin");
}

Status Accounts::SetDisabled(std::string_view name, bool disabled) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const AccountRecord account, Get(name));
  if (disabled && account.admin) RETURN_IF_ERROR(CheckAnAdminIsLeft(name));
  RETURN_IF_ERROR(database_.Execute("UPDATE accounts SET disabled = ? WHERE name = ?",
                                    {int64_t{disabled}, SqlText(name)}));
  if (disabled)
    RETURN_IF_ERROR(database_.Execute("DELETE FROM sessions WHERE account = ?", {SqlText(name)}));
  return transaction.Commit();
}

Status Accounts::SetAdmin(std::string_view name, bool admin) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  RETURN_IF_ERROR(Get(name));
  if (!admin) RETURN_IF_ERROR(CheckAnAdminIsLeft(name));
  RETURN_IF_ERROR(database_.Execute("UPDATE accounts SET admin = ? WHERE name = ?",
                                    {int64_t{admin}, SqlText(name)}));
  return transaction.Commit();
}

Status Accounts::AddGrant(std::string_view name, const Grant& grant, std::string_view who) {
  RETURN_IF_ERROR(CheckRole(grant.role));
  RETURN_IF_ERROR(CheckScope(grant.scope));
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const AccountRecord account, Get(name));
  for (const Grant& there : account.grants) {
    if (there == grant) return {};
  }
  RETURN_IF_ERROR(database_.Execute(
      "INSERT INTO grants(account, scope, role, at, made_by) VALUES (?, ?, ?, ?, ?)",
      {SqlText(name), grant.scope, grant.role, NowText(), SqlText(who)}));
  return transaction.Commit();
}

Status Accounts::RemoveGrant(std::string_view name, const Grant& grant) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  RETURN_IF_ERROR(Get(name));
  ASSIGN_OR_RETURN(
      const int64_t removed,
      database_.Execute("DELETE FROM grants WHERE account = ? AND scope = ? AND role = ?",
                        {SqlText(name), grant.scope, grant.role}));
  if (removed == 0) {
    return NotFound("'" + std::string(name) + "' does not have the role " + grant.role + " on " +
                        (grant.scope == "*" ? "everything" : grant.scope),
                    "slipway user show " + std::string(name) + " lists what it has");
  }
  return transaction.Commit();
}

Result<std::string> Accounts::PasswordHash(std::string_view name) const {
  ASSIGN_OR_RETURN(auto rows,
                   database_.Query("SELECT password FROM accounts WHERE name = ? AND disabled = 0",
                                   {SqlText(name)}));
  return rows.empty() ? std::string() : rows[0].Text(0);
}

Result<std::string> Accounts::OpenSession(std::string_view name, double seconds) {
  const std::string token = NewToken("sws_");
  RETURN_IF_ERROR(database_.Execute(
      "INSERT INTO sessions(hash, account, created_at, expires_at) VALUES (?, ?, ?, ?)",
      {Sha256Hex(token), SqlText(name), NowMicros(), In(seconds)}));
  return token;
}

Result<std::optional<AccountRecord>> Accounts::FindSession(std::string_view token) const {
  ASSIGN_OR_RETURN(auto rows,
                   database_.Query("SELECT account FROM sessions WHERE hash = ? AND expires_at > ?",
                                   {Sha256Hex(token), NowMicros()}));
  if (rows.empty()) return std::optional<AccountRecord>();
  ASSIGN_OR_RETURN(auto account, Find(rows[0].Text(0)));
  if (account && account->disabled) account.reset();
  return account;
}

Status Accounts::CloseSession(std::string_view token) {
  RETURN_IF_ERROR(database_.Execute("DELETE FROM sessions WHERE hash = ?", {Sha256Hex(token)}));
  return {};
}

Result<std::string> Accounts::Invite(double seconds) {
  const std::string token = NewToken("swi_");
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  RETURN_IF_ERROR(database_.Execute("DELETE FROM invitations"));
  RETURN_IF_ERROR(
      database_.Execute("INSERT INTO invitations(hash, created_at, expires_at) VALUES (?, ?, ?)",
                        {Sha256Hex(token), NowMicros(), In(seconds)}));
  RETURN_IF_ERROR(transaction.Commit());
  return token;
}

Status Accounts::AcceptInvitation(std::string_view token, std::string_view name,
                                  std::string_view password_hash) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const int64_t used,
                   database_.Execute("DELETE FROM invitations WHERE hash = ? AND expires_at > ?",
                                     {Sha256Hex(token), NowMicros()}));
  ASSIGN_OR_RETURN(const int64_t accounts, Count());
  if (used == 0 || accounts > 0) {
    return PermissionDenied("this link is used up, has expired, or never was one",
                            "the hub prints a new one when it starts without accounts; or: slipway "
                            "user add NAME --admin");
  }
  RETURN_IF_ERROR(Add(name, password_hash, true, "first link"));
  return transaction.Commit();
}

Status Accounts::Expire() {
  RETURN_IF_ERROR(database_.Execute("DELETE FROM sessions WHERE expires_at <= ?", {NowMicros()}));
  RETURN_IF_ERROR(
      database_.Execute("DELETE FROM invitations WHERE expires_at <= ?", {NowMicros()}));
  return {};
}

}  // namespace slipway
