// The nodes of an infrastructure, replaced as a whole.
#include <map>
#include <set>

#include "slipway/registry/infras.h"

namespace slipway {

Result<InfraRecord> Infras::SetNodes(std::string_view name, const std::vector<NodeChange>& nodes) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const InfraRecord infra, Get(name));
  if (infra.type != "static")
    return InvalidArgument("the nodes of '" + infra.name + "' are started by Slipway",
                           "nodes are given to infrastructures of type static");
  if (nodes.empty()) {
    ASSIGN_OR_RETURN(const auto on,
                     database_.Query("SELECT name FROM deployments WHERE infra = ?", {infra.name}));
    if (!on.empty())
      return Conflict(
          "deployment '" + on[0].Text(0) + "' is on '" + infra.name + "', which would have no node",
          "leave it one, or delete the deployment first");
  }
  ASSIGN_OR_RETURN(const std::vector<InfraRecord> all, List());
  std::map<std::string, std::optional<int64_t>> stored;
  for (const InfraNode& node : infra.nodes) stored[node.url] = node.key_secret;
  RETURN_IF_ERROR(database_.Execute("DELETE FROM infra_nodes WHERE infra = ?", {infra.name}));
  int64_t position = 0;
  std::set<std::string> urls;
  for (const NodeChange& node : nodes) {
    if (!urls.insert(node.url).second) return Conflict("node " + node.url + " is named twice");
    for (const InfraRecord& other : all) {
      for (const InfraNode& theirs : other.nodes) {
        if (other.name != infra.name && theirs.url == node.url)
          return Conflict("node " + node.url + " belongs to infrastructure '" + other.name + "'",
                          "a node is in one infrastructure only");
      }
    }
    // A key stays with the URL that it was given for, and goes to no other.
    std::optional<int64_t> secret;
    if (const auto known = stored.find(node.url); !node.key && known != stored.end()) {
      std::swap(secret, known->second);
    } else if (node.key && !node.key->empty()) {
      ASSIGN_OR_RETURN(secret, secrets_.Put(*node.key));
    }
    RETURN_IF_ERROR(database_.Execute(
        "INSERT INTO infra_nodes(infra, position, url, key_secret) VALUES (?, ?, ?, ?)",
        {infra.name, ++position, node.url, secret ? SqlValue(*secret) : SqlValue()}));
  }
  for (const auto& [url, secret] : stored) {
    if (secret) RETURN_IF_ERROR(secrets_.Delete(*secret));
  }
  ASSIGN_OR_RETURN(InfraRecord record, Get(name));
  RETURN_IF_ERROR(transaction.Commit());
  return record;
}

}  // namespace slipway
