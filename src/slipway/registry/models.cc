// Saved models: what reads. The changes are in models_change.cc.
#include "slipway/registry/models.h"

#include <algorithm>

#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

// The keys of "models" in a project's definition.
std::vector<std::string> DefinedModels(const std::string& definition) {
  std::vector<std::string> names;
  auto json = ParseJson(definition);
  if (!json.ok() || !json->is_object()) return names;
  const Json* models = FindMember(*json, "models");
  if (models == nullptr || !models->is_object()) return names;
  for (const auto& [name, value] : models->items()) names.push_back(name);
  return names;
}

std::string LimitClause(int64_t limit) {
  return limit > 0 ? " LIMIT " + std::to_string(limit) : "";
}

}  // namespace

Result<std::optional<Models::Row>> Models::FindRow(std::string_view project,
                                                   std::string_view model) const {
  ASSIGN_OR_RETURN(
      auto rows,
      database_.Query("SELECT id, active_version FROM models WHERE project = ? AND name = ?",
                      {SqlText(project), SqlText(model)}));
  if (rows.empty()) return std::optional<Row>();
  return std::optional<Row>(Row{rows[0].Int(0), rows[0].Int(1)});
}

Result<Models::Row> Models::GetRow(std::string_view project, std::string_view model) const {
  ASSIGN_OR_RETURN(const std::optional<Row> row, FindRow(project, model));
  if (!row) return NoModel(project, model);
  return *row;
}

Error Models::NoModel(std::string_view project, std::string_view model) const {
  auto found =
      database_.Query("SELECT definition FROM projects WHERE name = ?", {SqlText(project)});
  if (!found.ok()) return std::move(found).error();
  std::vector<std::string> names;
  if (found->empty()) {
    auto projects = database_.Query("SELECT name FROM projects ORDER BY name");
    if (!projects.ok()) return std::move(projects).error();
    for (const SqlRow& row : *projects) names.push_back(row.Text(0));
    std::string hint = DidYouMean(project, names);
    if (hint.empty() && !names.empty()) hint = "there are " + QuotedList(names);
    return NotFound("no project '" + std::string(project) + "'", std::move(hint));
  }
  names = DefinedModels((*found)[0].Text(0));
  const std::string name = FullModelName(project, model);
  for (const std::string& defined : names) {
    if (defined != model) continue;
    return NotFound("model '" + name + "' has no version yet",
                    "train one with `slipway build " + name + "`");
  }
  auto trained = List(project);
  if (!trained.ok()) return std::move(trained).error();
  for (const ModelRecord& record : *trained) {
    if (std::find(names.begin(), names.end(), record.name) == names.end())
      names.push_back(record.name);
  }
  std::string hint = DidYouMean(model, names);
  if (hint.empty() && !names.empty()) hint = "there are " + QuotedList(names);
  if (names.empty()) hint = "the project has no models";
  return NotFound("no model '" + std::string(model) + "' in project '" + std::string(project) + "'",
                  std::move(hint));
}

Result<std::vector<ModelRecord>> Models::Select(std::string_view where,
                                                std::vector<SqlValue> values, int64_t limit) const {
  // Not grouped: so a page reads its own rows alone, in the index's order.
  const std::string sql =
      "SELECT m.project, m.name, m.active_version, "
      "(SELECT max(v.number) FROM versions v WHERE v.model_id = m.id), "
      "(SELECT count(*) FROM versions v WHERE v.model_id = m.id), m.created_at, m.created_by "
      "FROM models m " +
      std::string(where) + " ORDER BY m.project, m.name" + LimitClause(limit);
  ASSIGN_OR_RETURN(auto rows, database_.Query(sql, std::move(values)));
  std::vector<ModelRecord> models;
  for (const SqlRow& row : rows) {
    models.push_back(
        {row.Text(0), row.Text(1), row.Int(2), row.Int(3), row.Int(4), row.Text(5), row.Text(6)});
  }
  return models;
}

Result<std::vector<ModelRecord>> Models::List(std::string_view project, std::string_view after,
                                              int64_t limit) const {
  if (project.empty()) return Select("", {}, limit);
  return Select("WHERE m.project = ? AND m.name > ?", {SqlText(project), SqlText(after)}, limit);
}

Result<std::optional<ModelRecord>> Models::Find(std::string_view project,
                                                std::string_view model) const {
  ASSIGN_OR_RETURN(auto found, Select("WHERE m.project = ? AND m.name = ?",
                                      {SqlText(project), SqlText(model)}, 0));
  if (found.empty()) return std::optional<ModelRecord>();
  return std::optional<ModelRecord>(std::move(found[0]));
}

Result<ModelRecord> Models::Get(std::string_view project, std::string_view model) const {
  ASSIGN_OR_RETURN(std::optional<ModelRecord> found, Find(project, model));
  if (!found) return NoModel(project, model);
  return *std::move(found);
}

Result<std::vector<VersionRecord>> Models::SelectVersions(int64_t model_id, std::string_view more,
                                                          std::vector<SqlValue> values,
                                                          int64_t limit) const {
  std::vector<SqlValue> all = {model_id};
  for (SqlValue& value : values) all.push_back(std::move(value));
  const std::string sql =
      "SELECT m.project, m.name, v.number, v.number = m.active_version, v.origin, v.info, "
      "v.bundle_hash, "
      "v.reference_hash, v.holdout_hash, v.dataset_fingerprint, v.build, v.note, v.created_at, "
      "v.created_by "
      "FROM versions v JOIN models m ON m.id = v.model_id WHERE m.id = ? " +
      std::string(more) + " ORDER BY v.number" + LimitClause(limit);
  ASSIGN_OR_RETURN(auto rows, database_.Query(sql, std::move(all)));
  std::vector<VersionRecord> versions;
  for (const SqlRow& row : rows) {
    VersionRecord version;
    version.project = row.Text(0);
    version.model = row.Text(1);
    version.number = row.Int(2);
    version.active = row.Int(3) != 0;
    version.origin = row.Text(4);
    version.info_json = row.Text(5);
    version.bundle = row.Text(6);
    version.reference_hash = row.Text(7);
    version.holdout_hash = row.Text(8);
    version.dataset_fingerprint = row.Text(9);
    ASSIGN_OR_RETURN(version.build, BuildRecordFromText(row.Text(10)));
    version.note = row.Text(11);
    version.created_at = row.Text(12);
    version.created_by = row.Text(13);
    versions.push_back(std::move(version));
  }
  return versions;
}

Result<std::vector<VersionRecord>> Models::Versions(std::string_view project,
                                                    std::string_view model, int64_t after,
                                                    int64_t limit) const {
  ASSIGN_OR_RETURN(const Row row, GetRow(project, model));
  return SelectVersions(row.id, "AND v.number > ?", {after}, limit);
}

Result<std::set<int64_t>> Models::VersionNumbers(std::string_view project,
                                                 std::string_view model) const {
  ASSIGN_OR_RETURN(const Row row, GetRow(project, model));
  return Numbers(row.id);
}

Result<std::set<int64_t>> Models::Numbers(int64_t model_id) const {
  ASSIGN_OR_RETURN(auto rows,
                   database_.Query("SELECT number FROM versions WHERE model_id = ?", {model_id}));
  std::set<int64_t> numbers;
  for (const SqlRow& row : rows) numbers.insert(row.Int(0));
  return numbers;
}

Result<VersionRecord> Models::GetVersion(std::string_view project, std::string_view model,
                                         int64_t number) const {
  ASSIGN_OR_RETURN(const Row row, GetRow(project, model));
  ASSIGN_OR_RETURN(auto found, SelectVersions(row.id, "AND v.number = ?", {number}));
  if (!found.empty()) return std::move(found[0]);
  ASSIGN_OR_RETURN(const std::set<int64_t> numbers, Numbers(row.id));
  const std::string name = FullModelName(project, model);
  if (numbers.empty()) {
    return NotFound("model '" + name + "' has no version yet",
                    "train one with `slipway build " + name + "`");
  }
  std::vector<std::string> names;
  for (auto it = numbers.rbegin(); it != numbers.rend(); ++it) names.push_back(std::to_string(*it));
  std::string list;
  for (size_t i = 0; i < names.size() && i < 10; ++i) list += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > 10) list += " and " + std::to_string(names.size() - 10) + " older ones";
  return NotFound("model '" + name + "' has no version " + std::to_string(number),
                  "it has " + list);
}

Result<VersionRecord> Models::Resolve(const ModelRef& ref) const {
  if (ref.select == ModelRef::Select::kNumber)
    return GetVersion(ref.project, ref.model, ref.number);
  // One statement, so that a version that is deleted meanwhile cannot come between.
  ASSIGN_OR_RETURN(const Row row, GetRow(ref.project, ref.model));
  const std::string_view which =
      ref.select == ModelRef::Select::kActive
          ? "AND v.number = m.active_version"
          : "AND v.number = (SELECT max(number) FROM versions WHERE model_id = m.id)";
  ASSIGN_OR_RETURN(auto found, SelectVersions(row.id, which, {}));
  if (found.empty()) return GetVersion(ref.project, ref.model, 0);  // says that there is none
  return std::move(found[0]);
}

Result<std::string> Models::BundlePath(const VersionRecord& version) const {
  return blobs_.Path(version.bundle);
}

Result<std::string> Models::ReferencePath(const VersionRecord& version) const {
  if (!version.reference_hash.empty()) return blobs_.Path(version.reference_hash);
  return NotFound("version " + std::to_string(version.number) + " of '" +
                  FullModelName(version.project, version.model) +
                  "' keeps no reference statistics");
}

Result<std::string> Models::HoldoutPath(const VersionRecord& version) const {
  if (!version.holdout_hash.empty()) return blobs_.Path(version.holdout_hash);
  return NotFound("version " + std::to_string(version.number) + " of '" +
                  FullModelName(version.project, version.model) + "' keeps no held-out rows");
}

Result<std::vector<Activation>> Models::History(std::string_view project,
                                                std::string_view model) const {
  ASSIGN_OR_RETURN(const Row row, GetRow(project, model));
  ASSIGN_OR_RETURN(
      auto rows,
      database_.Query("SELECT at, who, why, kind, from_version, to_version FROM activations "
                      "WHERE model_id = ? ORDER BY id",
                      {row.id}));
  std::vector<Activation> history;
  for (const SqlRow& item : rows) {
    history.push_back(
        {item.Text(0), item.Text(1), item.Text(2), item.Text(3), item.Int(4), item.Int(5)});
  }
  return history;
}

}  // namespace slipway
