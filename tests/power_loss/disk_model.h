// What lossy_disk.cc keeps of the files below one folder: what is there now, what a disk surely
// has, and what is left when the power goes. Used by lossy_disk.cc alone, under its mutex; makes no
// call that lossy_disk.cc defines.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lossy_disk.h"

namespace slipway {

struct Write {
  int64_t offset = 0;
  std::string bytes;
  bool truncates = false;  // to `offset`
};

// A file or a folder. Names are kept as they are now and as the disk surely has them.
struct DiskNode {
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

inline int RealOpen(int folder, const char* path, int flags, mode_t mode) {
  return static_cast<int>(::syscall(SYS_openat, folder, path, flags, mode));
}
inline ssize_t RealWrite(int fd, const void* bytes, size_t size) {
  return ::syscall(SYS_write, fd, bytes, size);
}

inline std::string Content(const std::string& path) {
  std::string out;
  const int fd = RealOpen(AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return out;
  char buffer[1 << 16];
  for (ssize_t n; (n = ::syscall(SYS_read, fd, buffer, sizeof buffer)) > 0;)
    out.append(buffer, static_cast<size_t>(n));
  ::syscall(SYS_close, fd);
  return out;
}

inline void Apply(const Write& write, std::string* content) {
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
    DiskNode& node = nodes_[static_cast<size_t>(id)];
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

  std::string Left(const DiskNode& node) {
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
      const DiskNode& node = nodes_[static_cast<size_t>(id)];
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
  std::vector<DiskNode> nodes_, start_;
  std::vector<NameOperation> operations_;
  std::map<int, std::pair<int, std::string>> fds_;
};

}  // namespace slipway
