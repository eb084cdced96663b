#include "slipway/hub/audit_view.h"

#include <algorithm>

#include "slipway/base/clock.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/hub/principal.h"

namespace slipway {
namespace {

constexpr size_t kMostBytes = 64 << 10;  // of one side of one record
constexpr size_t kMostText = 4096;

bool NamesSecret(const std::string& key) {
  const std::string name = ToLower(key);
  for (const char* word : {"password", "secret", "token", "api_key", "apikey", "credential"}) {
    if (name.find(word) != std::string::npos) return true;
  }
  return name == "key";
}

// What is in `value` and not equal in `other`, down to the second level: enough to name an object.
Json Differing(const Json& value, const Json& other, int depth) {
  if (depth == 0 || !value.is_object() || !other.is_object()) return value;
  Json out = Json::object();
  for (const auto& [key, item] : value.items()) {
    const Json* there = FindMember(other, key);
    if (there == nullptr) {
      out[key] = item;
    } else if (*there != item) {
      out[key] = Differing(item, *there, depth - 1);
    }
  }
  return out;
}

std::string AuditedText(const Json& value) {
  std::string text = DumpJson(WithoutSecrets(value));
  if (text.size() <= kMostBytes) return text;
  return DumpJson({{"bytes", text.size()}, {"sha256", Sha256Hex(text)}});
}

Json Parsed(const std::string& text) {
  auto json = ParseJson(text);
  return json.ok() ? *std::move(json) : Json();
}

// One side of a record; of an account it has all roles, also those on what is not the caller's.
Json SideFor(const Request& caller, const std::string& text) {
  Json side = Parsed(text);
  const Json* all = FindMember(side, "grants");
  if (all == nullptr || !all->is_array()) return side;
  Json seen = Json::array();
  for (const Json& grant : *all) {
    const Json* scope = FindMember(grant, "scope");
    if (scope == nullptr || !scope->is_string() ||
        MaySee(caller, ResourceOfScope(scope->get_ref<const std::string&>())))
      seen.push_back(grant);
  }
  side["grants"] = std::move(seen);
  return side;
}

}  // namespace

Json WithoutSecrets(const Json& value) {
  if (value.is_object()) {
    Json out = Json::object();
    for (const auto& [key, item] : value.items()) {
      out[key] = NamesSecret(key) && !item.is_boolean() ? Json("(not kept)") : WithoutSecrets(item);
    }
    return out;
  }
  if (value.is_array()) {
    Json out = Json::array();
    for (const Json& item : value) out.push_back(WithoutSecrets(item));
    return out;
  }
  if (value.is_string() && value.get_ref<const std::string&>().size() > kMostText)
    return value.get_ref<const std::string&>().substr(0, kMostText) + " ...";
  return value;
}

AuditRecord DescribeChange(const Route& route, const Request& request, const Json& before,
                           const Json& after) {
  AuditRecord record;
  record.who = request.who;
  record.action = route.method + " " + route.pattern;
  record.path = request.path;
  record.request_id = request.request_id;
  if (const auto found = request.params.find("project"); found != request.params.end()) {
    record.project = found->second;
  } else if (route.details.resource) {
    const auto resource = route.details.resource(request);
    if (resource.ok() && resource->kind == "project") record.project = resource->name;
  }
  const auto body = [&] {
    return request.body.size() <= kMostBytes ? Parsed(request.body) : Json();
  };
  if (route.details.status == 202) {  // a job changes it later: what was asked for, of what
    record.before_json = AuditedText(before);
    record.after_json = AuditedText(body());
  } else if (route.details.state) {
    record.before_json = AuditedText(Differing(before, after, 2));
    record.after_json = AuditedText(Differing(after, before, 2));
  } else {
    record.before_json = "null";
    record.after_json = AuditedText(body());
  }
  return record;
}

Json AuditToJson(const AuditRecord& record, const Request& caller) {
  return {{"id", record.id},
          {"at", FormatTimestamp(record.at)},
          {"who", record.who},
          {"how", record.how},
          {"action", record.action},
          {"project", record.project.empty() ? Json() : Json(record.project)},
          {"path", record.path},
          {"status", record.status},
          {"request_id", record.request_id},
          {"before", SideFor(caller, record.before_json)},
          {"after", SideFor(caller, record.after_json)}};
}

}  // namespace slipway
