// Who calls, and what they may do: decided in one pure function. Values; thread-safe as such.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/http/router.h"
#include "slipway/registry/accounts.h"
#include "slipway/registry/api_keys.h"

namespace slipway {

struct Principal {
  enum class Kind { kAnonymous, kAccount, kLocal };
  Kind kind = Kind::kAnonymous;
  std::string name;            // what is recorded as `who`
  std::string how;             // "session", "key key-abc", "local"
  bool admin = false;          // every right on the instance
  std::vector<Grant> grants;   // of the account
  std::optional<Grant> limit;  // of an API key: no more than this
  bool has_account = false;    // `name` is one of the accounts
  std::string session;         // the session's token, for signing out
  std::string key;             // the API key's id
  std::string refused;         // of somebody unknown: why what they showed opens nothing
};

// Whoever can read the home's hub.token: as the operating system's user in process.
Principal LocalPrincipal(std::string name);
Principal AccountPrincipal(const AccountRecord& account, std::string how);
// A key of an account, or (account nullptr) one made on the hub's machine.
Principal KeyPrincipal(const ApiKeyRecord& key, const AccountRecord* account);

enum class Access {
  kAllowed,
  kUnauthenticated,  // 401
  kForbidden,        // 403
  kHidden            // 404: not even that it exists is told
};

// The only place that decides. What no rule allows is refused.
Access Authorize(const Route& route, const Resource& resource, const Principal& principal);
// One right on one resource; the rule that Authorize rests on.
bool May(const Principal& principal, std::string_view permission, const Resource& resource);
// For lists: nullptr is a call in process, with every right.
bool MaySee(const Request& request, const Resource& resource);

// The right that a request takes.
const std::string& PermissionFor(const Route& route, const Resource& resource);
// "infra:production"; "*": the whole instance.
Resource ResourceOfScope(std::string_view scope);
// Of a job on `scope`: whoever started it may read it; to abort it takes what starts such jobs.
Resource ResourceOfJob(std::string_view scope, std::string_view who);

// A key that may less than its account.
bool IsLimitedKey(const Principal& principal);

// What the request is about: the route's own word, else the path's {project}, {service}, {infra}.
Result<Resource> ResourceOf(const Route& route, const Request& request);

}  // namespace slipway
