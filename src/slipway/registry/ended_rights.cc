#include "slipway/registry/ended_rights.h"

#include <string>

#include "slipway/base/clock.h"
#include "slipway/base/json.h"
#include "slipway/registry/audit.h"

namespace slipway {
namespace {

constexpr std::string_view kProjectScope = "project:";

}  // namespace

Status EndRights(Database& database, std::string_view scope, std::string_view who) {
  const bool is_project = scope.starts_with(kProjectScope);
  const std::string name(scope.substr(scope.find(':') + 1));
  // Nothing has a name below a service's or an infrastructure's.
  const std::string below = (is_project ? "service:" + name : std::string(scope)) + "/";
  const std::string condition =
      "(scope = ? OR substr(scope, 1, " + std::to_string(below.size()) + ") = ?)";
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database));
  ASSIGN_OR_RETURN(const auto grants,
                   database.Query("SELECT account, role, scope FROM grants WHERE " + condition +
                                      " ORDER BY account, scope, role",
                                  {SqlText(scope), below}));
  ASSIGN_OR_RETURN(const auto keys,
                   database.Query("SELECT id, scope FROM api_keys WHERE " + condition +
                                      " AND revoked_at = '' ORDER BY id",
                                  {SqlText(scope), below}));
  if (grants.empty() && keys.empty()) return {};
  RETURN_IF_ERROR(
      database.Execute("DELETE FROM grants WHERE " + condition, {SqlText(scope), below}));
  RETURN_IF_ERROR(database.Execute(
      "UPDATE api_keys SET revoked_at = ? WHERE " + condition + " AND revoked_at = ''",
      {NowText(), SqlText(scope), below}));
  Json ended = {{"grants", Json::array()}, {"revoked_keys", Json::array()}};
  for (const SqlRow& row : grants)
    ended["grants"].push_back(
        {{"account", row.Text(0)}, {"role", row.Text(1)}, {"scope", row.Text(2)}});
  for (const SqlRow& row : keys)
    ended["revoked_keys"].push_back({{"id", row.Text(0)}, {"scope", row.Text(1)}});
  AuditRecord record;
  record.who = who;
  record.how = "with " + std::string(scope);
  record.action = "rights ended";
  if (!scope.starts_with("infra:")) record.project = name.substr(0, name.find('/'));
  record.path = scope;
  record.before_json = DumpJson(ended);
  record.after_json = "null";
  RETURN_IF_ERROR(Audit(database).Append(record));
  return transaction.Commit();
}

Status EndRightsOfMissingServices(Database& database, std::string_view project,
                                  std::string_view old_definition, std::string_view new_definition,
                                  std::string_view who) {
  const auto before = ParseJson(old_definition), after = ParseJson(new_definition);
  if (!before.ok() || !after.ok()) return {};  // nothing that a service could be read from
  const Json* old_services = FindMember(*before, "services");
  const Json* new_services = FindMember(*after, "services");
  if (old_services == nullptr || !old_services->is_object()) return {};
  for (const auto& [service, definition] : old_services->items()) {
    if (new_services != nullptr && new_services->contains(service)) continue;
    RETURN_IF_ERROR(EndRights(database, "service:" + std::string(project) + "/" + service, who));
  }
  return {};
}

}  // namespace slipway
