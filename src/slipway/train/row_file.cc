#include "slipway/train/row_file.h"

#include <cerrno>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "slipway/base/file.h"

namespace slipway {
namespace {
constexpr size_t kBufferDoubles = size_t{1} << 17;  // 1 MiB
}

Result<RowFile> RowFile::Make(const std::string& dir, int width) {
  RETURN_IF_ERROR(MakeDirs(dir));
  std::string path = JoinPath(dir, "rows-XXXXXX");
  const int fd = mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) return FileError("make", path, errno);
  unlink(path.c_str());
  return RowFile(fd, width, dir);
}

RowFile::RowFile(RowFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      width_(other.width_),
      rows_(other.rows_),
      flushed_(other.flushed_),
      dir_(std::move(other.dir_)),
      buffer_(std::move(other.buffer_)) {}

RowFile& RowFile::operator=(RowFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(width_, other.width_);
  std::swap(rows_, other.rows_);
  std::swap(flushed_, other.flushed_);
  std::swap(dir_, other.dir_);
  std::swap(buffer_, other.buffer_);
  return *this;
}

RowFile::~RowFile() {
  if (fd_ >= 0) close(fd_);
}

Status RowFile::Append(std::span<const double> values) {
  buffer_.insert(buffer_.end(), values.begin(), values.end());
  rows_ += std::ssize(values) / width_;
  return buffer_.size() >= kBufferDoubles ? Flush() : Status();
}

Status RowFile::Flush() {
  RETURN_IF_ERROR(WriteAt(flushed_, buffer_));
  flushed_ += std::ssize(buffer_) / width_;
  buffer_.clear();
  return {};
}

Status RowFile::WriteAt(int64_t first_row, std::span<const double> values) {
  const char* at = reinterpret_cast<const char*>(values.data());
  size_t left = values.size_bytes();
  auto offset = static_cast<off_t>(first_row * width_ * static_cast<int64_t>(sizeof(double)));
  while (left > 0) {
    const ssize_t written = pwrite(fd_, at, left, offset);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0)
      return FileError("write a temporary file in", dir_, written == 0 ? ENOSPC : errno);
    at += written;
    offset += written;
    left -= static_cast<size_t>(written);
  }
  return {};
}

Status RowFile::Read(int64_t first, int64_t count, double* out) const {
  char* at = reinterpret_cast<char*>(out);
  auto left = static_cast<size_t>(count * width_) * sizeof(double);
  auto offset = static_cast<off_t>(first * width_ * static_cast<int64_t>(sizeof(double)));
  while (left > 0) {
    const ssize_t got = pread(fd_, at, left, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("read a temporary file in", dir_, errno);
    if (got == 0) return Internal("a temporary file in '" + dir_ + "' ends early");
    at += got;
    offset += got;
    left -= static_cast<size_t>(got);
  }
  return {};
}

}  // namespace slipway
