// Accounts, rights and API keys.
#include "slipway/base/clock.h"
#include "slipway/base/json.h"
#include "slipway/base/secret.h"
#include "slipway/base/text.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/route_helpers.h"

namespace slipway {
namespace {

const std::string kUser = "/api/v1/users/{user}";

Json GrantToJson(const Grant& grant) { return {{"role", grant.role}, {"scope", grant.scope}}; }

Json AccountToJson(const AccountRecord& account) {
  Json grants = Json::array();
  for (const Grant& grant : account.grants) grants.push_back(GrantToJson(grant));
  return {{"name", account.name},
          {"admin", account.admin},
          {"disabled", account.disabled},
          {"has_password", account.has_password},
          {"grants", std::move(grants)},
          {"created_at", account.created_at},
          {"created_by", account.created_by}};
}

// An administrator of one project learns of no right elsewhere.
Json AccountFor(const Request& request, AccountRecord account) {
  std::erase_if(account.grants,
                [&](const Grant& grant) { return !MaySee(request, ResourceOfScope(grant.scope)); });
  return AccountToJson(account);
}

Json KeyToJson(const ApiKeyRecord& key) {
  return {{"id", key.id},
          {"label", key.label},
          {"account", key.account.empty() ? Json() : Json(key.account)},
          {"role", key.limit.role},
          {"scope", key.limit.scope},
          {"created_at", key.created_at},
          {"created_by", key.created_by},
          {"expires_at", key.expires_at ? Json(FormatTimestamp(*key.expires_at)) : Json()},
          {"state", key.revoked   ? "revoked"
                    : key.expired ? "expired"
                                  : "valid"}};
}

bool IsInstanceAdmin(const Request& request) {
  return request.principal == nullptr || May(*request.principal, "admin", Resource{});
}

Status FindScope(Registry& registry, const Resource& resource) {
  if (resource.kind == "infra") {
    RETURN_IF_ERROR(registry.infras().Get(resource.name));
    return {};
  }
  const size_t slash = resource.name.find('/');
  const std::string project = resource.name.substr(0, slash);
  ASSIGN_OR_RETURN(const StoredProject stored, LoadStoredProject(registry, project));
  if (slash == std::string::npos) return {};
  const std::string service = resource.name.substr(slash + 1);
  if (stored.definition.services.contains(service)) return {};
  ASSIGN_OR_RETURN(const auto packages, registry.packages().List(project, service));
  const auto published = registry.published().Get(service);
  if (!packages.empty() || (published.ok() && published->project == project)) return {};
  return NotFound("there is no service '" + resource.name + "'");
}

// A right on what is not there is a slip of the pen, unless it is the right to make it: gives what
// to warn of then, or "". What is hidden is answered as if absent.
Result<std::string> CheckScopeIsThere(Hub& hub, const Request& request, const Grant& grant) {
  RETURN_IF_ERROR(CheckRole(grant.role));
  RETURN_IF_ERROR(CheckScope(grant.scope));
  const Resource resource = ResourceOfScope(grant.scope);
  if (resource.kind.empty()) return std::string();
  const Status found = FindScope(hub.registry(), resource);
  if (!found.ok() && found.error().code != ErrorCode::kNotFound) return found.error();
  if (found.ok() && MaySee(request, resource)) return std::string();
  const std::string absent = "there is no " + resource.kind + " '" + resource.name + "'";
  if (resource.kind != "infra" && (grant.role == "write" || grant.role == "admin"))
    return absent + " yet";
  if (!found.ok() && MaySee(request, {})) return found.error();
  return NotFound(absent + ", or you have no right to see it");
}

Json WithWarnings(Json json, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) {
    if (!warning.empty()) json["warnings"].push_back(warning);
  }
  return json;
}

Result<Response> ListUsers(Hub& hub, const Request&) {
  ASSIGN_OR_RETURN(const auto accounts, hub.registry().accounts().List());
  Json out = Json::array();
  for (const AccountRecord& account : accounts) out.push_back(AccountToJson(account));
  return JsonResponse(out);
}

Result<Response> ShowUser(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const auto account, hub.registry().accounts().Get(request.params.at("user")));
  return JsonResponse(AccountFor(request, account));
}

Result<Response> AddUser(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"name", "password", "admin", "grants"}));
  ASSIGN_OR_RETURN(const std::string name, GetString(body, "name"));
  std::vector<Grant> grants;
  std::vector<std::string> warnings;
  if (body.contains("grants")) {
    ASSIGN_OR_RETURN(const std::vector<std::string> texts, GetStrings(body, "grants"));
    for (const std::string& text : texts) {
      ASSIGN_OR_RETURN(Grant grant, ParseGrant(text));
      ASSIGN_OR_RETURN(std::string warning, CheckScopeIsThere(hub, request, grant));
      warnings.push_back(std::move(warning));
      grants.push_back(std::move(grant));
    }
  }
  std::string hash;
  if (body.contains("password")) {
    ASSIGN_OR_RETURN(hash, HashPassword(BodyText(body, "password")));
  }
  ASSIGN_OR_RETURN(Transaction transaction, hub.registry().Begin());
  Accounts& accounts = hub.registry().accounts();
  RETURN_IF_ERROR(accounts.Add(name, hash, BodyFlag(body, "admin"), request.who));
  for (const Grant& grant : grants) RETURN_IF_ERROR(accounts.AddGrant(name, grant, request.who));
  ASSIGN_OR_RETURN(const auto account, accounts.Get(name));
  RETURN_IF_ERROR(transaction.Commit());
  return JsonResponse(WithWarnings(AccountToJson(account), warnings), 201);
}

Result<Response> ChangeUser(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"disabled", "admin"}));
  const std::string& name = request.params.at("user");
  Accounts& accounts = hub.registry().accounts();
  RETURN_IF_ERROR(accounts.Get(name));
  if (body.contains("disabled"))
    RETURN_IF_ERROR(accounts.SetDisabled(name, BodyFlag(body, "disabled")));
  if (body.contains("admin")) RETURN_IF_ERROR(accounts.SetAdmin(name, BodyFlag(body, "admin")));
  return ShowUser(hub, request);
}

Result<Response> SetPassword(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"password"}));
  RETURN_IF_ERROR(hub.registry().accounts().Get(request.params.at("user")));
  ASSIGN_OR_RETURN(const std::string hash, HashPassword(BodyText(body, "password")));
  RETURN_IF_ERROR(hub.registry().accounts().SetPassword(request.params.at("user"), hash));
  return ShowUser(hub, request);
}

Grant GrantOf(const Json& body) { return {BodyText(body, "role"), BodyText(body, "scope", "*")}; }

// Granting and taking away a role takes the right "admin" on its scope.
Result<Resource> ScopeResource(const std::string& scope) {
  RETURN_IF_ERROR(CheckScope(scope));
  return ResourceOfScope(scope);
}

Result<Resource> ScopeOfRequest(const Request& request) {
  if (request.method == "DELETE") {
    const auto scope = request.query.find("scope");
    return ScopeResource(scope == request.query.end() ? "*" : scope->second);
  }
  ASSIGN_OR_RETURN(const Json body, ParseJson(request.body.empty() ? "{}" : request.body));
  if (!body.is_object()) return InvalidArgument("the request's body must be a JSON object");
  return ScopeResource(BodyText(body, "scope", "*"));
}

Result<Response> AddGrant(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"role", "scope"}));
  const std::string& name = request.params.at("user");
  ASSIGN_OR_RETURN(const std::string warning, CheckScopeIsThere(hub, request, GrantOf(body)));
  RETURN_IF_ERROR(hub.registry().accounts().AddGrant(name, GrantOf(body), request.who));
  ASSIGN_OR_RETURN(const auto account, hub.registry().accounts().Get(name));
  return JsonResponse(WithWarnings(AccountFor(request, account), {warning}));
}

Result<Response> RemoveGrant(Hub& hub, const Request& request) {
  const auto get = [&](const char* key, const char* fallback) {
    const auto found = request.query.find(key);
    return found == request.query.end() ? std::string(fallback) : found->second;
  };
  RETURN_IF_ERROR(hub.registry().accounts().RemoveGrant(request.params.at("user"),
                                                        {get("role", ""), get("scope", "*")}));
  return ShowUser(hub, request);
}

Result<Response> ListKeys(Hub& hub, const Request& request) {
  std::string account;
  if (request.principal != nullptr && IsLimitedKey(*request.principal)) {
    ASSIGN_OR_RETURN(const ApiKeyRecord own, hub.registry().keys().Get(request.principal->key));
    return JsonResponse(Json::array({KeyToJson(own)}));
  }
  if (!IsInstanceAdmin(request)) {
    if (!request.principal->has_account) return JsonResponse(Json::array());
    account = request.principal->name;
  }
  ASSIGN_OR_RETURN(const auto keys, hub.registry().keys().List(account));
  Json out = Json::array();
  for (const ApiKeyRecord& key : keys) out.push_back(KeyToJson(key));
  return JsonResponse(out);
}

Result<Response> AddKey(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body,
                   ParseBody(request, {"label", "role", "scope", "account", "expires_in_seconds"}));
  NewApiKey key;
  key.label = BodyText(body, "label");
  key.limit = {BodyText(body, "role", "admin"), BodyText(body, "scope", "*")};
  ASSIGN_OR_RETURN(const std::string warning, CheckScopeIsThere(hub, request, key.limit));
  key.who = request.who;
  key.account = BodyText(body, "account");
  if (request.principal != nullptr && IsLimitedKey(*request.principal)) {
    return PermissionDenied("a limited API key makes no further keys");
  }
  if (!IsInstanceAdmin(request) && !key.account.empty() && key.account != request.principal->name)
    return PermissionDenied("only an administrator makes keys for others");
  // Without an account, a key of the machine's own people acts as an administrator within its role.
  if (key.account.empty() && request.principal != nullptr && request.principal->has_account)
    key.account = request.principal->name;
  if (!key.account.empty()) RETURN_IF_ERROR(hub.registry().accounts().Get(key.account));
  if (body.contains("expires_in_seconds")) {
    ASSIGN_OR_RETURN(const int64_t seconds, GetInt(body, "expires_in_seconds"));
    key.seconds = static_cast<double>(seconds);
  }
  ASSIGN_OR_RETURN(const MadeApiKey made, hub.registry().keys().Add(key));
  ASSIGN_OR_RETURN(const ApiKeyRecord record, hub.registry().keys().Get(made.id));
  Json out = KeyToJson(record);
  out["key"] = made.key;
  return JsonResponse(WithWarnings(std::move(out), {warning}), 201);
}

Result<Response> RevokeKey(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(ApiKeyRecord key, hub.registry().keys().Get(request.params.at("key")));
  const bool own = request.principal != nullptr && key.id == request.principal->key;
  const bool accounts = IsInstanceAdmin(request) ||
                        (!IsLimitedKey(*request.principal) && request.principal->has_account &&
                         key.account == request.principal->name);
  if (!own && !accounts) {
    return NotFound("there is no key '" + key.id + "'", "slipway key ls lists yours");
  }
  RETURN_IF_ERROR(hub.registry().keys().Revoke(key.id));
  ASSIGN_OR_RETURN(key, hub.registry().keys().Get(key.id));
  return JsonResponse(KeyToJson(key));
}

}  // namespace

void AddPeopleRoutes(Hub& hub, Router* router) {
  const auto add = [&](const char* method, const std::string& pattern, const char* permission,
                       const char* summary, Result<Response> (*handler)(Hub&, const Request&),
                       RouteDetails details) {
    router->Add({method, pattern, permission, summary,
                 [&hub, handler](const Request& r) { return handler(hub, r); },
                 std::move(details)});
  };
  const auto state = [&hub](const Request& request) {
    const auto account = hub.registry().accounts().Find(request.params.at("user"));
    return account.ok() && *account ? AccountToJson(**account) : Json();
  };
  const RouteKey role{"role", "read|write|deploy|admin", true, "what may be done"};
  const RouteKey scope{
      "scope", "string", false, "*, project:NAME, service:PROJECT/NAME or infra:NAME",
      R"(^(\*|(project|infra):[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|)"
      R"(service:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})$)"};
  const RouteKey password{"password", "string", true, "10 to 1,024 bytes", "", 10, 1024};
  add("GET", "/api/v1/users", "admin", "accounts", ListUsers,
      {.query = NoKeys(), .paged = ListKey{"name"}});
  add("POST", "/api/v1/users", "admin", "makes an account", AddUser,
      {.body = Keys({{"name", "string", true, "letters, digits, '_', '-' and '.'", kNamePattern},
                     {"password", "string", false, "without: keys only", "", 10, 1024},
                     {"admin", "boolean", false, "every right on the instance"},
                     {"grants", "strings", false, "ROLE or ROLE@SCOPE"}}),
       .query = NoKeys(),
       .status = 201});
  add("GET", kUser, "admin", "one account with its roles", ShowUser,
      {.query = NoKeys(), .etag = true, .state = state});
  add("PATCH", kUser, "admin", "disables or enables an account; makes it an administrator",
      ChangeUser,
      {.body = Keys({{"disabled", "boolean"}, {"admin", "boolean"}}),
       .query = NoKeys(),
       .etag = true,
       .atomic = true,
       .state = state});
  add("PUT", kUser + "/password", "admin", "sets the password; ends the account's sessions",
      SetPassword, {.body = Keys({password}), .query = NoKeys(), .state = state});
  add("POST", kUser + "/grants", "admin", "grants a role on a scope", AddGrant,
      {.body = Keys({role, scope}),
       .query = NoKeys(),
       .etag = true,
       .atomic = true,
       .resource = ScopeOfRequest,
       .state = state});
  add("DELETE", kUser + "/grants", "admin", "takes a role away", RemoveGrant,
      {.query = Keys({role, scope}),
       .etag = true,
       .atomic = true,
       .resource = ScopeOfRequest,
       .state = state});
  add("GET", "/api/v1/keys", "signed_in", "your API keys; an administrator sees all", ListKeys,
      {.query = NoKeys(), .paged = ListKey{"id", ListOrder::kListed}});
  add("POST", "/api/v1/keys", "signed_in", "makes an API key; shown this once", AddKey,
      {.body = Keys({{"label", "string", true, "what it is for", "", 1, 200},
                     {"role", "read|write|deploy|admin", false, "no more than this"},
                     scope,
                     {"account", "string", false,
                      "whose it is (an administrator's choice); empty: one's own",
                      "^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"},
                     {"expires_in_seconds", "integer", false, "never, unless told", "", 1,
                      int64_t{10} * 366 * 86'400}}),
       .query = NoKeys(),
       .status = 201,
       .atomic = true,
       .secret = true});
  add("DELETE", "/api/v1/keys/{key}", "signed_in", "revokes an API key", RevokeKey,
      {.query = NoKeys(), .atomic = true});
}

}  // namespace slipway
