#include <cerrno>
#include <map>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/dataset/dataset.h"
#include "slipway/dataset/files.h"

namespace slipway {
namespace {

// A file may change twice within one tick of its clock; a time this near to the hashing proves
// nothing.
constexpr int64_t kSettleNanos = 2'000'000'000;

// What a file looked like when its content was hashed.
struct FileMark {
  int64_t size = 0;
  int64_t mtime = 0;  // nanoseconds
  int64_t inode = 0;
  int64_t hashed_at = 0;  // nanoseconds
  std::string hash;
};

Result<std::string> HashFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError("read", path, errno);
  Xxh3Stream hash;
  std::string buffer(1 << 20, '\0');
  while (true) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int error = errno;
      close(fd);
      return FileError("read", path, error);
    }
    if (got == 0) break;
    hash.Update(std::string_view(buffer.data(), static_cast<size_t>(got)));
  }
  close(fd);
  return hash.Hex();
}

// An unreadable state only costs the hashing.
std::map<std::string, FileMark> ReadState(const std::string& text) {
  std::map<std::string, FileMark> out;
  if (text.empty()) return out;
  const Result<Json> json = ParseJson(text);
  if (!json.ok() || !json->is_array()) return out;
  for (const Json& item : *json) {
    const auto path = GetString(item, "path");
    const auto hash = GetString(item, "hash");
    const auto size = GetInt(item, "size");
    const auto mtime = GetInt(item, "mtime");
    const auto inode = GetInt(item, "inode");
    const auto hashed_at = GetInt(item, "hashed_at");
    if (!path.ok() || !hash.ok() || !size.ok() || !mtime.ok() || !inode.ok() || !hashed_at.ok())
      continue;
    out[*path] = {*size, *mtime, *inode, *hashed_at, *hash};
  }
  return out;
}

bool IsSame(const FileMark& known, const FileMark& now) {
  return known.size == now.size && known.mtime == now.mtime && known.inode == now.inode &&
         known.mtime + kSettleNanos < known.hashed_at;
}

}  // namespace

Result<Fingerprint> FingerprintFiles(const FilesSpec& spec, const std::string& previous_state) {
  ASSIGN_OR_RETURN(const std::vector<std::string> files, ResolveFiles(spec.paths));
  const std::map<std::string, FileMark> known = ReadState(previous_state);
  Fingerprint out;
  Json state = Json::array();
  Xxh3Stream all;
  for (const std::string& path : files) {
    if (path == kStandardInput) return InvalidArgument("standard input has no fingerprint");
    struct stat info{};
    if (stat(path.c_str(), &info) != 0) return FileError("read", path, errno);
    FileMark mark;
    mark.size = info.st_size;
    mark.mtime = int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
    mark.inode = static_cast<int64_t>(info.st_ino);
    const auto before = known.find(path);
    if (before != known.end() && IsSame(before->second, mark)) {
      mark.hash = before->second.hash;
      mark.hashed_at = before->second.hashed_at;
    } else {
      mark.hashed_at = NowMicros() * 1000;
      ASSIGN_OR_RETURN(mark.hash, HashFile(path));
    }
    out.bytes += mark.size;
    all.Update(BaseName(path) + '\0' + std::to_string(mark.size) + '\0' + mark.hash + '\n');
    state.push_back({{"path", path},
                     {"size", mark.size},
                     {"mtime", mark.mtime},
                     {"inode", mark.inode},
                     {"hashed_at", mark.hashed_at},
                     {"hash", mark.hash}});
  }
  out.value = all.Hex();
  out.state = DumpJson(state);
  return out;
}

}  // namespace slipway
