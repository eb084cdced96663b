// The admin API's lines in the node's log: who asked for what, from where, and what came of it.
// Thread-safe. No line holds a key.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "slipway/http/router.h"
#include "slipway/http/server.h"
#include "slipway/serve/node_state.h"

namespace slipway {

// What a change is about, in words for the log: "v1=0.9 v2=0.1" of a mapping, the settings that
// differ, the generation that came in or was switched to. Made before the change, so that it knows
// what was; empty when the path says it all.
class AdminChange {
 public:
  AdminChange(const NodeState& state, const Request& request);
  // With what only the answer says.
  std::string Text(const Response& response) const;

 private:
  std::string asked_;
};

struct AdminOutcome {
  std::string who;  // "admin", "key:ID" of a scoring key, "?"
  std::string path;
  int status = 0;
  std::string error, change, request_id;
  std::optional<double> milliseconds;
};
// The path for a log: what follows /admin/api/keys/ may be a key.
std::string LoggedPath(std::string_view path);
// Of a body that the server itself refused (no space to store it, too large).
void LogAdminRefusal(const HttpRequest& head, int status, std::string_view reason,
                     std::string_view request_id);
void LogAdmin(const HttpRequest& request, const AdminOutcome& outcome);

}  // namespace slipway
