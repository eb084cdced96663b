#include "slipway/registry/home.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

#include <fcntl.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/registry/schema.h"
#include "slipway/store/sqlite.h"

namespace slipway {
namespace {

constexpr int64_t kHomeFormat = 1;
constexpr std::array<std::string_view, 7> kParts = {
    "registry.db", "registry.db-journal", "lock", "lock.info", "blobs", "jobs", "logs"};

std::string HomeFile(const std::string& folder) { return JoinPath(folder, "home.json"); }

// Nothing but what an interrupted init may have left.
Status CheckNothingElseIn(const std::string& folder) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(folder));
  for (const std::string& name : names) {
    const bool ours = std::find(kParts.begin(), kParts.end(), name) != kParts.end() ||
                      name == "data" || name.starts_with("home.json.tmp");
    if (!ours) {
      return Conflict("'" + folder + "' is not empty: it holds '" + name + "'",
                      "give a new or an empty folder to `slipway init`");
    }
  }
  return {};
}

Status MakeContent(const std::string& folder) {
  for (const char* part : {"blobs/sha256", "data", "jobs", "logs"}) {
    RETURN_IF_ERROR(MakeDirs(JoinPath(folder, part)));
  }
  const std::string path = JoinPath(folder, "registry.db");
  ASSIGN_OR_RETURN(auto database, OpenSqlite(path, SqliteMode::kCreate));
  RETURN_IF_ERROR(Migrate(*database, RegistrySchema(), "home '" + folder + "'"));
  RETURN_IF_ERROR(FsyncDir(JoinPath(folder, "blobs")));
  RETURN_IF_ERROR(FsyncDir(folder));
  Json json = Json::object();
  json["format"] = kHomeFormat;
  json["created"] = NowText();
  return WriteFileAtomic(HomeFile(folder), DumpJson(json, 2) + "\n");
}

}  // namespace

Result<Home> Home::Open(const std::string& folder) {
  Home home;
  home.root_ = AbsolutePath(folder);
  if (home.root_.size() > 1 && home.root_.ends_with('/')) home.root_.pop_back();
  auto text = ReadFile(HomeFile(home.root_), 1 << 20);
  if (!text.ok() && text.error().code == ErrorCode::kNotFound) {
    const bool exists = PathExists(home.root_);
    return NotFound(exists ? "'" + home.root_ + "' is not a Slipway home (it has no home.json)"
                           : "there is no Slipway home at '" + home.root_ + "'",
                    "make one with `slipway init " + home.root_ + "`, or name another with --home");
  }
  if (!text.ok()) return std::move(text).error();
  const std::string where = "'" + HomeFile(home.root_) + "'";
  auto json = ParseJson(*text);
  if (!json.ok() || !json->is_object()) {
    return Corruption(
        where + " is damaged: " + (json.ok() ? "not an object" : json.error().message),
        "restore it from a backup");
  }
  auto format = GetInt(*json, "format");
  if (!format.ok()) return Corruption(where + " is damaged: " + format.error().message);
  if (*format > kHomeFormat) {
    return InvalidArgument("home '" + home.root_ + "' was made by a newer Slipway: its format is " +
                               std::to_string(*format) + ", this one knows up to " +
                               std::to_string(kHomeFormat),
                           "use that newer Slipway, or another home");
  }
  if (auto created = GetString(*json, "created"); created.ok()) home.created_at_ = *created;
  return home;
}

std::string Home::BlobPath(std::string_view hash) const {
  return JoinPath(JoinPath(BlobsFolder(), hash.substr(0, 2)), hash);
}
std::string Home::ProjectDataFolder(std::string_view project) const {
  return JoinPath(JoinPath(root_, "data"), project);
}
std::string Home::DataFolder(std::string_view project, std::string_view dataset) const {
  return JoinPath(ProjectDataFolder(project), dataset);
}
std::string Home::JobFolder(std::string_view job) const { return JoinPath(JobsFolder(), job); }
std::string Home::JobWorkFolder(std::string_view job) const {
  return JoinPath(JobFolder(job), "work");
}
std::string Home::JobLogPath(std::string_view job) const {
  return JoinPath(JobFolder(job), "log.txt");
}
std::string Home::JobLockPath(std::string_view job) const {
  return JoinPath(JobFolder(job), "lock");
}

Result<bool> InitHome(const std::string& folder) {
  std::string root = AbsolutePath(folder);
  if (root.size() > 1 && root.ends_with('/')) root.pop_back();
  if (PathExists(HomeFile(root))) {
    ASSIGN_OR_RETURN(Home existing, Home::Open(root));
    return false;
  }
  RETURN_IF_ERROR(MakeDirs(root));
  RETURN_IF_ERROR(CheckNothingElseIn(root));
  ASSIGN_OR_RETURN(const FileLock lock, FileLock::Acquire(JoinPath(root, "lock"), 10));
  if (PathExists(HomeFile(root))) return false;  // another init was quicker
  RETURN_IF_ERROR(MakeContent(root));
  RETURN_IF_ERROR(FsyncDir(DirName(root)));
  return true;
}

Result<HomeLock> HomeLock::Acquire(const Home& home, double timeout_seconds,
                                   std::string_view command) {
  if (::access(home.root().c_str(), W_OK) != 0)
    return FileError("write to the home", home.root(), errno);
  auto lock = FileLock::Acquire(home.LockPath(), timeout_seconds);
  if (!lock.ok()) {
    if (lock.error().code != ErrorCode::kUnavailable) return std::move(lock).error();
    auto info = ReadFile(home.LockInfoPath(), 4096);
    const std::string holder = info.ok() ? std::string(Trim(*info)) : std::string();
    return Unavailable(
        "home '" + home.root() + "' is in use by " + (holder.empty() ? "another process" : holder),
        "wait until it has finished, or stop it, and run the command again");
  }
  // For people only: a lock without it works as well.
  std::ofstream(home.LockInfoPath(), std::ios::trunc)
      << "process " << ::getpid() << ": " << command << "\n";
  return HomeLock(*std::move(lock), home.LockInfoPath());
}

HomeLock::~HomeLock() {
  if (lock_.held()) ::unlink(info_path_.c_str());
}

}  // namespace slipway
