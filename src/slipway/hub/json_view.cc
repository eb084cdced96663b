#include "slipway/hub/json_view.h"

#include <cmath>
#include <map>
#include <set>

#include "slipway/base/json.h"

namespace slipway {
namespace {

Json InfoOf(const VersionRecord& version) {
  auto info = ParseJson(version.info_json);
  return info.ok() && info->is_object() ? *std::move(info) : Json::object();
}

Json Member(const Json& object, const char* key) {
  const Json* value = FindMember(object, key);
  return value != nullptr ? *value : Json();
}

Json BuildToJson(const BuildRecord& build) {
  Json inputs = Json::array();
  for (const BuildInput& input : build.inputs)
    inputs.push_back({{"name", input.name}, {"fingerprint", input.fingerprint}});
  Json out = {{"recipe", build.recipe},
              {"recipe_hash", build.recipe_hash},
              {"inputs", std::move(inputs)},
              {"job", build.job}};
  if (auto recipe = ParseJson(build.recipe_json); recipe.ok()) out["recipe_definition"] = *recipe;
  if (build.model_version > 0) {
    out["model"] = build.model;
    out["model_version"] = build.model_version;
  }
  if (auto extra = ParseJson(build.extra_json); extra.ok()) out["extra"] = *extra;
  return out;
}

// {"a": {"b": 1}} -> "a.b" -> 1; lists are leaves.
void Flatten(const Json& value, const std::string& path, std::map<std::string, Json>* out) {
  if (!value.is_object()) {
    (*out)[path] = value;
    return;
  }
  for (const auto& [key, item] : value.items())
    Flatten(item, path.empty() ? key : path + "." + key, out);
}

// Rows {name, a, b, different}; the different ones first, each part in its own order.
Json CompareMaps(const std::map<std::string, Json>& a, const std::map<std::string, Json>& b) {
  std::set<std::string> names;
  for (const auto& [name, value] : a) names.insert(name);
  for (const auto& [name, value] : b) names.insert(name);
  Json different = Json::array(), same = Json::array();
  for (const std::string& name : names) {
    const auto in_a = a.find(name), in_b = b.find(name);
    const Json left = in_a == a.end() ? Json() : in_a->second;
    const Json right = in_b == b.end() ? Json() : in_b->second;
    const bool differs = left != right;
    Json row = {{"name", name}, {"a", left}, {"b", right}, {"different", differs}};
    if (differs && left.is_number() && right.is_number())
      row["delta"] = right.get<double>() - left.get<double>();
    (differs ? different : same).push_back(std::move(row));
  }
  for (Json& row : same) different.push_back(std::move(row));
  return different;
}

std::map<std::string, Json> Settings(const Json& info, const VersionRecord& version) {
  std::map<std::string, Json> out;
  if (auto recipe = ParseJson(version.build.recipe_json); recipe.ok() && recipe->is_object())
    Flatten(*recipe, "", &out);
  for (const char* key :
       {"algorithm", "target", "prediction", "rows", "holdout_rows", "best_iteration", "trees"}) {
    if (const Json* value = FindMember(info, key)) out[key] = *value;
  }
  if (const Json* parameters = FindMember(info, "parameters"))
    Flatten(*parameters, "parameters", &out);
  out["dataset_fingerprint"] = version.dataset_fingerprint;
  return out;
}

std::map<std::string, Json> Importance(const Json& info) {
  std::map<std::string, Json> out;
  if (const Json* list = FindMember(info, "importance"); list != nullptr && list->is_array()) {
    for (const Json& item : *list) out[item.value("feature", "")] = Member(item, "gain");
  }
  return out;
}

std::map<std::string, Json> SchemaMap(const Json& info) {
  std::map<std::string, Json> out;
  if (const Json* list = FindMember(info, "schema"); list != nullptr && list->is_array()) {
    for (const Json& item : *list) out[item.value("name", "")] = Member(item, "type");
  }
  return out;
}

std::map<std::string, Json> FlatMetrics(const Json& info) {
  std::map<std::string, Json> out;
  Flatten(Member(info, "metrics"), "", &out);
  out.erase("");
  return out;
}

}  // namespace

Json VersionToJson(const VersionRecord& version, bool full) {
  const Json info = InfoOf(version);
  Json out = {{"version", version.number},
              {"active", version.active},
              {"algorithm", info.value("algorithm", "")},
              {"created_at", version.created_at},
              {"created_by", version.created_by},
              {"rows", Member(info, "rows")},
              {"metrics", Member(info, "metrics")},
              {"train_seconds", Member(info, "train_seconds")},
              {"dataset_fingerprint", version.dataset_fingerprint},
              {"note", version.note},
              {"origin", version.origin}};
  if (full) {
    out["project"] = version.project;
    out["model"] = version.model;
    out["bundle_sha256"] = version.bundle;
    const auto hash = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
    out["reference_sha256"] = hash(version.reference_hash);
    out["holdout_sha256"] = hash(version.holdout_hash);
    out["info"] = info;
    out["build"] = BuildToJson(version.build);
  }
  return out;
}

Json ModelToJson(const ModelRecord& model) {
  return {{"name", model.project + "/" + model.name},
          {"active", model.active > 0 ? Json(model.active) : Json()},
          {"latest", model.latest > 0 ? Json(model.latest) : Json()},
          {"versions", model.versions},
          {"created_at", model.created_at},
          {"created_by", model.created_by}};
}

Json ActivationToJson(const Activation& a) {
  return {{"at", a.at},
          {"who", a.who},
          {"why", a.why},
          {"kind", a.kind},
          {"from", a.from > 0 ? Json(a.from) : Json()},
          {"to", a.to}};
}

Json JobToJson(const JobRecord& job) {
  Json activities = Json::array();
  for (const ActivityRecord& activity : job.activities) {
    Json item = {{"recipe", activity.recipe},
                 {"output", activity.output},
                 {"status", activity.status},
                 {"reason", activity.reason},
                 {"rows", activity.rows ? Json(*activity.rows) : Json()},
                 {"seconds", activity.seconds},
                 {"error", activity.error.empty() ? Json() : Json(activity.error)}};
    if (auto details = ParseJson(activity.details_json); details.ok()) item["details"] = *details;
    activities.push_back(std::move(item));
  }
  return {{"job", job.id},
          {"kind", job.kind},
          {"project", job.project},
          {"scope", job.scope},
          {"targets", job.targets},
          {"mode", job.mode},
          {"status", JobStatusName(job.status)},
          {"interrupted", job.interrupted},
          {"error", job.error.empty() ? Json() : Json(job.error)},
          {"who", job.who},
          {"created_at", job.created_at},
          {"started_at", job.started_at.empty() ? Json() : Json(job.started_at)},
          {"finished_at", job.finished_at.empty() ? Json() : Json(job.finished_at)},
          {"activities", std::move(activities)}};
}

Json CompareVersions(const VersionRecord& a, const VersionRecord& b) {
  const Json info_a = InfoOf(a), info_b = InfoOf(b);
  return {{"a", a.number},
          {"b", b.number},
          {"metrics", CompareMaps(FlatMetrics(info_a), FlatMetrics(info_b))},
          {"settings", CompareMaps(Settings(info_a, a), Settings(info_b, b))},
          {"importance", CompareMaps(Importance(info_a), Importance(info_b))},
          {"schema", CompareMaps(SchemaMap(info_a), SchemaMap(info_b))}};
}

}  // namespace slipway
