#include "slipway/serve/query_log_files.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"

namespace slipway {
namespace {

constexpr int kQueryLogLevel = 1;  // zstd's; numbers gain nothing from more

std::string QueryLogName(int number) {
  const time_t now = NowMicros() / 1'000'000;
  tm parts{};
  ::gmtime_r(&now, &parts);
  char text[120];
  std::snprintf(text, sizeof text, "queries-%04d%02d%02dT%02d%02d%02dZ-%06d.jsonl.zst",
                parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                parts.tm_sec, number);
  return text;
}

bool IsQueryLogName(std::string_view name) {
  return name.starts_with("queries-") && name.ends_with(".jsonl.zst");
}

}  // namespace

QueryLogFiles::QueryLogFiles(const QueryLogOptions& options)
    : options_(options), context_(ZSTD_createCCtx()) {
  ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, kQueryLogLevel);
  ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1);
  Rescan();
}

QueryLogFiles::~QueryLogFiles() {
  CloseFile();
  ZSTD_freeCCtx(context_);
}

// Others may have taken files away.
void QueryLogFiles::Rescan() {
  files_.clear();
  disk_bytes_ = 0;
  Result<std::vector<std::string>> names = ListDir(options_.folder);
  if (!names.ok()) return;
  for (std::string& name : *names) {
    if (!IsQueryLogName(name)) continue;
    const Result<int64_t> size = FileSize(JoinPath(options_.folder, name));
    if (!size.ok()) continue;
    disk_bytes_ += *size;
    files_.push_back({std::move(name), *size});
  }
}

Status QueryLogFiles::OpenFile() {
  RETURN_IF_ERROR(MakeDirs(options_.folder, 0700));
  Rescan();
  for (;;) {
    const std::string name = QueryLogName(++number_);
    const std::string path = JoinPath(options_.folder, name);
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (fd_ < 0 && errno == EEXIST) continue;
    if (fd_ < 0) return FileError("make", path, errno);
    files_.push_back({name, 0});
    text_bytes_ = 0;
    opened_ = SteadySeconds();
    return {};
  }
}

void QueryLogFiles::CloseFile() {
  if (fd_ < 0) return;
  (void)::fdatasync(fd_);
  ::close(fd_);
  fd_ = -1;
}

bool QueryLogFiles::IsDue(size_t next) const {
  // A quarter of what may be kept, so that removing the oldest leaves the rest.
  return text_bytes_ + static_cast<int64_t>(next) > options_.file_bytes ||
         files_.back().bytes >= options_.total_bytes / 4 ||
         SteadySeconds() - opened_ >= options_.file_seconds;
}

void QueryLogFiles::RemoveOldest() {
  while (disk_bytes_ > options_.total_bytes && files_.size() > 1) {
    (void)::unlink(JoinPath(options_.folder, files_.front().name).c_str());
    disk_bytes_ -= files_.front().bytes;
    files_.pop_front();
  }
}

Status QueryLogFiles::WriteFrame(std::string_view text) {
  if (fd_ >= 0 && IsDue(text.size())) CloseFile();
  struct stat state{};
  if (fd_ >= 0 && (::fstat(fd_, &state) != 0 || state.st_nlink == 0)) CloseFile();  // taken away
  if (fd_ < 0) RETURN_IF_ERROR(OpenFile());
  compressed_.resize(ZSTD_compressBound(text.size()));
  const size_t size =
      ZSTD_compress2(context_, compressed_.data(), compressed_.size(), text.data(), text.size());
  if (ZSTD_isError(size) != 0) return Internal(std::string("zstd: ") + ZSTD_getErrorName(size));
  for (size_t done = 0; done < size;) {
    const ssize_t wrote = ::write(fd_, compressed_.data() + done, size - done);
    if (wrote > 0) {
      done += static_cast<size_t>(wrote);
      continue;
    }
    if (wrote < 0 && errno == EINTR) continue;
    const Error error = FileError("write", JoinPath(options_.folder, files_.back().name),
                                  wrote == 0 ? ENOSPC : errno);
    // Half a frame would hide what comes after it.
    if (::ftruncate(fd_, files_.back().bytes) != 0) CloseFile();
    return error;
  }
  text_bytes_ += static_cast<int64_t>(text.size());
  files_.back().bytes += static_cast<int64_t>(size);
  disk_bytes_ += static_cast<int64_t>(size);
  RemoveOldest();
  return {};
}

}  // namespace slipway
