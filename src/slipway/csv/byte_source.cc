#include "slipway/csv/byte_source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "slipway/base/file.h"

namespace slipway {
namespace {

constexpr size_t kInputBytes = size_t{256} << 10;

bool IsGzip(std::string_view head) { return head.starts_with("\x1f\x8b"); }

bool IsZstd(std::string_view head) {
  if (head.size() < 4) return false;
  const bool skippable = (static_cast<unsigned char>(head[0]) & 0xF0) == 0x50;
  return head.starts_with("\x28\xb5\x2f\xfd") ||
         (skippable && head.substr(1).starts_with("\x2a\x4d\x18"));
}

}  // namespace

// Turns raw input into decoded bytes, one call at a time.
class ByteSource::Inflater {
 public:
  struct Step {
    size_t used = 0;           // raw bytes taken
    size_t produced = 0;       // decoded bytes written
    bool at_boundary = false;  // between members or frames: the input may end here
  };
  virtual ~Inflater() = default;
  virtual Result<Step> Inflate(std::string_view in, char* out, size_t size) = 0;
  virtual const char* format() const = 0;
};

class ByteSource::GzipInflater final : public Inflater {
 public:
  static Result<std::unique_ptr<Inflater>> Make() {
    auto inflater = std::make_unique<GzipInflater>();
    if (inflateInit2(&inflater->stream_, 15 + 16) != Z_OK) {
      return Internal("cannot start zlib");
    }
    inflater->ready_ = true;
    return std::unique_ptr<Inflater>(std::move(inflater));
  }
  ~GzipInflater() override {
    if (ready_) inflateEnd(&stream_);
  }
  const char* format() const override { return "gzip"; }

  Result<Step> Inflate(std::string_view in, char* out, size_t size) override {
    Step step;
    if (at_boundary_ && started_) {
      // Padding with zeros after a member is usual (tape blocks); anything else starts a member.
      while (step.used < in.size() && in[step.used] == '\0') ++step.used;
      step.at_boundary = true;
      if (step.used > 0 || in.empty()) return step;
      inflateReset(&stream_);
    }
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = static_cast<uInt>(std::min<size_t>(size, size_t{1} << 30));
    const uInt room = stream_.avail_out;
    const int rc = inflate(&stream_, Z_NO_FLUSH);
    started_ = true;
    step.used = in.size() - stream_.avail_in;
    step.produced = room - stream_.avail_out;
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
      return Corruption(stream_.msg != nullptr ? stream_.msg : "bad data");
    }
    at_boundary_ = step.at_boundary = rc == Z_STREAM_END;
    return step;
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
  bool started_ = false;
  bool at_boundary_ = false;
};

class ByteSource::ZstdInflater final : public Inflater {
 public:
  static Result<std::unique_ptr<Inflater>> Make() {
    auto inflater = std::make_unique<ZstdInflater>();
    inflater->stream_ = ZSTD_createDStream();
    if (inflater->stream_ == nullptr) return Internal("cannot start zstd");
    return std::unique_ptr<Inflater>(std::move(inflater));
  }
  ~ZstdInflater() override { ZSTD_freeDStream(stream_); }
  const char* format() const override { return "zstd"; }

  Result<Step> Inflate(std::string_view in, char* out, size_t size) override {
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{out, size, 0};
    const size_t rc = ZSTD_decompressStream(stream_, &output, &input);
    if (ZSTD_isError(rc) != 0) return Corruption(ZSTD_getErrorName(rc));
    Step step{input.pos, output.pos, rc == 0};
    // Without input the call says nothing about the frame: the last answer stands.
    if (in.empty() && output.pos == 0) step.at_boundary = at_boundary_;
    at_boundary_ = step.at_boundary;
    return step;
  }

 private:
  ZSTD_DStream* stream_ = nullptr;
  bool at_boundary_ = false;
};

ByteSource::ByteSource(int fd, std::string name, int64_t size)
    : fd_(fd), name_(std::move(name)), size_(size) {}

ByteSource::~ByteSource() {
  if (fd_ > STDIN_FILENO) ::close(fd_);
}

Result<std::unique_ptr<ByteSource>> ByteSource::Open(const std::string& path) {
  int fd = STDIN_FILENO;
  if (path != "-") {
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FileError("open", path, errno);
  }
  struct stat info{};
  const int rc = ::fstat(fd, &info);
  const int stat_error = errno;
  const bool sized = rc == 0 && S_ISREG(info.st_mode);
  std::unique_ptr<ByteSource> source(
      new ByteSource(fd, path == "-" ? "standard input" : path,
                     sized ? static_cast<int64_t>(info.st_size) : int64_t{-1}));
  if (rc != 0) return FileError("read", source->name_, stat_error);
  if (S_ISDIR(info.st_mode)) {
    return InvalidArgument("'" + source->name_ + "' is a folder, not a file");
  }
  (void)::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  RETURN_IF_ERROR(source->Detect());
  return source;
}

Status ByteSource::Detect() {
  input_ = std::make_unique<char[]>(kInputBytes);
  // A pipe may hand over a few bytes at a time; four are enough to tell.
  while (input_end_ < 4 && !input_done_) {
    ASSIGN_OR_RETURN(size_t n, ReadRaw(input_.get() + input_end_, kInputBytes - input_end_));
    if (n == 0) input_done_ = true;
    input_end_ += n;
  }
  const std::string_view head(input_.get(), input_end_);
  if (IsGzip(head)) {
    ASSIGN_OR_RETURN(inflater_, GzipInflater::Make());
  } else if (IsZstd(head)) {
    ASSIGN_OR_RETURN(inflater_, ZstdInflater::Make());
  }
  return {};
}

Result<size_t> ByteSource::ReadRaw(char* buffer, size_t size) {
  for (;;) {
    const ssize_t n = ::read(fd_, buffer, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("read", name_, errno);
    read_bytes_.fetch_add(n, std::memory_order_relaxed);
    return static_cast<size_t>(n);
  }
}

Status ByteSource::FillInput() {
  if (input_begin_ < input_end_ || input_done_) return {};
  ASSIGN_OR_RETURN(input_end_, ReadRaw(input_.get(), kInputBytes));
  input_begin_ = 0;
  if (input_end_ == 0) input_done_ = true;
  return {};
}

// Decoded bytes: at least one unless the input ends.
Result<size_t> ByteSource::ReadDecoded(char* buffer, size_t size) {
  if (inflater_ == nullptr) {
    if (input_begin_ == input_end_) return input_done_ ? size_t{0} : ReadRaw(buffer, size);
    const size_t n = std::min(size, input_end_ - input_begin_);
    std::memcpy(buffer, input_.get() + input_begin_, n);
    input_begin_ += n;
    return n;
  }
  for (;;) {
    RETURN_IF_ERROR(FillInput());
    const std::string_view in(input_.get() + input_begin_, input_end_ - input_begin_);
    auto step = inflater_->Inflate(in, buffer, size);
    const std::string format = inflater_->format();
    if (!step.ok()) {
      return Corruption("'" + name_ + "' is damaged: its " + format +
                            " data cannot be decompressed (" + step.error().message + ")",
                        "copy the file again from where it came from");
    }
    input_begin_ += step->used;
    if (step->produced > 0) return step->produced;
    if (in.empty() && input_done_) {
      if (step->at_boundary) return size_t{0};
      return Corruption("'" + name_ + "' is truncated: its " + format + " data ends in the middle",
                        "copy the file again from where it came from");
    }
  }
}

Result<size_t> ByteSource::Read(char* buffer, size_t size) {
  size_t done = std::min(size, peeked_.size() - peeked_begin_);
  if (done > 0) {
    std::memcpy(buffer, peeked_.data() + peeked_begin_, done);
    peeked_begin_ += done;
    if (peeked_begin_ == peeked_.size()) {
      peeked_ = std::string();
      peeked_begin_ = 0;
    }
  }
  while (done < size) {
    ASSIGN_OR_RETURN(size_t n, ReadDecoded(buffer + done, size - done));
    if (n == 0) break;
    done += n;
  }
  return done;
}

Result<std::string_view> ByteSource::Peek(size_t size) {
  peeked_.erase(0, peeked_begin_);
  peeked_begin_ = 0;
  size_t have = peeked_.size();
  if (have < size) {
    peeked_.resize(size);
    while (have < size) {
      auto n = ReadDecoded(peeked_.data() + have, size - have);
      if (!n.ok()) {
        peeked_.resize(have);
        return std::move(n).error();
      }
      if (*n == 0) break;
      have += *n;
    }
    peeked_.resize(have);
  }
  return std::string_view(peeked_).substr(0, size);
}

double ByteSource::progress() const {
  if (size_ < 0) return -1;
  if (size_ == 0) return 1;
  return std::min(1.0, static_cast<double>(compressed_bytes()) / static_cast<double>(size_));
}

}  // namespace slipway
