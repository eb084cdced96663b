#include "slipway/registry/home.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/registry/home_database.h"
#include "slipway/store/postgres_url.h"

namespace slipway {
namespace {

// 2: the registry may be elsewhere, which a Slipway that knows only 1 would not notice.
constexpr int64_t kHomeFormat = 2;
constexpr std::array<std::string_view, 8> kParts = {
    "registry.db", "registry.db-journal", "lock", "lock.info", "blobs", "jobs", "logs",
    "init.json"};

std::string HomeFile(const std::string& folder) { return JoinPath(folder, "home.json"); }

// Nothing but what an interrupted init may have left.
Status CheckNothingElseIn(const std::string& folder) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(folder));
  for (const std::string& name : names) {
    const bool ours = std::find(kParts.begin(), kParts.end(), name) != kParts.end() ||
                      name == "data" || name.starts_with("home.json.tmp") ||
                      name.starts_with("init.json.tmp");
    if (!ours) {
      return Conflict("'" + folder + "' is not empty: it holds '" + name + "'",
                      "give a new or an empty folder to `slipway init`");
    }
  }
  return {};
}

// The id that an interrupted init gave, or a new one: by it the next init knows the registry that
// it made.
Result<std::string> InitId(const std::string& folder) {
  const std::string path = JoinPath(folder, "init.json");
  if (auto text = ReadFile(path, 4096); text.ok()) {
    auto json = ParseJson(*text);
    auto id = json.ok() ? GetString(*json, "id") : Result<std::string>(json.error());
    if (id.ok()) return id;
  }
  const std::string id = RandomId();
  RETURN_IF_ERROR(WriteFileAtomic(path, DumpJson({{"id", id}}) + "\n"));
  return id;
}

Status MakeContent(const std::string& folder, const std::string& registry) {
  for (const char* part : {"blobs/sha256", "data", "jobs", "logs"}) {
    RETURN_IF_ERROR(MakeDirs(JoinPath(folder, part)));
  }
  ASSIGN_OR_RETURN(const std::string id, InitId(folder));
  RETURN_IF_ERROR(MakeRegistryDatabase(folder, id, registry));
  RETURN_IF_ERROR(FsyncDir(JoinPath(folder, "blobs")));
  RETURN_IF_ERROR(FsyncDir(folder));
  RETURN_IF_ERROR(WriteHomeFile(folder, id, registry));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(folder));
  for (const std::string& name : names) {
    if (name.starts_with("init.json") || name.starts_with("home.json.tmp"))
      ::unlink(JoinPath(folder, name).c_str());
  }
  return {};
}

void CloseToOthers(const std::string& path, mode_t mode) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0 || S_ISLNK(info.st_mode)) return;
  if (info.st_uid == ::geteuid() && (info.st_mode & 077) != 0) ::chmod(path.c_str(), mode);
}

// The registry's URL: the environment's wins over the remembered one.
Result<std::string> RegistryUrl(const Json& json, const std::string& root) {
  std::string url;
  if (json.contains("registry")) {
    auto remembered = GetString(json, "registry");
    if (!remembered.ok()) return Corruption(remembered.error().message);
    url = *remembered;
  }
  const std::string asked = RegistryFromEnvironment();
  if (asked.empty()) return url;
  if (url.empty()) {
    return Conflict("home '" + root +
                        "' keeps its metadata in its own registry.db, not in the "
                        "registry that was given",
                    "leave out --registry and $SLIPWAY_REGISTRY; `slipway backup` and `slipway "
                    "restore --registry URL` move a home to PostgreSQL");
  }
  return asked;
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
  if (auto id = GetString(*json, "id"); id.ok()) home.id_ = *id;
  auto url = RegistryUrl(*json, home.root_);
  if (!url.ok() && url.error().code == ErrorCode::kCorruption)
    return Corruption(where + " is damaged: " + url.error().message);
  if (!url.ok()) return std::move(url).error();
  home.registry_url_ = *std::move(url);
  return home;
}

std::string Home::RegistryName() const {
  if (!shared()) return DatabasePath();
  auto url = ParsePostgresUrl(registry_url_);
  return url.ok() ? url->shown : "postgresql://";
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

void CloseHomeToOthers(const std::string& root) {
  CloseToOthers(root, 0700);
  const auto names = ListDir(root);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (name.starts_with("registry.db")) CloseToOthers(JoinPath(root, name), 0600);
  }
}

std::string RegistryFromEnvironment() {
  const char* url = std::getenv("SLIPWAY_REGISTRY");
  return url != nullptr ? url : "";
}

Status WriteHomeFile(const std::string& root, const std::string& id, const std::string& registry) {
  Json json = Json::object();
  json["format"] = registry.empty() ? int64_t{1} : kHomeFormat;
  json["created"] = NowText();
  json["id"] = id;
  if (!registry.empty()) {
    ASSIGN_OR_RETURN(const PostgresUrl url, ParsePostgresUrl(registry));
    json["registry"] = url.shown;  // never with a password
  }
  return WriteFileAtomic(HomeFile(root), DumpJson(json, 2) + "\n");
}

Result<bool> InitHome(const std::string& folder, const std::string& registry) {
  std::string root = AbsolutePath(folder);
  if (root.size() > 1 && root.ends_with('/')) root.pop_back();
  if (PathExists(HomeFile(root))) {
    ASSIGN_OR_RETURN(Home existing, Home::Open(root));
    return false;
  }
  if (!registry.empty()) RETURN_IF_ERROR(ParsePostgresUrl(registry));
  RETURN_IF_ERROR(MakeDirs(root));
  RETURN_IF_ERROR(CheckNothingElseIn(root));
  CloseHomeToOthers(root);
  ASSIGN_OR_RETURN(const FileLock lock, FileLock::Acquire(JoinPath(root, "lock"), 10));
  if (PathExists(HomeFile(root))) return false;  // another init was quicker
  RETURN_IF_ERROR(MakeContent(root, registry));
  CloseHomeToOthers(root);
  RETURN_IF_ERROR(FsyncDir(DirName(root)));
  return true;
}

namespace {

std::string HolderText() { return "process " + std::to_string(::getpid()) + ":"; }

}  // namespace

Result<HomeLock> HomeLock::Acquire(const Home& home, double timeout_seconds,
                                   std::string_view command, FileLock::Kind kind) {
  if (::access(home.root().c_str(), W_OK) != 0)
    return FileError("write to the home", home.root(), errno);
  auto lock = FileLock::Acquire(home.LockPath(), timeout_seconds, kind);
  if (!lock.ok()) {
    if (lock.error().code != ErrorCode::kUnavailable) return std::move(lock).error();
    auto info = ReadFile(home.LockInfoPath(), 4096);
    const std::string holder = info.ok() ? std::string(Trim(*info)) : std::string();
    return Unavailable(
        "home '" + home.root() + "' is in use by " + (holder.empty() ? "another process" : holder),
        "wait until it has finished, or stop it, and run the command again");
  }
  // For people only: a lock without it works as well.
  std::ofstream(home.LockInfoPath(), std::ios::trunc) << HolderText() << " " << command << "\n";
  return HomeLock(*std::move(lock), home.LockInfoPath());
}

HomeLock::~HomeLock() {
  if (!lock_.held()) return;
  // Of several, another one may have written it since.
  if (const auto info = ReadFile(info_path_, 4096); info.ok() && info->starts_with(HolderText()))
    ::unlink(info_path_.c_str());
}

}  // namespace slipway
