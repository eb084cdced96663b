// backup and restore: like init and doctor they need no hub. A backup takes no lock; of a hub on
// --server it is fetched.
#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/terminal.h"
#include "slipway/registry/backup.h"
#include "slipway/registry/home.h"

namespace slipway {
namespace {

struct Options {
  std::string file, folder;
  bool no_data = false, logs = false, check = false;
};

std::string Contents(const BackupReport& report) {
  std::string text =
      FormatCount(report.blobs) + " blobs, " + FormatCount(report.datasets) + " datasets";
  if (report.logs > 0) text += ", " + FormatCount(report.logs) + " job logs";
  return text + ", " + FormatBytes(report.bytes);
}

// A folder gets a file of this name in it.
std::string TargetOf(const std::string& given, const std::string& name) {
  const std::string path = AbsolutePath(given);
  return IsDirectory(path) ? JoinPath(path, name) : path;
}

// The hub makes it; then it comes here, is read whole here, and is deleted there.
Result<BackupReport> FetchBackup(Context& context, const Options& options) {
  ASSIGN_OR_RETURN(const Json started,
                   context.Call("POST", "/api/v1/backups",
                                {{"data", !options.no_data}, {"logs", options.logs}}));
  const std::string id = started["job"].get<std::string>();
  const std::string name = started["backup"].get<std::string>();
  const std::string there = ApiPath("/api/v1/backups/{}", {name});
  const auto fetch = [&]() -> Result<BackupReport> {
    ProgressBar bar("backup", context.quiet || context.json);
    RETURN_IF_ERROR(context.Follow(id, [&](const JobEvent& event) {
      if (event.kind == JobEvent::Kind::kProgress) bar.Update(event.progress.part, 0, "");
    }));
    bar.Clear();
    ASSIGN_OR_RETURN(const Json job, context.Call("GET", "/api/v1/jobs/" + id));
    if (job["status"] != "done") return ErrorOfJob(job, "no backup was made");
    if (g_interrupted) return Cancelled("aborted; no backup was made");
    const std::string target = TargetOf(options.file, name);
    RETURN_IF_ERROR(context.Download(there, target));
    auto report = VerifyBackup(target);
    if (!report.ok()) {
      (void)RemoveAll(target).ok();
      return report.error().Within("the backup that came from the hub was read here");
    }
    report->path = target;
    return report;
  };
  Result<BackupReport> report = fetch();
  // Also of one that is not wanted any more.
  const auto removed = context.Call("DELETE", there);
  if (report.ok() && !removed.ok()) return removed.error();
  return report;
}

Result<int> Backup(Context& context, const Options& options) {
  Json json;
  BackupReport report;
  if (!context.server_flag.empty() || !context.key_file_flag.empty()) {
    const std::string file = AbsolutePath(options.file);
    if (PathExists(file) && !IsDirectory(file))
      return Conflict("'" + file + "' exists already", "give another name, or remove it first");
    if (!IsDirectory(DirName(file)))
      return NotFound("there is no folder '" + DirName(file) + "' for the backup",
                      "make it first, or give another name");
    ASSIGN_OR_RETURN(report, FetchBackup(context, options));
    json = BackupToJson(report);
    if (!context.server_flag.empty()) json["server"] = context.server_flag;
  } else {
    const std::string home = context.HomePath();
    ProgressBar bar("backup", context.quiet || context.json);
    BackupOptions what;
    what.data = !options.no_data;
    what.logs = options.logs;
    what.cancel = &g_interrupted;
    what.on_progress = [&](double part) { bar.Update(part, 0, ""); };
    ASSIGN_OR_RETURN(report, CreateBackup(home, TargetOf(options.file, NameOfBackup(home)), what));
    bar.Clear();
    json = BackupToJson(report);
    json["home"] = home;
  }
  RETURN_IF_ERROR(
      context.Print("backup " + report.path + ": " + Contents(report) + ", verified\n", json));
  return kExitDone;
}

Result<int> Restore(Context& context, const Options& options) {
  RETURN_IF_ERROR(context.NeedsHome("restore"));
  const std::string file = AbsolutePath(options.file);
  if (options.check) {
    ASSIGN_OR_RETURN(const BackupReport report, VerifyBackup(file));
    RETURN_IF_ERROR(context.Print(
        "backup " + file + " of " + report.created_at + " is whole: " + Contents(report) + "\n",
        BackupToJson(report)));
    return kExitDone;
  }
  const std::string home =
      options.folder.empty() ? context.HomePath() : AbsolutePath(options.folder);
  ASSIGN_OR_RETURN(const BackupReport report, RestoreBackup(file, home, RegistryFromEnvironment()));
  Json json = BackupToJson(report);
  json["home"] = home;
  for (const std::string& notice : report.notices) context.Warn(notice);
  RETURN_IF_ERROR(context.Print("restored " + home + " from the backup of " + report.created_at +
                                    ": " + Contents(report) + "\n",
                                json));
  return kExitDone;
}

}  // namespace

void AddBackupCommands(CLI::App* app, Invocation* invocation) {
  static Options options;
  CLI::App* backup = app->add_subcommand(
      "backup", "the home as one file, also while others work in it; with --server, the hub's");
  backup->add_option("FILE", options.file, "a new file, or a folder to put one into")->required();
  backup->add_flag("--no-data", options.no_data,
                   "without the data of managed datasets: restored, they have to be built again");
  backup->add_flag("--logs", options.logs, "also the logs of jobs");
  Handle(backup, invocation, [](Context& c) { return Backup(c, options); });
  CLI::App* restore = app->add_subcommand("restore", "a new home from a backup");
  restore->add_option("FILE", options.file, "what `slipway backup` made")->required();
  restore->add_option("DIR", options.folder, "a new or an empty folder (default: --home)");
  restore->add_flag("--check", options.check, "only read the backup and compare every hash");
  Handle(restore, invocation, [](Context& c) { return Restore(c, options); });
}

}  // namespace slipway
