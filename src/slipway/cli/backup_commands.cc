// backup and restore: like init and doctor they need no hub. A backup takes no lock.
#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/registry/backup.h"
#include "slipway/registry/home.h"

namespace slipway {
namespace {

struct Options {
  std::string file, folder;
  bool no_data = false, logs = false, check = false;
};

Json ToJson(const BackupReport& report) {
  return {{"backup", report.path}, {"created", report.created_at}, {"bytes", report.bytes},
          {"blobs", report.blobs}, {"datasets", report.datasets},  {"job_logs", report.logs},
          {"verified", true}};
}

std::string Contents(const BackupReport& report) {
  std::string text =
      FormatCount(report.blobs) + " blobs, " + FormatCount(report.datasets) + " datasets";
  if (report.logs > 0) text += ", " + FormatCount(report.logs) + " job logs";
  return text + ", " + FormatBytes(report.bytes);
}

// A folder gets a file named by the home and the moment: home-20261129T231500Z.tar.
std::string TargetOf(const std::string& given, const std::string& home) {
  const std::string path = AbsolutePath(given);
  if (!IsDirectory(path)) return path;
  std::string moment;
  for (const char c : NowText()) {
    if (c == '.') break;
    if (c != '-' && c != ':') moment += c;
  }
  if (!moment.ends_with('Z')) moment += 'Z';
  return JoinPath(path, BaseName(home) + "-" + moment + ".tar");
}

Result<int> Backup(Context& context, const Options& options) {
  RETURN_IF_ERROR(context.NeedsHome("backup"));
  const std::string home = context.HomePath();
  ASSIGN_OR_RETURN(const BackupReport report,
                   CreateBackup(home, TargetOf(options.file, home),
                                {.data = !options.no_data, .logs = options.logs}));
  Json json = ToJson(report);
  json["home"] = home;
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
        ToJson(report)));
    return kExitDone;
  }
  const std::string home =
      options.folder.empty() ? context.HomePath() : AbsolutePath(options.folder);
  ASSIGN_OR_RETURN(const BackupReport report, RestoreBackup(file, home, RegistryFromEnvironment()));
  Json json = ToJson(report);
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
  CLI::App* backup =
      app->add_subcommand("backup", "the home as one file, also while others work in it");
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
