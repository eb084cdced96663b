#include "slipway/registry/projects.h"

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/names.h"
#include "slipway/base/text.h"
#include "slipway/registry/ended_rights.h"
#include "slipway/registry/stray.h"

namespace slipway {
namespace {

constexpr const char* kSelectProjects =
    "SELECT name, definition, revision, etag, created_at, created_by, updated_at, updated_by FROM "
    "projects ";

ProjectRecord ProjectFromRow(const SqlRow& row) {
  return {row.Text(0), row.Text(1), row.Int(2),  row.Text(3),
          row.Text(4), row.Text(5), row.Text(6), row.Text(7)};
}

Error Changed(std::string_view name) {
  return Conflict("project '" + std::string(name) + "' was changed by someone else meanwhile",
                  "read it again, then repeat the change");
}

}  // namespace

Result<std::vector<ProjectRecord>> Projects::List() const {
  ASSIGN_OR_RETURN(auto rows, database_.Query(std::string(kSelectProjects) + "ORDER BY name"));
  std::vector<ProjectRecord> projects;
  for (const SqlRow& row : rows) projects.push_back(ProjectFromRow(row));
  return projects;
}

Result<std::vector<std::string>> Projects::Names() const {
  ASSIGN_OR_RETURN(auto rows, database_.Query("SELECT name FROM projects ORDER BY name"));
  std::vector<std::string> names;
  for (const SqlRow& row : rows) names.push_back(row.Text(0));
  return names;
}

Result<bool> Projects::Exists(std::string_view name) const {
  ASSIGN_OR_RETURN(auto rows,
                   database_.Query("SELECT 1 FROM projects WHERE name = ?", {SqlText(name)}));
  return !rows.empty();
}

Result<ProjectRecord> Projects::Get(std::string_view name) const {
  ASSIGN_OR_RETURN(
      auto rows, database_.Query(std::string(kSelectProjects) + "WHERE name = ?", {SqlText(name)}));
  if (!rows.empty()) return ProjectFromRow(rows[0]);
  ASSIGN_OR_RETURN(const std::vector<std::string> names, Names());
  std::string hint = DidYouMean(name, names);
  if (hint.empty()) {
    hint = names.empty() ? "this home has no project yet; `slipway apply -f FILE` makes one"
                         : "there are " + QuotedList(names);
  }
  return NotFound("no project '" + std::string(name) + "'", std::move(hint));
}

Result<ProjectRecord> Projects::Put(std::string_view name, std::string_view definition_json,
                                    std::string_view who, std::string_view expected_etag) {
  if (!IsValidName(name)) {
    return InvalidArgument("'" + std::string(name) + "' is not a valid project name",
                           NameRule(name));
  }
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(
      auto rows, database_.Query(std::string(kSelectProjects) + "WHERE name = ?", {SqlText(name)}));
  if (expected_etag == "new" && !rows.empty()) {
    return Conflict("project '" + std::string(name) + "' exists already");
  }
  if (!expected_etag.empty() && expected_etag != "new" &&
      (rows.empty() || rows[0].Text(3) != expected_etag)) {
    return Changed(name);
  }
  if (!rows.empty() && rows[0].Text(1) == definition_json) return ProjectFromRow(rows[0]);

  ProjectRecord record;
  if (!rows.empty()) record = ProjectFromRow(rows[0]);
  record.name = name;
  record.definition_json = definition_json;
  record.revision += 1;
  record.etag = std::to_string(record.revision) + "-" + RandomId();
  record.updated_at = NowText();
  record.updated_by = who;
  if (rows.empty()) {
    record.created_at = record.updated_at;
    record.created_by = record.updated_by;
  }
  RETURN_IF_ERROR(database_.Execute(
      "INSERT INTO projects(name, definition, revision, etag, created_at, created_by, updated_at, "
      "updated_by) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(name) DO UPDATE SET definition = "
      "excluded.definition, "
      "revision = excluded.revision, etag = excluded.etag, updated_at = excluded.updated_at, "
      "updated_by = excluded.updated_by",
      {record.name, record.definition_json, record.revision, record.etag, record.created_at,
       record.created_by, record.updated_at, record.updated_by}));
  if (!rows.empty()) {
    RETURN_IF_ERROR(
        EndRightsOfMissingServices(database_, name, rows[0].Text(1), definition_json, who));
  }
  RETURN_IF_ERROR(transaction.Commit());
  return record;
}

Status Projects::Delete(std::string_view name, bool force, std::string_view expected_etag,
                        std::string_view who) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const ProjectRecord record, Get(name));
  if (!expected_etag.empty() && record.etag != expected_etag) return Changed(name);
  ASSIGN_OR_RETURN(auto models,
                   database_.Query("SELECT DISTINCT m.name FROM models m JOIN versions v ON "
                                   "v.model_id = m.id WHERE m.project = ? ORDER BY m.name",
                                   {SqlText(name)}));
  if (!models.empty() && !force) {
    std::vector<std::string> names;
    for (const SqlRow& row : models) names.push_back(row.Text(0));
    return Conflict(
        "project '" + std::string(name) + "' has models with versions: " + QuotedList(names),
        "add --force to delete them too");
  }
  ASSIGN_OR_RETURN(auto packages,
                   database_.Query("SELECT DISTINCT service FROM packages WHERE project = ? ORDER "
                                   "BY service",
                                   {SqlText(name)}));
  if (!packages.empty() && !force) {
    std::vector<std::string> names;
    for (const SqlRow& row : packages) names.push_back(row.Text(0));
    return Conflict(
        "project '" + std::string(name) + "' has services with packages: " + QuotedList(names),
        "add --force to delete them too");
  }
  // The active pointers refer to versions: those constraints are looked at when all is gone, at
  // commit.
  const std::string of_project = "(SELECT id FROM models WHERE project = ?)";
  for (const std::string& sql : {std::string("DELETE FROM package_models WHERE project = ?"),
                                 std::string("DELETE FROM packages WHERE project = ?"),
                                 "DELETE FROM versions WHERE model_id IN " + of_project,
                                 "DELETE FROM activations WHERE model_id IN " + of_project,
                                 std::string("DELETE FROM models WHERE project = ?"),
                                 std::string("DELETE FROM dataset_data WHERE project = ?"),
                                 std::string("DELETE FROM dataset_files WHERE project = ?"),
                                 std::string("DELETE FROM projects WHERE name = ?")}) {
    RETURN_IF_ERROR(database_.Execute(sql, {SqlText(name)}));
  }
  RETURN_IF_ERROR(EndRights(database_, "project:" + std::string(name), who));
  // What cannot be removed now is a leftover for the garbage collection.
  transaction.AfterCommit(
      [this, folder = home_.ProjectDataFolder(name)] { RemoveUnlessBackup(home_, folder); });
  return transaction.Commit();
}

}  // namespace slipway
