#include "slipway/registry/backup_parts.h"

#include "slipway/base/json.h"
#include "slipway/registry/home.h"
#include "slipway/registry/jobs.h"

namespace slipway {
namespace {

constexpr int64_t kFormat = 1;

Error Damaged(const std::string& path, const std::string& what) {
  return Corruption("backup '" + path + "' is damaged: " + what,
                    "use another backup, or fetch the file again");
}

}  // namespace

std::string BlobName(std::string_view hash) {
  return "blobs/sha256/" + std::string(hash.substr(0, 2)) + "/" + std::string(hash);
}

bool IsBackupName(std::string_view name) {
  return name == kRegistryName || name == kManifestName || name.starts_with("blobs/sha256/") ||
         name.starts_with("data/") || name.starts_with("jobs/");
}

Result<std::vector<std::string>> JobIdsOf(Database& database) {
  ASSIGN_OR_RETURN(auto rows, database.Query("SELECT id FROM jobs ORDER BY id"));
  std::vector<std::string> ids;
  for (const SqlRow& row : rows) ids.push_back(JobIdText(row.Int(0)));
  return ids;
}

std::string ManifestText(const BackupReport& report, const BackupOptions& options,
                         const std::vector<TarEntry>& entries) {
  Json files = Json::array();
  for (const TarEntry& entry : entries)
    files.push_back({{"name", entry.name}, {"bytes", entry.bytes}, {"sha256", entry.sha256}});
  const Json json = {
      {"format", kFormat},           {"created", report.created_at}, {"home", report.home_id},
      {"data", options.data},        {"logs", options.logs},         {"blobs", report.blobs},
      {"datasets", report.datasets}, {"job_logs", report.logs},      {"files", std::move(files)}};
  return DumpJson(json, 1) + "\n";
}

Result<BackupReport> CheckManifest(const std::string& path, const std::string& text,
                                   const std::vector<TarEntry>& entries) {
  auto json = ParseJson(text, {.max_bytes = size_t{1} << 30, .max_depth = 16});
  if (!json.ok() || !json->is_object()) return Damaged(path, "its manifest is not JSON");
  auto format = GetInt(*json, "format");
  if (!format.ok()) return Damaged(path, "its manifest has no format");
  if (*format > kFormat) {
    return InvalidArgument("backup '" + path + "' was made by a newer Slipway: its format is " +
                               std::to_string(*format),
                           "use that newer Slipway");
  }
  BackupReport report;
  report.path = path;
  const auto number = [&](const char* key) {
    auto value = GetInt(*json, key);
    return value.ok() ? *value : int64_t{0};
  };
  if (auto home = GetString(*json, "home"); home.ok()) report.home_id = *home;
  if (auto created = GetString(*json, "created"); created.ok()) report.created_at = *created;
  report.blobs = number("blobs");
  report.datasets = number("datasets");
  report.logs = number("job_logs");
  const auto files = json->find("files");
  if (files == json->end() || !files->is_array() || files->size() != entries.size())
    return Damaged(path, "its manifest tells of other files than it holds");
  for (size_t i = 0; i < entries.size(); ++i) {
    const Json& file = (*files)[i];
    auto name = GetString(file, "name");
    auto bytes = GetInt(file, "bytes");
    auto hash = GetString(file, "sha256");
    if (!name.ok() || !bytes.ok() || !hash.ok() || *name != entries[i].name)
      return Damaged(path, "its manifest tells of other files than it holds");
    if (*bytes != entries[i].bytes || *hash != entries[i].sha256)
      return Damaged(path, "the content of '" + *name + "' is not what it was");
  }
  return report;
}

}  // namespace slipway
