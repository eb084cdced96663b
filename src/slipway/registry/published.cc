#include "slipway/registry/published.h"

#include "slipway/base/clock.h"
#include "slipway/base/text.h"

namespace slipway {

Result<PublishedService> PublishedServices::Create(std::string_view project,
                                                   std::string_view service, std::string_view who) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(auto rows, database_.Query("SELECT name FROM published_services WHERE name = ?",
                                              {SqlText(service)}));
  if (!rows.empty())
    return Conflict("a service '" + std::string(service) + "' is published already");
  RETURN_IF_ERROR(database_.Execute(
      "INSERT INTO published_services(name, project, created_at, created_by) VALUES (?, ?, ?, ?)",
      {SqlText(service), SqlText(project), NowText(), SqlText(who)}));
  ASSIGN_OR_RETURN(PublishedService made, Get(service));
  RETURN_IF_ERROR(transaction.Commit());
  return made;
}

Status PublishedServices::Delete(std::string_view service) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  RETURN_IF_ERROR(Get(service));
  ASSIGN_OR_RETURN(auto rows,
                   database_.Query("SELECT name FROM deployments WHERE service = ? ORDER "
                                   "BY name",
                                   {SqlText(service)}));
  if (!rows.empty())
    return Conflict("service '" + std::string(service) + "' is deployed: '" + rows[0].Text(0) + "'",
                    "delete its deployments first");
  RETURN_IF_ERROR(
      database_.Execute("DELETE FROM published_versions WHERE service = ?", {SqlText(service)}));
  RETURN_IF_ERROR(
      database_.Execute("DELETE FROM published_services WHERE name = ?", {SqlText(service)}));
  return transaction.Commit();
}

Result<PublishedVersion> PublishedServices::Publish(std::string_view project,
                                                    std::string_view service,
                                                    std::string_view version, const Blob& blob,
                                                    std::string_view manifest_json,
                                                    std::string_view who) {
  const std::string name(service);
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(
      auto owner, database_.Query("SELECT project FROM published_services WHERE name = ?", {name}));
  if (owner.empty()) {
    RETURN_IF_ERROR(database_.Execute(
        "INSERT INTO published_services(name, project, created_at, created_by) VALUES (?, ?, ?, ?)",
        {name, SqlText(project), NowText(), SqlText(who)}));
  } else if (owner[0].Text(0).empty() && !project.empty()) {
    RETURN_IF_ERROR(database_.Execute(
        "UPDATE published_services SET project = ? WHERE name = ? AND project = ''",
        {SqlText(project), name}));
  } else if (owner[0].Text(0) != project) {
    return Conflict(
        "a service '" + name + "' of project '" + owner[0].Text(0) + "' is published already",
        "give the service of '" + std::string(project) + "' another name");
  }
  ASSIGN_OR_RETURN(auto there, database_.Query("SELECT blob_hash FROM published_versions WHERE "
                                               "service = ? AND version = ?",
                                               {name, SqlText(version)}));
  if (there.empty()) {
    RETURN_IF_ERROR(blobs_.Record(blob));
    RETURN_IF_ERROR(database_.Execute(
        "INSERT INTO published_versions(service, version, position, blob_hash, bytes, manifest, "
        "published_at, published_by) VALUES (?, ?, (SELECT coalesce(max(position), 0) + 1 FROM "
        "published_versions WHERE service = ?), ?, ?, ?, ?, ?)",
        {name, SqlText(version), name, blob.hash, blob.bytes, SqlText(manifest_json), NowText(),
         SqlText(who)}));
  } else if (there[0].Text(0) != blob.hash) {
    return Conflict("version " + std::string(version) + " of service '" + name +
                        "' is published with another content, and versions never change",
                    "package the service again: it gets the next number");
  }
  ASSIGN_OR_RETURN(PublishedVersion out, GetVersion(service, version));
  RETURN_IF_ERROR(transaction.Commit());
  return out;
}

Result<std::vector<PublishedService>> PublishedServices::List() const {
  ASSIGN_OR_RETURN(auto rows, database_.Query("SELECT name, project, created_at, created_by FROM "
                                              "published_services ORDER BY name"));
  std::vector<PublishedService> services;
  for (const SqlRow& row : rows)
    services.push_back({row.Text(0), row.Text(1), row.Text(2), row.Text(3), {}});
  ASSIGN_OR_RETURN(
      rows, database_.Query("SELECT service, version, position, blob_hash, bytes, manifest, "
                            "published_at, published_by FROM published_versions ORDER BY service, "
                            "position"));
  for (const SqlRow& row : rows) {
    for (PublishedService& service : services) {
      if (service.name != row.Text(0)) continue;
      service.versions.push_back({row.Text(0), row.Text(1), row.Int(2), row.Text(3), row.Int(4),
                                  row.Text(5), row.Text(6), row.Text(7)});
    }
  }
  return services;
}

Result<PublishedService> PublishedServices::Get(std::string_view service) const {
  ASSIGN_OR_RETURN(const std::vector<PublishedService> all, List());
  std::vector<std::string> names;
  for (const PublishedService& each : all) {
    if (each.name == service) return each;
    names.push_back(each.name);
  }
  const std::string meant = DidYouMean(service, names);
  return NotFound(
      "no service '" + std::string(service) + "' is published",
      meant.empty() ? "publish one with `slipway service publish PROJECT/SERVICE`" : meant);
}

Result<PublishedVersion> PublishedServices::GetVersion(std::string_view service,
                                                       std::string_view version) const {
  ASSIGN_OR_RETURN(const PublishedService found, Get(service));
  if (version.empty() && !found.versions.empty()) return found.versions.back();
  std::vector<std::string> ids;
  for (const PublishedVersion& each : found.versions) {
    if (each.version == version) return each;
    ids.push_back(each.version);
  }
  const std::string publish = "publish it with `slipway service publish " + found.project + "/" +
                              found.name +
                              (version.empty() ? "`" : "@" + std::string(version) + "`");
  return NotFound("service '" + found.name + "' has no published version" +
                      (version.empty() ? "" : " '" + std::string(version) + "'"),
                  ids.empty() ? publish : "it has " + QuotedList(ids) + "; " + publish);
}

Result<std::string> PublishedServices::Path(const PublishedVersion& version) const {
  return blobs_.Path(version.blob);
}

Status PublishedServices::DeleteVersion(std::string_view service, std::string_view version) {
  RETURN_IF_ERROR(GetVersion(service, version));
  RETURN_IF_ERROR(
      database_.Execute("DELETE FROM published_versions WHERE service = ? AND version = ?",
                        {SqlText(service), SqlText(version)}));
  return {};
}

}  // namespace slipway
