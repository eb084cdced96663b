#include "slipway/serve/admin_routes.h"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "slipway/base/text.h"
#include "slipway/serve/space_reserve.h"

namespace slipway {

Router MakeAdminRouter(NodeParts* parts) {
  Router router;
  AddServiceRoutes(parts, &router);
  AddGenerationRoutes(parts, &router);
  AddKeyRoutes(parts, &router);
  AddNodeRoutes(parts, &router);
  AddLogRoutes(parts, &router);
  return router;
}

Result<NodeState::Epoch> EpochOf(const Request& request) {
  const auto at = request.headers.find(std::string(kEpochHeader));
  if (at == request.headers.end() || at->second.empty()) return NodeState::Epoch();
  const std::optional<int64_t> epoch = ParseInt64(at->second);
  if (!epoch || *epoch < 0)
    return InvalidArgument("X-Slipway-Epoch is '" + at->second.substr(0, 100) + "'",
                           "it is a whole number, 0 or more");
  return epoch;
}

Response OkResponse(const Json& more) {
  Json json = {{"ok", true}};
  json.update(more);
  return JsonResponse(json);
}

Result<Json> BodyObject(const Request& request) {
  if (Trim(request.body).empty()) return Json(Json::object());
  ASSIGN_OR_RETURN(Json json, ParseJson(request.body));
  if (!json.is_object()) return InvalidArgument("the body is not a JSON object");
  return json;
}

Status CheckMembers(const Json& object, const std::vector<std::string>& names) {
  for (const auto& [name, value] : object.items()) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    std::string hint = DidYouMean(name, names);
    if (hint.empty()) hint = "the body may have " + QuotedList(names);
    return InvalidArgument("there is no '" + name.substr(0, 100) + "' in this body",
                           std::move(hint));
  }
  return {};
}

std::optional<int64_t> TimestampMillis(std::string_view text) {
  const std::string copy(text);
  std::tm time{};
  const char* end = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
  if (end == nullptr) return std::nullopt;
  int64_t millis = 0;
  if (*end == '.') {
    int64_t scale = 100;
    for (++end; *end >= '0' && *end <= '9'; ++end, scale /= 10) millis += (*end - '0') * scale;
  }
  if (std::strcmp(end, "Z") != 0 && *end != '\0') return std::nullopt;
  return static_cast<int64_t>(::timegm(&time)) * 1000 + millis;
}

int AdminStatus(const Error& error) {
  if (IsDiskFull(error)) return 507;
  if (error.code == ErrorCode::kCorruption) return 422;
  return ErrorStatus(error.code);
}

}  // namespace slipway
