#include "slipway/hub/principal.h"

#include <utility>

namespace slipway {
namespace {

// Whether a right on `scope` holds for the resource. What is about the whole instance asks for "*".
bool Covers(const std::string& scope, const Resource& resource) {
  if (scope == "*") return true;
  if (resource.kind.empty() || resource.name.empty()) return false;
  if (scope == resource.kind + ":" + resource.name) return true;
  // A service is a part of its project.
  return resource.kind == "service" &&
         scope == "project:" + resource.name.substr(0, resource.name.find('/'));
}

// Every role can read; writing and deploying are two things; an administrator does all.
bool Gives(const std::string& role, std::string_view permission) {
  return role == "admin" || role == permission || permission == "read";
}

bool Grants(const Grant& grant, std::string_view permission, const Resource& resource) {
  return Gives(grant.role, permission) && Covers(grant.scope, resource);
}

}  // namespace

Principal LocalPrincipal(std::string name) {
  Principal principal;
  principal.kind = Principal::Kind::kLocal;
  principal.name = std::move(name);
  principal.how = "local";
  principal.admin = true;
  return principal;
}

Principal AccountPrincipal(const AccountRecord& account, std::string how) {
  Principal principal;
  principal.kind = Principal::Kind::kAccount;
  principal.name = account.name;
  principal.how = std::move(how);
  principal.admin = account.admin;
  principal.grants = account.grants;
  principal.has_account = true;
  return principal;
}

Principal KeyPrincipal(const ApiKeyRecord& key, const AccountRecord* account) {
  Principal principal;
  if (account != nullptr) {
    principal = AccountPrincipal(*account, "key " + key.id);
  } else {
    principal.kind = Principal::Kind::kAccount;
    principal.name = key.id;
    principal.how = "key " + key.id;
    principal.admin = true;
  }
  principal.key = key.id;
  principal.limit = key.limit;
  return principal;
}

bool May(const Principal& principal, std::string_view permission, const Resource& resource) {
  if (principal.kind == Principal::Kind::kAnonymous) return false;
  if (permission != "read" && permission != "write" && permission != "deploy" &&
      permission != "admin") {
    return false;
  }
  if (principal.limit && !Grants(*principal.limit, permission, resource)) return false;
  if (principal.admin) return true;
  if (permission == "read" && principal.has_account && principal.name == resource.owner)
    return true;
  for (const Grant& grant : principal.grants) {
    if (Grants(grant, permission, resource)) return true;
  }
  return false;
}

bool IsLimitedKey(const Principal& principal) {
  return principal.limit && *principal.limit != Grant{"admin", "*"};
}

const std::string& PermissionFor(const Route& route, const Resource& resource) {
  return route.permission == "read" || resource.takes.empty() ? route.permission : resource.takes;
}

Access Authorize(const Route& route, const Resource& resource, const Principal& principal) {
  if (route.permission == "public") return Access::kAllowed;
  if (principal.kind == Principal::Kind::kAnonymous) return Access::kUnauthenticated;
  if (route.permission == "signed_in") return Access::kAllowed;
  if (route.details.filtered && route.permission == "read" && resource.kind.empty())
    return Access::kAllowed;
  if (May(principal, PermissionFor(route, resource), resource)) return Access::kAllowed;
  if (resource.kind.empty() || May(principal, "read", resource)) return Access::kForbidden;
  return Access::kHidden;
}

bool MaySee(const Request& request, const Resource& resource) {
  return request.principal == nullptr || May(*request.principal, "read", resource);
}

Resource ResourceOfScope(std::string_view scope) {
  const size_t colon = scope.find(':');
  if (colon == std::string_view::npos) return {};
  return {std::string(scope.substr(0, colon)), std::string(scope.substr(colon + 1))};
}

Resource ResourceOfJob(std::string_view scope, std::string_view who) {
  Resource resource = ResourceOfScope(scope);
  resource.owner = who;
  resource.takes = resource.kind == "infra" ? "deploy" : "write";
  return resource;
}

Result<Resource> ResourceOf(const Route& route, const Request& request) {
  if (route.details.resource) return route.details.resource(request);
  const auto param = [&](const char* name) {
    const auto found = request.params.find(name);
    return found == request.params.end() ? std::string() : found->second;
  };
  if (const std::string project = param("project"); !project.empty()) {
    const std::string service = param("service");
    if (service.empty()) return Resource{"project", project};
    return Resource{"service", project + "/" + service};
  }
  if (const std::string infra = param("infra"); !infra.empty()) return Resource{"infra", infra};
  return Resource{};
}

}  // namespace slipway
