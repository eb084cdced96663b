#include "lossy_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <vector>

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace slipway {
namespace {

struct Write {
  int64_t offset = 0;
  std::string bytes;
  bool truncates = false;  // to `offset`
};

// A file or a folder. Names are kept as they are now and as the disk surely has them.
struct Node {
  bool folder = false;
  std::string durable;         // content
  std::vector<Write> pending;  // since the last sync
  std::map<std::string, int> names;
};

struct NameChange {
  int folder;
  std::string name;
  std::optional<int> node;  // none: the name goes
};

// Several at once for a rename.
struct NameOperation {
  std::vector<NameChange> changes;
  bool durable = false;
};

int RealOpen(int folder, const char* path, int flags, mode_t mode) {
  return static_cast<int>(::syscall(SYS_openat, folder, path, flags, mode));
}
ssize_t RealWrite(int fd, const void* bytes, size_t size) {
  return ::syscall(SYS_write, fd, bytes, size);
}

std::string Content(const std::string& path) {
  std::string out;
  const int fd = RealOpen(AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return out;
  char buffer[1 << 16];
  for (ssize_t n; (n = ::syscall(SYS_read, fd, buffer, sizeof buffer)) > 0;)
    out.append(buffer, static_cast<size_t>(n));
  ::syscall(SYS_close, fd);
  return out;
}

void Apply(const Write& write, std::string* content) {
  const auto offset = static_cast<size_t>(write.offset);
  if (write.truncates) {
    content->resize(offset, '\0');
    return;
  }
  if (content->size() < offset + write.bytes.size())
    content->resize(offset + write.bytes.size(), '\0');
  content->replace(offset, write.bytes.size(), write.bytes);
}

class Disk {
 public:
  explicit Disk(const PowerLoss& plan) : plan_(plan), left_(plan.after), random_(plan.seed) {
    nodes_.push_back({.folder = true});
    Load(plan.root, 0);
    start_ = nodes_;
  }

  // The path below the root, absolute and without . and ..; "" for the root, none outside.
  std::optional<std::string> Below(int folder, const char* path) const {
    std::filesystem::path full(path);
    if (full.is_relative()) {
      const std::string link =
          folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/" + std::to_string(folder);
      char base[4096];
      const ssize_t n = ::syscall(SYS_readlink, link.c_str(), base, sizeof base);
      if (n <= 0) return std::nullopt;
      full = std::filesystem::path(std::string(base, static_cast<size_t>(n))) / full;
    }
    std::string text = full.lexically_normal().string();
    while (text.size() > 1 && text.back() == '/') text.pop_back();
    if (text == plan_.root) return "";
    if (text.starts_with(plan_.root + "/")) return text.substr(plan_.root.size() + 1);
    return std::nullopt;
  }

  // The node of a path; what came to be without us is taken in as new and not synced. -1: not
  // there.
  int Find(const std::string& below) {
    int at = 0;
    std::string so_far = plan_.root;
    for (const auto& part : std::filesystem::path(below)) {
      so_far += "/" + part.string();
      auto& names = nodes_[static_cast<size_t>(at)].names;
      auto found = names.find(part.string());
      if (found == names.end()) {
        struct stat info{};
        if (::syscall(SYS_newfstatat, AT_FDCWD, so_far.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
          return -1;
        const int made = Make(S_ISDIR(info.st_mode));
        if (!S_ISDIR(info.st_mode))
          nodes_[static_cast<size_t>(made)].pending.push_back({0, Content(so_far)});
        Name({{at, part.string(), made}});
        at = made;
      } else {
        at = found->second;
      }
    }
    return at;
  }

  int Make(bool folder) {
    nodes_.push_back({.folder = folder});
    return static_cast<int>(nodes_.size()) - 1;
  }

  void Name(std::vector<NameChange> changes) {
    for (const NameChange& change : changes) {
      auto& names = nodes_[static_cast<size_t>(change.folder)].names;
      if (change.node) names[change.name] = *change.node;
      if (!change.node) names.erase(change.name);
    }
    operations_.push_back({std::move(changes)});
  }

  // {folder's node, last part}.
  std::pair<int, std::string> Split(const std::string& below) {
    const std::filesystem::path path(below);
    return {Find(path.parent_path().string()), path.filename().string()};
  }

  void Opened(int fd, const std::string& below, int flags, bool existed) {
    if (!existed) {
      const auto [folder, name] = Split(below);
      if (folder >= 0) Name({{folder, name, Make(false)}});
    }
    const int node = Find(below);
    if (node < 0) return;
    if (existed && (flags & O_TRUNC) != 0) Change(node, {0, "", true});
    fds_[fd] = {node, plan_.root + (below.empty() ? "" : "/" + below)};
  }
  void Closed(int fd) { fds_.erase(fd); }

  void Written(int fd, int64_t offset, const char* bytes, size_t size) {
    if (auto it = fds_.find(fd); it != fds_.end())
      Change(it->second.first, {offset, std::string(bytes, size)});
  }
  void Truncated(int fd, int64_t size) {
    if (auto it = fds_.find(fd); it != fds_.end()) Change(it->second.first, {size, "", true});
  }
  bool Knows(int fd) const { return fds_.contains(fd); }

  // True: the descriptor is ours, and the sync was taken note of.
  bool Synced(int fd) {
    auto it = fds_.find(fd);
    if (it == fds_.end()) return false;
    const auto& [id, path] = it->second;
    if (plan_.ignored_sync && plan_.ignored_sync(path)) return true;
    Node& node = nodes_[static_cast<size_t>(id)];
    for (const Write& write : node.pending) Apply(write, &node.durable);
    node.pending.clear();
    if (!node.folder) return true;
    for (NameOperation& operation : operations_) {
      for (const NameChange& change : operation.changes) operation.durable |= change.folder == id;
    }
    return true;
  }

  // Before each change: whether it still happens.
  void Tick() {
    if (left_-- <= 0) Lose();
  }

  [[noreturn]] void Lose() {
    // What is on the disk: names first, then contents.
    std::vector<std::map<std::string, int>> names(nodes_.size());
    for (size_t i = 0; i < start_.size(); ++i) names[i] = start_[i].names;
    const std::vector<bool> kept = Survivors(operations_.size());
    for (size_t i = 0; i < operations_.size(); ++i) {
      if (!operations_[i].durable && !kept[i]) continue;
      for (const NameChange& change : operations_[i].changes) {
        auto& folder = names[static_cast<size_t>(change.folder)];
        if (change.node) folder[change.name] = *change.node;
        if (!change.node) folder.erase(change.name);
      }
    }
    Store(plan_.image, 0, names, 0);
    ::syscall(SYS_exit_group, kPowerLost);
    __builtin_unreachable();
  }

 private:
  void Change(int node, Write write) {
    nodes_[static_cast<size_t>(node)].pending.push_back(std::move(write));
  }

  void Load(const std::string& path, int at) {
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      const int made = Make(entry.is_directory());
      nodes_[static_cast<size_t>(at)].names[entry.path().filename().string()] = made;
      if (entry.is_directory()) {
        Load(entry.path().string(), made);
      } else {
        nodes_[static_cast<size_t>(made)].durable = Content(entry.path().string());
      }
    }
  }

  // Which of `count` changes that were not synced reached the disk: none, all, the first of them,
  // or any.
  std::vector<bool> Survivors(size_t count) {
    std::vector<bool> kept(count, false);
    const auto how = random_() % 4;
    const size_t first = count == 0 ? 0 : random_() % (count + 1);
    for (size_t i = 0; i < count; ++i)
      kept[i] = how == 1 || (how == 2 && i < first) || (how == 3 && random_() % 2 == 0);
    return kept;
  }

  std::string Left(const Node& node) {
    std::string content = node.durable;
    const std::vector<bool> kept = Survivors(node.pending.size());
    std::vector<Write> writes;
    for (size_t i = 0; i < kept.size(); ++i) {
      const Write& write = node.pending[i];
      if (kept[i]) {
        writes.push_back(write);
      } else if (!write.truncates && random_() % 3 == 0) {
        // The size grew, the bytes did not come: zeros.
        const auto end = static_cast<size_t>(write.offset) + write.bytes.size();
        if (end > content.size() && end > node.durable.size())
          writes.push_back(
              {static_cast<int64_t>(content.size()), std::string(end - content.size(), '\0')});
      }
    }
    if (!writes.empty() &&
        random_() % 2 == 0) {  // the last one is torn: in a sector or between two
      std::string& torn = writes.back().bytes;
      if (!torn.empty())
        torn.resize(random_() % 2 == 0 ? random_() % torn.size() : torn.size() / 1024 * 512);
    }
    if (random_() % 3 == 0) std::shuffle(writes.begin(), writes.end(), random_);
    for (const Write& write : writes) Apply(write, &content);
    return content;
  }

  void Store(const std::string& path, int at, const std::vector<std::map<std::string, int>>& names,
             int depth) {
    ::syscall(SYS_mkdir, path.c_str(), 0755);
    if (depth > 32) return;
    for (const auto& [name, id] : names[static_cast<size_t>(at)]) {
      const std::string below = path + "/" + name;
      const Node& node = nodes_[static_cast<size_t>(id)];
      if (node.folder) {
        Store(below, id, names, depth + 1);
        continue;
      }
      const std::string content = Left(node);
      const int fd =
          RealOpen(AT_FDCWD, below.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
      if (RealWrite(fd, content.data(), content.size()) != static_cast<ssize_t>(content.size()))
        ::syscall(SYS_exit_group, 78);
      ::syscall(SYS_close, fd);
    }
  }

  const PowerLoss plan_;
  int64_t left_;
  std::mt19937_64 random_;
  std::vector<Node> nodes_, start_;
  std::vector<NameOperation> operations_;
  std::map<int, std::pair<int, std::string>> fds_;
};

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
