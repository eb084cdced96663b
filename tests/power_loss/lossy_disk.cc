#include "lossy_disk.h"

#include <cerrno>
#include <cstdarg>
#include <mutex>
#include <optional>
#include <vector>

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "disk_model.h"

namespace slipway {
namespace {

std::recursive_mutex g_mutex;
Disk* g_disk = nullptr;

// Held by one call; null outside of a test's power loss, and within our own calls.
class Here {
 public:
  Here() : lock_(g_mutex), disk_(g_inside ? nullptr : g_disk) { g_inside = true; }
  ~Here() {
    if (outermost_) g_inside = false;
  }
  Here(const Here&) = delete;
  Here& operator=(const Here&) = delete;
  Disk* operator->() const { return disk_; }
  explicit operator bool() const { return disk_ != nullptr; }

 private:
  static thread_local bool g_inside;
  const bool outermost_ = !g_inside;
  std::lock_guard<std::recursive_mutex> lock_;
  Disk* disk_;
};
thread_local bool Here::g_inside = false;

bool Exists(int folder, const char* path) {
  struct stat info{};
  return ::syscall(SYS_newfstatat, folder, path, &info, 0) == 0;
}

int Open(int folder, const char* path, int flags, mode_t mode) {
  Here here;
  const auto below = here ? here->Below(folder, path) : std::nullopt;
  if (!below) return RealOpen(folder, path, flags, mode);
  const bool existed = Exists(folder, path);
  if (existed) here->Find(*below);  // taken in as it is before it is truncated
  if ((!existed && (flags & O_CREAT) != 0) || (flags & O_TRUNC) != 0) here->Tick();
  const int fd = RealOpen(folder, path, flags, mode);
  if (fd >= 0) here->Opened(fd, *below, flags, existed);
  return fd;
}

int Rename(int from_folder, const char* from, int to_folder, const char* to) {
  Here here;
  const auto from_below = here ? here->Below(from_folder, from) : std::nullopt;
  const auto to_below = here ? here->Below(to_folder, to) : std::nullopt;
  if (from_below || to_below) here->Tick();
  const int node = from_below ? here->Find(*from_below) : -1;
  const int done = static_cast<int>(::syscall(SYS_renameat, from_folder, from, to_folder, to));
  if (done != 0 || (!from_below && !to_below)) return done;
  std::vector<NameChange> changes;
  if (from_below) {
    const auto [folder, name] = here->Split(*from_below);
    changes.push_back({folder, name, std::nullopt});
  }
  if (to_below && node >= 0) {
    const auto [folder, name] = here->Split(*to_below);
    changes.push_back({folder, name, node});
  }
  if (!changes.empty()) here->Name(std::move(changes));
  if (to_below && node < 0) here->Find(*to_below);  // from outside: new, and not synced
  return done;
}

int Unlink(int folder, const char* path, int flags) {
  Here here;
  const auto below = here ? here->Below(folder, path) : std::nullopt;
  int node = -1;
  if (below) {
    here->Tick();
    node = here->Find(*below);
  }
  const int done = static_cast<int>(::syscall(SYS_unlinkat, folder, path, flags));
  if (done == 0 && node >= 0) {
    const auto [parent, name] = here->Split(*below);
    here->Name({{parent, name, std::nullopt}});
  }
  return done;
}

int Sync(int fd) {
  Here here;
  if (here && here->Knows(fd)) {
    here->Tick();
    here->Synced(fd);
  }
  return 0;
}

// The bytes that a call has put at the descriptor's place.
ssize_t WriteAt(int fd, const void* bytes, size_t size, int64_t offset) {
  Here here;
  const bool ours = here && here->Knows(fd);
  if (ours) here->Tick();
  int64_t at = offset;
  if (ours && offset < 0) {
    const long flags = ::syscall(SYS_fcntl, fd, F_GETFL);
    at = ::syscall(SYS_lseek, fd, 0, (flags & O_APPEND) != 0 ? SEEK_END : SEEK_CUR);
  }
  const ssize_t n =
      offset < 0 ? RealWrite(fd, bytes, size) : ::syscall(SYS_pwrite64, fd, bytes, size, offset);
  if (ours && n > 0) here->Written(fd, at, static_cast<const char*>(bytes), static_cast<size_t>(n));
  return n;
}

// After the kernel itself has copied to the descriptor's place.
void Copied(const Here& here, int fd, ssize_t n) {
  if (!here || n <= 0 || !here->Knows(fd)) return;
  std::string bytes(static_cast<size_t>(n), '\0');
  const int64_t end = ::syscall(SYS_lseek, fd, 0, SEEK_CUR);
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const int reading = RealOpen(AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC, 0);
  const ssize_t got = ::syscall(SYS_pread64, reading, bytes.data(), bytes.size(), end - n);
  ::syscall(SYS_close, reading);
  if (got == n) here->Written(fd, end - n, bytes.data(), bytes.size());
}

}  // namespace

void BeginPowerLoss(const PowerLoss& plan) {
  std::lock_guard lock(g_mutex);
  g_disk = new Disk(plan);  // for the rest of the process
}

void LosePowerNow() {
  std::lock_guard lock(g_mutex);
  g_disk->Lose();
}

}  // namespace slipway

using slipway::Here;

// The C library's functions, for the whole process.
extern "C" {

static mode_t ModeOf(int flags, va_list list) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(list, int)) : 0;
}

int open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = ModeOf(flags, list);
  va_end(list);
  return slipway::Open(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = ModeOf(flags, list);
  va_end(list);
  return slipway::Open(AT_FDCWD, path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = ModeOf(flags, list);
  va_end(list);
  return slipway::Open(folder, path, flags, mode);
}
int openat64(int folder, const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = ModeOf(flags, list);
  va_end(list);
  return slipway::Open(folder, path, flags, mode);
}
int __open_2(const char* path, int flags) { return slipway::Open(AT_FDCWD, path, flags, 0); }
int __open64_2(const char* path, int flags) { return slipway::Open(AT_FDCWD, path, flags, 0); }

int close(int fd) {
  Here here;
  if (here) here->Closed(fd);
  return static_cast<int>(::syscall(SYS_close, fd));
}

ssize_t write(int fd, const void* bytes, size_t size) {
  return slipway::WriteAt(fd, bytes, size, -1);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  return slipway::WriteAt(fd, bytes, size, offset);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) {
  return slipway::WriteAt(fd, bytes, size, offset);
}
ssize_t writev(int fd, const iovec* pieces, int count) {
  ssize_t all = 0;
  for (int i = 0; i < count; ++i) {
    const ssize_t n = slipway::WriteAt(fd, pieces[i].iov_base, pieces[i].iov_len, -1);
    if (n < 0) return all > 0 ? all : n;
    all += n;
    if (static_cast<size_t>(n) < pieces[i].iov_len) break;
  }
  return all;
}
ssize_t sendfile(int to, int from, off_t* offset, size_t size) noexcept {
  Here here;
  if (here && here->Knows(to)) here->Tick();
  const ssize_t n = ::syscall(SYS_sendfile, to, from, offset, size);
  slipway::Copied(here, to, n);
  return n;
}
ssize_t copy_file_range(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t size,
                        unsigned flags) {
  Here here;
  if (here && here->Knows(to)) here->Tick();
  const ssize_t n = ::syscall(SYS_copy_file_range, from, from_offset, to, to_offset, size, flags);
  if (to_offset == nullptr) slipway::Copied(here, to, n);
  return n;
}

int ftruncate(int fd, off_t size) noexcept {
  Here here;
  const bool ours = here && here->Knows(fd);
  if (ours) here->Tick();
  const int done = static_cast<int>(::syscall(SYS_ftruncate, fd, size));
  if (ours && done == 0) here->Truncated(fd, size);
  return done;
}
int ftruncate64(int fd, off64_t size) noexcept { return ftruncate(fd, size); }

int fsync(int fd) { return slipway::Sync(fd); }
int fdatasync(int fd) { return slipway::Sync(fd); }

int rename(const char* from, const char* to) noexcept {
  return slipway::Rename(AT_FDCWD, from, AT_FDCWD, to);
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  return slipway::Rename(from_folder, from, to_folder, to);
}
int unlink(const char* path) noexcept { return slipway::Unlink(AT_FDCWD, path, 0); }
int rmdir(const char* path) noexcept { return slipway::Unlink(AT_FDCWD, path, AT_REMOVEDIR); }
int unlinkat(int folder, const char* path, int flags) noexcept {
  return slipway::Unlink(folder, path, flags);
}

int link(const char* from, const char* to) noexcept {
  Here here;
  const auto from_below = here ? here->Below(AT_FDCWD, from) : std::nullopt;
  const auto to_below = here ? here->Below(AT_FDCWD, to) : std::nullopt;
  if (to_below) here->Tick();
  const int node = from_below ? here->Find(*from_below) : -1;
  const int done = static_cast<int>(::syscall(SYS_link, from, to));
  if (done == 0 && to_below && node >= 0) {
    const auto [folder, name] = here->Split(*to_below);
    here->Name({{folder, name, node}});
  }
  return done;
}

int mkdir(const char* path, mode_t mode) noexcept {
  Here here;
  const auto below = here ? here->Below(AT_FDCWD, path) : std::nullopt;
  if (below) here->Tick();
  const int done = static_cast<int>(::syscall(SYS_mkdir, path, mode));
  if (done == 0 && below) {
    const auto [folder, name] = here->Split(*below);
    if (folder >= 0) here->Name({{folder, name, here->Make(true)}});
  }
  return done;
}

}  // extern "C"
