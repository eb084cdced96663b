// Backups over HTTP: made by a job into HOME/backups, listed, fetched and deleted; and what
// `slipway doctor` tells.
#include <algorithm>

#include <sys/stat.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/flow/doctor.h"
#include "slipway/hub/answer_schemas.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/route_helpers.h"
#include "slipway/registry/backup.h"

namespace slipway {
namespace {

constexpr std::string_view kBackupSuffix = ".tar";

Result<std::string> BackupPath(Hub& hub, const Request& request) {
  const std::string& name = request.params.at("backup");
  const std::string path = JoinPath(hub.registry().home().BackupsFolder(), name);
  if (!IsValidName(name) || !name.ends_with(kBackupSuffix) || !PathExists(path)) {
    return NotFound("there is no backup '" + name + "' on this hub",
                    "GET /api/v1/backups lists them; POST /api/v1/backups makes one");
  }
  return path;
}

Result<Response> ListBackups(Hub& hub, const Request&) {
  const std::string folder = hub.registry().home().BackupsFolder();
  Json out = Json::array();
  if (!IsDirectory(folder)) return JsonResponse(out);
  ASSIGN_OR_RETURN(auto names, ListDir(folder));
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    struct stat info{};
    if (!IsValidName(name) || !name.ends_with(kBackupSuffix) ||
        ::stat(JoinPath(folder, name).c_str(), &info) != 0)
      continue;
    const int64_t made =
        static_cast<int64_t>(info.st_mtim.tv_sec) * 1'000'000 + info.st_mtim.tv_nsec / 1000;
    out.push_back({{"backup", name},
                   {"bytes", static_cast<int64_t>(info.st_size)},
                   {"created_at", FormatTimestamp(made)}});
  }
  return JsonResponse(out);
}

// What a killed process left of one that it was making.
void RemoveHalfMade(const std::string& folder) {
  const auto names = ListDir(folder);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (!IsValidName(name) || !name.ends_with(kBackupSuffix))
      (void)RemoveAll(JoinPath(folder, name)).ok();
  }
}

Result<Response> MakeBackup(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"data", "logs"}));
  const Home& home = hub.registry().home();
  const std::string folder = home.BackupsFolder();
  RETURN_IF_ERROR(MakeDirs(folder, 0700));
  {
    const auto lock = FileLock::Acquire(home.BackupLockPath(), 0);
    if (!lock.ok())
      return Conflict("another backup of this home is being made", "wait until it has finished");
    RemoveHalfMade(folder);
  }
  const std::string name = NameOfBackup(home.root(), "-" + RandomId().substr(0, 6));
  JobWork work;
  work.kind = "backup";
  work.scope = "instance:backups";
  work.what = "backup";
  work.output = name;
  work.reason = "asked for";
  const bool data = FindMember(body, "data") == nullptr || BodyFlag(body, "data");
  work.run =
      [root = home.root(), path = JoinPath(folder, name), data,
       logs = BodyFlag(body, "logs")](const ActivityContext& context) -> Result<ActivityRecord> {
    BackupOptions options;
    options.data = data;
    options.logs = logs;
    options.cancel = context.cancel;
    options.on_progress = [&](double part) { context.on_progress({"", part, 0, ""}); };
    ASSIGN_OR_RETURN(const BackupReport report, CreateBackup(root, path, options));
    Json details = BackupToJson(report);
    details["backup"] = BaseName(report.path);
    ActivityRecord activity;
    activity.details_json = DumpJson(details);
    return activity;
  };
  ASSIGN_OR_RETURN(const std::string id,
                   hub.jobs().Start(ProjectDefinition(), std::move(work), request.who));
  return JsonResponse({{"job", id}, {"backup", name}}, 202);
}

Result<Response> FetchBackup(Hub& hub, const Request& request) {
  Response response;
  ASSIGN_OR_RETURN(response.file, BackupPath(hub, request));
  response.content_type = "application/x-tar";
  return response;
}

Result<Response> DeleteBackup(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const std::string path, BackupPath(hub, request));
  RETURN_IF_ERROR(RemoveAll(path));
  return JsonResponse({{"deleted", BaseName(path)}});
}

Result<Response> Doctor(Hub& hub, const Request& request) {
  const auto deep = request.query.find("deep");
  return JsonResponse(HealthToJson(ExamineHome(
      hub.registry().home().root(), deep != request.query.end() && deep->second == "true")));
}

}  // namespace

void AddBackupRoutes(Hub& hub, Router* router) {
  const auto add = [&](const char* method, const char* pattern, const char* summary,
                       Result<Response> (*handler)(Hub&, const Request&), RouteDetails details) {
    router->Add({method, pattern, "admin", summary,
                 [&hub, handler](const Request& r) { return handler(hub, r); },
                 std::move(details)});
  };
  add("GET", "/api/v1/doctor", "checks libraries, disk and the home; ?deep: reads every blob",
      Doctor,
      {.query = Keys({{"deep", "boolean", false, "read every blob and compare its hash"}}),
       .answer = AnswersList("HealthCheck"),
       .waits = AlwaysWaits});
  add("GET", "/api/v1/backups", "backups that were made over HTTP and not deleted", ListBackups,
      {.query = NoKeys(), .paged = ListKey{"backup"}, .answer = AnswersList("Backup")});
  add("POST", "/api/v1/backups", "makes a backup of the home: a job", MakeBackup,
      {.body = Keys({{"data", "boolean", false, "with the data of managed datasets (true)"},
                     {"logs", "boolean", false, "with the logs of jobs (false)"}}),
       .query = NoKeys(),
       .status = 202});
  add("GET", "/api/v1/backups/{backup}", "the backup: a tar archive for `slipway restore`",
      FetchBackup, {.query = NoKeys(), .content_type = "application/x-tar"});
  add("DELETE", "/api/v1/backups/{backup}", "removes a backup from the hub's disk", DeleteBackup,
      {.query = NoKeys()});
}

}  // namespace slipway
