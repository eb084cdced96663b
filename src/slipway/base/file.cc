#include "slipway/base/file.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "slipway/base/clock.h"

namespace slipway {
namespace fs = std::filesystem;
namespace {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  int Close() {
    int fd = fd_;
    fd_ = -1;
    return ::close(fd);
  }

 private:
  int fd_;
};

Status WriteAll(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("write", path, errno);
    content.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Status FsyncPath(const std::string& path, int flags) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (fd.get() < 0) return FileError("open", path, errno);
  if (::fsync(fd.get()) != 0) return FileError("fsync", path, errno);
  return {};
}

}  // namespace

Error FileError(std::string_view action, const std::string& path, int error_number) {
  std::string message =
      "cannot " + std::string(action) + " '" + path + "': " + std::strerror(error_number);
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return NotFound(std::move(message));
    case EACCES:
    case EPERM:
    case EROFS:
      return PermissionDenied(std::move(message),
                              "check the owner and the mode of the file and its folder");
    case ENOSPC:
    case EDQUOT:
      return Unavailable(std::move(message),
                         "free some disk space and run the command again; nothing was changed");
    default:
      return Unavailable(std::move(message));
  }
}

Result<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return FileError("open", path, errno);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return FileError("read", path, errno);
  if (S_ISDIR(info.st_mode)) return InvalidArgument("'" + path + "' is a folder, not a file");
  std::string out;
  if (S_ISREG(info.st_mode))
    out.reserve(std::min(static_cast<size_t>(info.st_size), max_bytes) + 1);
  char buffer[1 << 16];
  for (;;) {
    ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("read", path, errno);
    if (n == 0) return out;
    if (out.size() + static_cast<size_t>(n) > max_bytes) {
      return InvalidArgument("'" + path + "' is larger than the limit of " +
                             std::to_string(max_bytes) + " bytes");
    }
    out.append(buffer, static_cast<size_t>(n));
  }
}

Status WriteFileAtomic(const std::string& path, std::string_view content, int mode) {
  static std::atomic<int> counter{0};
  const std::string temp =
      path + ".tmp" + std::to_string(::getpid()) + "." + std::to_string(counter++);
  auto write = [&]() -> Status {
    Fd fd(::open(temp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (fd.get() < 0) return FileError("create", temp, errno);
    RETURN_IF_ERROR(WriteAll(fd.get(), content, path));
    if (::fsync(fd.get()) != 0) return FileError("fsync", path, errno);
    if (fd.Close() != 0) return FileError("close", path, errno);
    return {};
  };
  Status status = write();
  if (status.ok()) status = RenameDurably(temp, path);
  if (!status.ok()) ::unlink(temp.c_str());
  return status;
}

Status CreateEmptyFile(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (fd.get() < 0) return FileError("create", path, errno);
  return {};
}

Status FsyncFile(const std::string& path) { return FsyncPath(path, O_RDONLY); }
Status FsyncDir(const std::string& path) { return FsyncPath(path, O_RDONLY | O_DIRECTORY); }

Status RenameDurably(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return FileError("rename '" + from + "' to", to, errno);
  return FsyncDir(DirName(to));
}

Status MakeDirs(const std::string& path, int mode) {
  if (path.empty()) return InvalidArgument("empty folder name");
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return Conflict("'" + path + "' exists and is not a folder");
  }
  const std::string parent = DirName(path);
  if (parent != path) RETURN_IF_ERROR(MakeDirs(parent, mode));
  if (::mkdir(path.c_str(), static_cast<mode_t>(mode)) != 0 && errno != EEXIST) {
    return FileError("make the folder", path, errno);
  }
  return {};
}

Status RemoveAll(const std::string& path) {
  std::error_code ec;
  fs::remove_all(path, ec);
  if (ec) return FileError("remove", path, ec.value());
  return {};
}

bool PathExists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

bool IsDirectory(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Result<int64_t> FileSize(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return FileError("stat", path, errno);
  return static_cast<int64_t>(info.st_size);
}

Result<std::vector<std::string>> ListDir(const std::string& path) {
  std::error_code ec;
  std::vector<std::string> out;
  for (fs::directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec)) {
    out.push_back(it->path().filename().string());
  }
  if (ec) return FileError("list", path, ec.value());
  std::sort(out.begin(), out.end());
  return out;
}

std::string JoinPath(std::string_view a, std::string_view b) {
  return (fs::path(a) / fs::path(b)).string();
}

std::string DirName(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string BaseName(const std::string& path) { return fs::path(path).filename().string(); }

std::string AbsolutePath(const std::string& path) {
  std::error_code ec;
  fs::path absolute = fs::absolute(path, ec);
  return ec ? path : absolute.lexically_normal().string();
}

std::string ExecutablePath() {
  std::error_code ec;
  return fs::read_symlink("/proc/self/exe", ec).string();
}

std::string ExecutableDir() { return DirName(ExecutablePath()); }

Result<FileLock> FileLock::Acquire(const std::string& path, double timeout_seconds, Kind kind) {
  const int wanted = kind == Kind::kShared ? LOCK_SH : LOCK_EX;
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return FileError("open", path, errno);
  const double deadline = SteadySeconds() + timeout_seconds;
  while (::flock(fd, wanted | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      Error error = FileError("lock", path, errno);
      ::close(fd);
      return error;
    }
    if (SteadySeconds() >= deadline) {
      ::close(fd);
      return Unavailable("'" + path + "' is locked by another process");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  FileLock lock;
  lock.fd_ = fd;
  return lock;
}

bool FileLock::IsHeld(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (fd.get() < 0) return false;
  return ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<TempDir> TempDir::Make(const std::string& parent) {
  std::string base = parent;
  if (base.empty()) {
    const char* env = std::getenv("TMPDIR");
    base = env != nullptr && *env != '\0' ? env : "/tmp";
  }
  std::string name = JoinPath(base, "slipway-XXXXXX");
  if (::mkdtemp(name.data()) == nullptr)
    return FileError("make a temporary folder in", base, errno);
  TempDir dir;
  dir.path_ = name;
  return dir;
}

TempDir::TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, "")) {}
TempDir& TempDir::operator=(TempDir&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}
TempDir::~TempDir() {
  if (!path_.empty()) (void)RemoveAll(path_).ok();
}

}  // namespace slipway
