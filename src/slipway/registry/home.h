// Home: the folder that holds an instance's state, and the names of what lies in it
// (architecture.md 4).
//   home.json  registry.db  lock  lock.info  blobs/sha256/ab/<hash>  data/<project>/<dataset>/
//   jobs/<id>/  logs/  secret.key  nodes/<infra>/<n>/
//   registry.db.v<N> (the metadata before a migration)
// With a registry in PostgreSQL there is no registry.db: home.json has the URL, and several
// processes may write at a time.
// A value type; paths only, no open files.
#pragma once

#include <string>
#include <string_view>

#include "slipway/base/file.h"
#include "slipway/base/result.h"

namespace slipway {

class Home {
 public:
  // Reads home.json. Not a home: kNotFound with the hint `slipway init`; of a newer Slipway:
  // kInvalidArgument. $SLIPWAY_REGISTRY, if set, is the URL of its registry (with a password, or
  // from another network); kConflict when the home's registry is its own file.
  static Result<Home> Open(const std::string& folder);

  const std::string& root() const { return root_; }
  const std::string& created_at() const { return created_at_; }
  // The same in home.json and in the registry. Empty in homes older than that.
  const std::string& id() const { return id_; }
  // Its registry is in PostgreSQL.
  bool shared() const { return !registry_url_.empty(); }
  const std::string& registry_url() const { return registry_url_; }  // may hold a password
  std::string RegistryName() const;                                  // for messages
  std::string DatabasePath() const { return JoinPath(root_, "registry.db"); }
  std::string LockPath() const { return JoinPath(root_, "lock"); }
  std::string LockInfoPath() const { return JoinPath(root_, "lock.info"); }
  // Held while a backup reads: what it may still need is not removed meanwhile.
  std::string BackupLockPath() const { return JoinPath(root_, "backup.lock"); }
  std::string BlobsFolder() const { return JoinPath(root_, "blobs/sha256"); }
  std::string BlobPath(std::string_view hash) const;
  std::string DataFolder(std::string_view project, std::string_view dataset) const;
  std::string ProjectDataFolder(std::string_view project) const;
  std::string JobsFolder() const { return JoinPath(root_, "jobs"); }
  std::string JobFolder(std::string_view job) const;
  // Half-made outputs and spill files; removed when the job ends.
  std::string JobWorkFolder(std::string_view job) const;
  std::string JobLogPath(std::string_view job) const;
  std::string JobLockPath(std::string_view job) const;
  // The key of the secrets in the database (secrets.h).
  std::string SecretKeyPath() const { return JoinPath(root_, "secret.key"); }
  // API nodes that run on this machine.
  std::string NodesFolder() const { return JoinPath(root_, "nodes"); }
  // Held by the process that updates the deployment.
  std::string DeploymentLockPath(std::string_view deployment) const {
    return JoinPath(root_, "nodes/." + std::string(deployment) + ".lock");
  }
  std::string LogsFolder() const { return JoinPath(root_, "logs"); }
  // Backups that were asked for over HTTP, until they are deleted there.
  std::string BackupsFolder() const { return JoinPath(root_, "backups"); }

 private:
  std::string root_;  // absolute
  std::string created_at_;
  std::string id_;
  std::string registry_url_;
};

// Makes a home (also in an existing empty folder); `registry` is a postgresql:// URL, or empty for
// a registry.db. false: it was one already, nothing changed. A folder with other things in it, or a
// registry that holds another home's metadata: kConflict. home.json is written last, so an
// interrupted init is completed by the next one.
Result<bool> InitHome(const std::string& folder, const std::string& registry = "");
// Nobody but its owner reads a home: the folder becomes 0700, the registry's files 0600. What
// another user owns stays as it is.
void CloseHomeToOthers(const std::string& root);
// $SLIPWAY_REGISTRY, or "".
std::string RegistryFromEnvironment();
// home.json, durably: what makes the folder a home.
Status WriteHomeFile(const std::string& root, const std::string& id, const std::string& registry);

// The home's one writing process; with a shared registry, one of several that are not a hub. Held
// until destroyed; `lock.info` names the (last) holder while it is held.
class HomeLock {
 public:
  // Waits up to `timeout_seconds`, then kUnavailable naming who holds it. `command` is what to tell
  // others, such as "slipway build demo/fare".
  static Result<HomeLock> Acquire(const Home& home, double timeout_seconds,
                                  std::string_view command,
                                  FileLock::Kind kind = FileLock::Kind::kExclusive);
  HomeLock(HomeLock&&) noexcept = default;
  HomeLock& operator=(HomeLock&&) = delete;
  ~HomeLock();

 private:
  HomeLock(FileLock lock, std::string info_path)
      : lock_(std::move(lock)), info_path_(std::move(info_path)) {}
  FileLock lock_;
  std::string info_path_;
};

}  // namespace slipway
