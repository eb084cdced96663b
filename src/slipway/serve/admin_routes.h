// The admin API's table of routes (docs/admin-api.md). Every route has the permission "admin":
// AdminApi checks the key before it looks at the table, so that none can be forgotten.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/http/router.h"
#include "slipway/serve/node.h"

namespace slipway {

// In Request::headers: the file that the body was spooled to. No client can send such a name.
inline constexpr std::string_view kAdminBodyFile = ":body_file";
inline constexpr std::string_view kEpochHeader = "x-slipway-epoch";

// `parts` must outlive the router.
Router MakeAdminRouter(NodeParts* parts);

// One family each, for MakeAdminRouter.
void AddServiceRoutes(NodeParts* parts, Router* router);
void AddGenerationRoutes(NodeParts* parts, Router* router);
void AddKeyRoutes(NodeParts* parts, Router* router);
void AddNodeRoutes(NodeParts* parts, Router* router);
void AddLogRoutes(NodeParts* parts, Router* router);

// Shared by them.
Result<NodeState::Epoch> EpochOf(const Request& request);
// Of setMapping's body.
Result<std::vector<MappingEntry>> MappingFromBody(const Request& request);
// What is known of a service's generations, in the order of import.
Json GenerationsToJson(const ServiceInfo& service);
// {"ok": true}, with more members.
Response OkResponse(const Json& more = Json::object());
// The body as an object; an empty body is an empty object. Content-Type is not looked at.
Result<Json> BodyObject(const Request& request);
// Refuses what is none of `names`: a member with a slip in its name must not be passed over.
Status CheckMembers(const Json& object, const std::vector<std::string>& names);
// Milliseconds since 1970 of "2026-11-22T22:40:42Z"; nullopt: no such text.
std::optional<int64_t> TimestampMillis(std::string_view text);

// The status of an error in the admin API: 507 for a full disk, 422 for a package or generation
// that is not what it claims to be, else ErrorStatus.
int AdminStatus(const Error& error);

}  // namespace slipway
