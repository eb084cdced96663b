// Files: whole reads with a limit, durable atomic writes, locks, temporary folders.
// Errors name the path and the system's reason; a full disk is kUnavailable and says so.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

// The error for a failed system call on `path`, from errno: ENOENT kNotFound, EACCES/EROFS
// kPermissionDenied, ENOSPC/EDQUOT kUnavailable ("no space left on device"), else kUnavailable.
Error FileError(std::string_view action, const std::string& path, int error_number);

Result<std::string> ReadFile(const std::string& path, size_t max_bytes = size_t{1} << 30);

// Durable and all or nothing: temporary file in the same folder, fsync, rename, fsync of the
// folder.
Status WriteFileAtomic(const std::string& path, std::string_view content, int mode = 0644);
// Leaves one that exists as it is. Not durable.
Status CreateEmptyFile(const std::string& path);
Status FsyncFile(const std::string& path);
Status FsyncDir(const std::string& path);
// Atomic rename of a file or folder, then fsync of the target's folder.
Status RenameDurably(const std::string& from, const std::string& to);
// Makes the folder and its parents. No error when it exists.
Status MakeDirs(const std::string& path, int mode = 0755);
Status RemoveAll(const std::string& path);  // no error when absent
bool PathExists(const std::string& path);
bool IsDirectory(const std::string& path);
Result<int64_t> FileSize(const std::string& path);
// Names in a folder, sorted, without "." and "..".
Result<std::vector<std::string>> ListDir(const std::string& path);
std::string JoinPath(std::string_view a, std::string_view b);  // b when b is absolute
std::string DirName(const std::string& path);
std::string BaseName(const std::string& path);
std::string AbsolutePath(const std::string& path);
// Folder of the running executable.
std::string ExecutableDir();
std::string ExecutablePath();

// A flock(2) on a file, exclusive or shared, released by the destructor or the end of the process.
// Movable.
class FileLock {
 public:
  // Makes the file when absent. Waits up to `timeout_seconds`, then kUnavailable. 0: tries once.
  enum class Kind { kExclusive, kShared };
  static Result<FileLock> Acquire(const std::string& path, double timeout_seconds,
                                  Kind kind = Kind::kExclusive);
  // True when some process holds the lock now, of either kind.
  static bool IsHeld(const std::string& path);
  FileLock() = default;
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();
  bool held() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A new private folder (0700), removed with its content by the destructor. Movable.
class TempDir {
 public:
  // Below `parent`, or the system's temporary folder when empty.
  static Result<TempDir> Make(const std::string& parent = "");
  TempDir() = default;
  TempDir(TempDir&& other) noexcept;
  TempDir& operator=(TempDir&& other) noexcept;
  ~TempDir();
  const std::string& path() const { return path_; }
  std::string File(std::string_view name) const { return JoinPath(path_, name); }

 private:
  std::string path_;
};

}  // namespace slipway
