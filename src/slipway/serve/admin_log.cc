#include "slipway/serve/admin_log.h"

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/serve/admin_routes.h"
#include "slipway/serve/log.h"

namespace slipway {
namespace {

constexpr size_t kMaxText = 1000;

void AddWord(std::string_view name, const Json& value, std::string* out) {
  if (!out->empty()) out->push_back(' ');
  out->append(name).append("=");
  out->append(value.is_string()         ? value.get<std::string>()
              : value.is_number_float() ? FormatDouble(value.get<double>())
                                        : DumpJson(value));
}

std::string MappingWords(const Request& request) {
  std::string out;
  const Result<std::vector<MappingEntry>> mapping = MappingFromBody(request);
  if (!mapping.ok()) return out;
  for (const MappingEntry& entry : *mapping) AddWord(entry.generation, entry.probability, &out);
  return out;
}

// The settings that differ from what they are.
std::string SettingsWords(const NodeState& state, const std::string& service,
                          const Request& request) {
  std::string out;
  const Result<ServiceInfo> found = state.Service(service);
  const Result<Json> body = BodyObject(request);
  if (!found.ok() || !body.ok()) return out;
  const Result<ServiceSettings> wanted = ServiceSettingsFromJson(*body);
  if (!wanted.ok()) return out;
  const Json before = ServiceSettingsToJson(found->settings);
  const Json after = ServiceSettingsToJson(*wanted);
  for (const auto& [key, value] : after.items()) {
    const auto was = before.find(key);
    if (was == before.end() || *was != value) AddWord(key, value, &out);
  }
  return out.empty() ? "nothing" : out;
}

}  // namespace

std::string LoggedPath(std::string_view path) {
  constexpr std::string_view kKeys = "/admin/api/keys/";
  if (path.starts_with(kKeys)) return "/admin/api/keys/*";
  return std::string(path.substr(0, 500));
}

AdminChange::AdminChange(const NodeState& state, const Request& request) {
  constexpr std::string_view kServices = "/admin/api/services/", kSettings = "/settings";
  const std::string& path = request.path;
  if (request.method == "POST" && path.ends_with("/actions/setMapping")) {
    asked_ = MappingWords(request);
  } else if (request.method == "PUT" && path.starts_with(kServices) && path.ends_with(kSettings) &&
             path.size() > kServices.size() + kSettings.size()) {
    asked_ = SettingsWords(
        state, path.substr(kServices.size(), path.size() - kServices.size() - kSettings.size()),
        request);
  }
}

std::string AdminChange::Text(const Response& response) const {
  std::string out = asked_;
  if (response.status < 400 && response.body.size() < (1 << 16)) {
    const Result<Json> answer = ParseJson(response.body);
    for (const char* name : {"serviceId", "generation", "import", "id", "label", "removed"}) {
      if (!answer.ok() || !answer->is_object()) break;
      const Json* value = FindMember(*answer, name);
      if (value != nullptr && *value != "") AddWord(name, *value, &out);
    }
  }
  if (out.size() > kMaxText) {
    out.resize(kMaxText);
    out += "...";
  }
  return out;
}

void LogAdmin(const HttpRequest& request, const AdminOutcome& outcome) {
  const auto level = outcome.status >= 500   ? LogLevel::kError
                     : outcome.status >= 400 ? LogLevel::kWarning
                                             : LogLevel::kInfo;
  Log(level, "admin",
      {{"who", outcome.who},
       {"remote", request.remote},
       {"method", request.method},
       {"path", LoggedPath(outcome.path)},
       {"status", outcome.status},
       {"change", outcome.change},
       {"error", outcome.error},
       {"milliseconds", outcome.milliseconds.value_or(0)},
       {"request_id", outcome.request_id}});
}

void LogAdminRefusal(const HttpRequest& head, int status, std::string_view reason,
                     std::string_view request_id) {
  AdminOutcome outcome;
  outcome.who = "admin";  // the body of nobody else is read
  outcome.path = head.path;
  outcome.status = status;
  outcome.error = reason;
  outcome.request_id = request_id;
  LogAdmin(head, outcome);
}

}  // namespace slipway
