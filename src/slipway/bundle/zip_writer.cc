#include <algorithm>
#include <atomic>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <fmt/format.h>

#include "slipway/base/file.h"
#include "slipway/bundle/zip.h"
#include "slipway/bundle/zip_format.h"

namespace slipway {
namespace {

constexpr size_t kDeflatePiece = size_t{1} << 30;
constexpr size_t kRoomForDirectory = size_t{1} << 20;
constexpr size_t kMaxEntries = 0xFFFE;

// zlib takes its input as if it would write to it, which it does not.
unsigned char* Input(std::string_view bytes) {
  return reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
}

class Deflater {
 public:
  Deflater() = default;
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater() {
    if (begun_) deflateEnd(&stream_);
  }

  Status Begin() {
    if (begun_) deflateEnd(&stream_);
    stream_ = {};
    begun_ = deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8,
                          Z_DEFAULT_STRATEGY) == Z_OK;
    if (!begun_) return Unavailable("zip: not enough memory");
    return {};
  }

  // Gives what comes out to the sink.
  Status Push(std::string_view bytes, bool last, const ZipSink& sink) {
    do {
      const size_t piece = std::min(bytes.size(), kDeflatePiece);
      stream_.next_in = Input(bytes);
      stream_.avail_in = static_cast<uInt>(piece);
      bytes.remove_prefix(piece);
      RETURN_IF_ERROR(Drain(last && bytes.empty() ? Z_FINISH : Z_NO_FLUSH, sink));
    } while (!bytes.empty());
    return {};
  }

 private:
  Status Drain(int flush, const ZipSink& sink) {
    do {
      stream_.next_out = reinterpret_cast<unsigned char*>(buffer_);
      stream_.avail_out = sizeof buffer_;
      const int code = deflate(&stream_, flush);
      if (code == Z_STREAM_ERROR) return Internal("zip: deflate failed");
      RETURN_IF_ERROR(sink(std::string_view(buffer_, sizeof buffer_ - stream_.avail_out)));
    } while (stream_.avail_out == 0);
    return {};
  }

  z_stream stream_ = {};
  bool begun_ = false;
  char buffer_[1 << 16];
};

Error TooLarge(std::string_view name) {
  return InvalidArgument(
      fmt::format("zip: with '{}' there are more than 4 GiB, which the format "
                  "cannot hold",
                  name.substr(0, 60)));
}

Status WriteAt(int fd, std::string_view bytes, size_t offset, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("write", path, errno);
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<size_t>(n);
  }
  return {};
}

class StreamedZip : public ZipFileWriter {
 public:
  StreamedZip(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}
  StreamedZip(const StreamedZip&) = delete;
  StreamedZip& operator=(const StreamedZip&) = delete;
  ~StreamedZip() override {
    if (fd_ >= 0) ::close(fd_);
    if (!finished_) ::unlink(temporary_.c_str());
  }

  Status Begin(const std::string& name, bool deflate) override {
    if (name.size() > 0xFFFF || count_ >= kMaxEntries)
      return InvalidArgument(fmt::format("zip: no room for '{}'", name.substr(0, 60)));
    name_ = name;
    header_ = {};
    header_.name = name_;
    header_.method = deflate ? kZipDeflated : kZipStored;
    header_.offset = at_;
    if (deflate) RETURN_IF_ERROR(deflater_.Begin());
    return PutHeader();
  }

  Status Write(std::string_view bytes) override {
    header_.crc = ZipCrc(header_.crc, bytes);
    header_.size += bytes.size();
    if (header_.size > kMaxZipBytes) return TooLarge(name_);
    if (header_.method == kZipStored) return Put(bytes);
    return deflater_.Push(bytes, false, [this](std::string_view piece) { return Put(piece); });
  }

  Status End(size_t* packed) override {
    if (header_.method == kZipDeflated) {
      RETURN_IF_ERROR(
          deflater_.Push("", true, [this](std::string_view piece) { return Put(piece); }));
    }
    header_.packed = at_ - header_.offset - kZipLocalBytes - name_.size();
    *packed = header_.packed;
    std::string local;
    AppendZipLocal(header_, &local);
    RETURN_IF_ERROR(WriteAt(fd_, local, header_.offset, path_));
    ended_directory_ = directory_.size();
    AppendZipDirectory(header_, &directory_);
    ++count_;
    return {};
  }

  Status Cancel() override {
    if (directory_.size() > ended_directory_) {
      directory_.resize(ended_directory_);
      --count_;
    }
    at_ = header_.offset;
    if (::ftruncate(fd_, static_cast<off_t>(at_)) != 0) return FileError("write", path_, errno);
    return {};
  }

  Status Finish() override {
    std::string end = directory_;
    AppendZipEnd(count_, at_, directory_.size(), &end);
    RETURN_IF_ERROR(WriteAt(fd_, end, at_, path_));
    if (::fsync(fd_) != 0) return FileError("fsync", path_, errno);
    if (::close(std::exchange(fd_, -1)) != 0) return FileError("close", path_, errno);
    RETURN_IF_ERROR(RenameDurably(temporary_, path_));
    finished_ = true;
    return {};
  }

 private:
  Status PutHeader() {
    std::string local;
    AppendZipLocal(header_, &local);
    return Put(local);
  }

  Status Put(std::string_view bytes) {
    if (at_ + bytes.size() > kMaxZipBytes - kRoomForDirectory - directory_.size())
      return TooLarge(name_);
    RETURN_IF_ERROR(WriteAt(fd_, bytes, at_, path_));
    at_ += bytes.size();
    return {};
  }

  std::string path_, temporary_;
  int fd_ = -1;
  bool finished_ = false;
  Deflater deflater_;
  size_t at_ = 0, count_ = 0;
  std::string directory_;
  size_t ended_directory_ = 0;  // its bytes before the last entry
  std::string name_;            // of the entry being written
  ZipHeader header_;
};

}  // namespace

Result<std::unique_ptr<ZipFileWriter>> ZipFileWriter::Create(const std::string& path) {
  static std::atomic<int> counter{0};
  const std::string temporary = fmt::format("{}.tmp{}.z{}", path, ::getpid(), counter++);
  const int fd = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return FileError("create", temporary, errno);
  return std::unique_ptr<ZipFileWriter>(std::make_unique<StreamedZip>(path, temporary, fd));
}

Result<std::string> MakeZip(const std::vector<std::pair<std::string, std::string_view>>& entries) {
  std::string bytes, directory;
  const auto deflater = std::make_unique<Deflater>();
  for (const auto& [name, content] : entries) {
    std::string packed;
    RETURN_IF_ERROR(deflater->Begin());
    RETURN_IF_ERROR(deflater->Push(content, true, [&](std::string_view piece) -> Status {
      packed += piece;
      return {};
    }));
    if (name.size() > 0xFFFF || content.size() > kMaxZipBytes ||
        bytes.size() + packed.size() > kMaxZipBytes - kRoomForDirectory) {
      return InvalidArgument(
          fmt::format("zip: {} bytes of '{}' are too many", content.size(), name.substr(0, 60)));
    }
    ZipHeader header;
    header.name = name;
    header.crc = ZipCrc(0, content);
    header.packed = packed.size();
    header.size = content.size();
    header.offset = bytes.size();
    AppendZipLocal(header, &bytes);
    bytes += packed;
    AppendZipDirectory(header, &directory);
  }
  const size_t directory_at = bytes.size();
  bytes += directory;
  AppendZipEnd(entries.size(), directory_at, directory.size(), &bytes);
  return bytes;
}

}  // namespace slipway
