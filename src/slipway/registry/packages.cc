#include "slipway/registry/packages.h"

#include <utility>

#include "slipway/base/clock.h"
#include "slipway/base/text.h"
#include "slipway/registry/sequence.h"

namespace slipway {
namespace {

std::string FullServiceName(std::string_view project, std::string_view service) {
  return std::string(project) + "/" + std::string(service);
}

std::string SequenceOf(std::string_view project, std::string_view service) {
  return "service/" + FullServiceName(project, service);
}

}  // namespace

std::string PackageId(int64_t number) { return "v" + std::to_string(number); }

Result<int64_t> Packages::NextNumber(std::string_view project, std::string_view service) const {
  ASSIGN_OR_RETURN(auto rows, database_.Query("SELECT last FROM sequences WHERE name = ?",
                                              {SequenceOf(project, service)}));
  return rows.empty() ? int64_t{1} : rows[0].Int(0) + 1;
}

Result<PackageRecord> Packages::Add(const NewPackage& package) {
  const std::string name = FullServiceName(package.project, package.service);
  ASSIGN_OR_RETURN(const Blob blob, blobs_.PutFile(package.path, package.move_file));
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const int64_t number,
                   ::slipway::NextNumber(database_, SequenceOf(package.project, package.service)));
  if (number != package.number) {
    return Conflict("another package of '" + name + "' was made meanwhile", "package it again");
  }
  RETURN_IF_ERROR(blobs_.Record(blob));
  RETURN_IF_ERROR(database_.Execute(
      "INSERT INTO packages(project, service, number, blob_hash, bytes, content_hash, definition, "
      "summary, notes, created_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      {SqlText(package.project), SqlText(package.service), number, blob.hash, blob.bytes,
       package.content_hash, package.definition_json, package.summary_json, package.notes,
       package.created_at.empty() ? NowText() : package.created_at, SqlText(package.who)}));
  for (const PackageModel& model : package.models) {
    RETURN_IF_ERROR(database_.Execute(
        "INSERT INTO package_models(project, service, number, endpoint, model_project, model, "
        "version) VALUES (?, ?, ?, ?, ?, ?, ?)",
        {SqlText(package.project), SqlText(package.service), number, SqlText(model.endpoint),
         SqlText(model.project), SqlText(model.model), model.version}));
  }
  ASSIGN_OR_RETURN(PackageRecord record, Get(package.project, package.service, number));
  RETURN_IF_ERROR(transaction.Commit());
  return record;
}

Result<std::vector<PackageRecord>> Packages::Select(std::string_view where,
                                                    std::vector<SqlValue> values) const {
  ASSIGN_OR_RETURN(
      auto rows,
      database_.Query("SELECT p.project, p.service, p.number, p.blob_hash, p.bytes, "
                      "p.content_hash, p.definition, p.summary, p.notes, p.created_at, "
                      "p.created_by FROM packages p " +
                          std::string(where) + " ORDER BY p.project, p.service, p.number",
                      std::move(values)));
  std::vector<PackageRecord> packages;
  for (const SqlRow& row : rows) {
    packages.push_back({row.Text(0),
                        row.Text(1),
                        row.Int(2),
                        row.Text(3),
                        row.Int(4),
                        row.Text(5),
                        row.Text(6),
                        row.Text(7),
                        row.Text(8),
                        row.Text(9),
                        row.Text(10),
                        {}});
  }
  for (PackageRecord& package : packages) {
    ASSIGN_OR_RETURN(auto models,
                     database_.Query("SELECT endpoint, model_project, model, version FROM "
                                     "package_models WHERE project = ? AND service = ? AND "
                                     "number = ? ORDER BY endpoint",
                                     {package.project, package.service, package.number}));
    for (const SqlRow& row : models)
      package.models.push_back({row.Text(0), row.Text(1), row.Text(2), row.Int(3)});
  }
  return packages;
}

Result<std::vector<PackageRecord>> Packages::List(std::string_view project,
                                                  std::string_view service) const {
  if (project.empty()) return Select("", {});
  if (service.empty()) return Select("WHERE p.project = ?", {SqlText(project)});
  return Select("WHERE p.project = ? AND p.service = ?", {SqlText(project), SqlText(service)});
}

Result<std::optional<PackageRecord>> Packages::Latest(std::string_view project,
                                                      std::string_view service) const {
  ASSIGN_OR_RETURN(auto found,
                   Select("WHERE p.project = ? AND p.service = ? AND p.number = (SELECT "
                          "max(number) FROM packages WHERE project = p.project AND service = "
                          "p.service)",
                          {SqlText(project), SqlText(service)}));
  if (found.empty()) return std::optional<PackageRecord>();
  return std::optional<PackageRecord>(std::move(found[0]));
}

Result<PackageRecord> Packages::Get(std::string_view project, std::string_view service,
                                    int64_t number) const {
  ASSIGN_OR_RETURN(auto found, Select("WHERE p.project = ? AND p.service = ? AND p.number = ?",
                                      {SqlText(project), SqlText(service), number}));
  if (!found.empty()) return std::move(found[0]);
  const std::string name = FullServiceName(project, service);
  ASSIGN_OR_RETURN(const std::vector<PackageRecord> all, List(project, service));
  if (all.empty()) {
    return NotFound("service '" + name + "' has no package yet",
                    "make one with `slipway service package " + name + "`");
  }
  std::string list;
  for (size_t i = 0; i < all.size() && i < 10; ++i)
    list += (i == 0 ? "" : ", ") + PackageId(all[all.size() - 1 - i].number);
  if (all.size() > 10) list += " and " + std::to_string(all.size() - 10) + " older ones";
  return NotFound("service '" + name + "' has no package " + PackageId(number), "it has " + list);
}

Result<std::vector<PackageRecord>> Packages::Holding(std::string_view project,
                                                     std::string_view model,
                                                     int64_t version) const {
  return Select(
      "WHERE EXISTS(SELECT 1 FROM package_models m WHERE m.project = p.project AND "
      "m.service = p.service AND m.number = p.number AND m.model_project = ? AND m.model "
      "= ? AND m.version = ?)",
      {SqlText(project), SqlText(model), version});
}

Result<std::string> Packages::Path(const PackageRecord& package) const {
  return blobs_.Path(package.blob);
}

Status Packages::Delete(std::string_view project, std::string_view service, int64_t number) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const PackageRecord package, Get(project, service, number));
  for (const char* sql :
       {"DELETE FROM package_models WHERE project = ? AND service = ? AND number = ?",
        "DELETE FROM packages WHERE project = ? AND service = ? AND number = ?"}) {
    RETURN_IF_ERROR(database_.Execute(sql, {package.project, package.service, package.number}));
  }
  return transaction.Commit();
}

}  // namespace slipway
