#include "slipway/registry/stray.h"

#include <cstdint>

#include <sys/stat.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"

namespace slipway {

bool IsOlderThan(const std::string& path, double seconds) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return false;
  const int64_t changed = int64_t{info.st_mtim.tv_sec} * 1'000'000 + info.st_mtim.tv_nsec / 1000;
  return static_cast<double>(NowMicros() - changed) >= seconds * 1e6;
}

bool RemoveIfOld(const std::string& path, double seconds) {
  return IsOlderThan(path, seconds) && RemoveAll(path).ok();
}

void RemoveUnlessBackup(const Home& home, const std::string& path) {
  if (!FileLock::IsHeld(home.BackupLockPath())) (void)RemoveAll(path).ok();
}

}  // namespace slipway
