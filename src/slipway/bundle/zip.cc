#include "slipway/bundle/zip.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <fmt/format.h>

#include "slipway/base/file.h"
#include "slipway/bundle/zip_format.h"

namespace slipway {
namespace {

constexpr size_t kMaxComment = 0xFFFF;
constexpr uint32_t kEncrypted = 1 << 0 | 1 << 6 | 1 << 13;
constexpr size_t kMaxInflation = 1032;  // what deflate can do at most
constexpr size_t kReadPiece = size_t{256} << 10;
constexpr size_t kMaxDirectoryBytes = size_t{64} << 20;

Error Damaged(std::string_view what) {
  return Corruption(fmt::format("damaged zip file: {}", what));
}

class Inflater {
 public:
  Inflater() : ready_(inflateInit2(&stream_, -MAX_WBITS) == Z_OK) {}
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() {
    if (ready_) inflateEnd(&stream_);
  }
  bool ready() const { return ready_; }
  z_stream& stream() { return stream_; }

 private:
  z_stream stream_ = {};
  bool ready_;
};

}  // namespace

Result<ZipInput> ZipInput::OpenFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return FileError("open", path, errno);
  ZipInput input{std::string_view()};
  input.fd_ = fd;
  struct stat info{};
  if (::fstat(fd, &info) != 0) return FileError("read", path, errno);
  if (!S_ISREG(info.st_mode)) return InvalidArgument("'" + path + "' is not a file");
  input.size_ = static_cast<size_t>(info.st_size);
  return input;
}

ZipInput::ZipInput(ZipInput&& other) noexcept
    : bytes_(other.bytes_), size_(other.size_), fd_(std::exchange(other.fd_, -1)) {}

ZipInput& ZipInput::operator=(ZipInput&& other) noexcept {
  bytes_ = other.bytes_;
  size_ = other.size_;
  std::swap(fd_, other.fd_);
  return *this;
}

ZipInput::~ZipInput() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::string_view> ZipInput::At(size_t offset, size_t size, std::string* buffer) const {
  if (fd_ < 0) return bytes_.substr(offset, size);
  buffer->resize(size);
  size_t have = 0;
  while (have < size) {
    const ssize_t n =
        ::pread(fd_, buffer->data() + have, size - have, static_cast<off_t>(offset + have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("read", "zip", errno);
    if (n == 0) return Damaged("it became shorter while it was read");
    have += static_cast<size_t>(n);
  }
  return std::string_view(*buffer);
}

// The record at the end; its comment must reach the file's last byte.
Status ZipReader::FindDirectory() {
  std::string buffer;
  const size_t tail = std::min(input_.size(), kZipEndBytes + kMaxComment);
  const size_t tail_at = input_.size() - tail;
  ASSIGN_OR_RETURN(const std::string_view bytes, input_.At(tail_at, tail, &buffer));
  for (size_t comment = 0; comment + kZipEndBytes <= tail; ++comment) {
    const size_t at = tail - kZipEndBytes - comment;
    if (ZipGet32(bytes, at) != kZipEndMark || ZipGet16(bytes, at + 20) != comment) continue;
    count_ = ZipGet16(bytes, at + 10);
    directory_bytes_ = ZipGet32(bytes, at + 12);
    directory_at_ = ZipGet32(bytes, at + 16);
    if (ZipGet32(bytes, at + 4) != 0 || ZipGet16(bytes, at + 8) != count_)
      return Damaged("it is one of several parts");
    const size_t end = tail_at + at;
    if (directory_at_ > end || directory_bytes_ != end - directory_at_)
      return Damaged("its directory is not before its end");
    if (directory_bytes_ > kMaxDirectoryBytes) return Damaged("its directory is too long");
    return {};
  }
  return Corruption("not a whole zip file: it has no directory at its end");
}

Result<ZipReader::Entry> ZipReader::ReadDirectoryEntry(std::string_view* directory) {
  if (directory->size() < kZipDirectoryBytes || ZipGet32(*directory, 0) != kZipDirectoryMark)
    return Damaged("its directory ends too early");
  Entry entry;
  const uint32_t host = ZipGet16(*directory, 4) >> 8;
  entry.flags = ZipGet16(*directory, 8);
  entry.method = ZipGet16(*directory, 10);
  entry.crc = ZipGet32(*directory, 16);
  entry.packed = ZipGet32(*directory, 20);
  entry.size = ZipGet32(*directory, 24);
  const size_t name = ZipGet16(*directory, 28);
  const size_t whole =
      kZipDirectoryBytes + name + ZipGet16(*directory, 30) + ZipGet16(*directory, 32);
  entry.mode = host == kZipMadeOnUnix ? ZipGet32(*directory, 38) >> 16 : 0;
  entry.offset = ZipGet32(*directory, 42);
  if (directory->size() < whole) return Damaged("its directory ends too early");
  entry.name = std::string(directory->substr(kZipDirectoryBytes, name));
  directory->remove_prefix(whole);
  return entry;
}

// Finds the entry's content between its local header and `end`, where the next one begins.
Status ZipReader::Locate(Entry* entry, size_t end) const {
  end = std::min(end, directory_at_);
  if (entry->offset > end || end - entry->offset < kZipLocalBytes)
    return Damaged("an entry is not where its directory says");
  std::string buffer;
  ASSIGN_OR_RETURN(const std::string_view header,
                   input_.At(entry->offset, kZipLocalBytes, &buffer));
  if (ZipGet32(header, 0) != kZipLocalMark)
    return Damaged("an entry is not where its directory says");
  const size_t name = ZipGet16(header, 26);
  const uint32_t method = ZipGet16(header, 8);
  const size_t name_at = entry->offset + kZipLocalBytes;
  entry->content = name_at + name + ZipGet16(header, 28);
  if (entry->content > end || entry->packed > end - entry->content)
    return Damaged("an entry reaches into the next one");
  ASSIGN_OR_RETURN(const std::string_view local_name, input_.At(name_at, name, &buffer));
  if (local_name != entry->name || method != entry->method)
    return Damaged("an entry and its directory do not agree");
  return {};
}

Result<ZipReader> ZipReader::Open(std::string_view bytes) { return Open(ZipInput(bytes)); }

Result<ZipReader> ZipReader::OpenFile(const std::string& path) {
  ASSIGN_OR_RETURN(ZipInput input, ZipInput::OpenFile(path));
  return Open(std::move(input));
}

Result<ZipReader> ZipReader::Open(ZipInput input) {
  ZipReader zip(std::move(input));
  RETURN_IF_ERROR(zip.FindDirectory());
  std::string buffer;
  ASSIGN_OR_RETURN(std::string_view directory,
                   zip.input_.At(zip.directory_at_, zip.directory_bytes_, &buffer));
  for (size_t i = 0; i < zip.count_; ++i) {
    ASSIGN_OR_RETURN(zip.entries_.emplace_back(), ReadDirectoryEntry(&directory));
  }
  if (!directory.empty()) return Damaged("its directory has more entries than it says");
  std::sort(zip.entries_.begin(), zip.entries_.end(),
            [](const Entry& a, const Entry& b) { return a.offset < b.offset; });
  for (size_t i = 0; i < zip.count_; ++i) {
    const size_t next = i + 1 < zip.count_ ? zip.entries_[i + 1].offset : zip.directory_at_;
    RETURN_IF_ERROR(zip.Locate(&zip.entries_[i], next));
  }
  return zip;
}

Status ZipReader::CheckExact() const {
  size_t at = 0;
  std::string directory, local, buffer;
  for (const Entry& entry : entries_) {
    const ZipHeader header = {entry.name,   entry.method, entry.crc,
                              entry.packed, entry.size,   entry.offset};
    if (entry.offset != at) return Damaged("there is something before or between its entries");
    local.clear();
    AppendZipLocal(header, &local);
    if (entry.content - entry.offset != local.size()) return Damaged("an entry has an extra field");
    ASSIGN_OR_RETURN(const std::string_view bytes, input_.At(at, local.size(), &buffer));
    if (bytes != local) return Damaged("an entry's header was altered");
    at = entry.content + entry.packed;
    AppendZipDirectory(header, &directory);
  }
  if (at != directory_at_) return Damaged("there is something before its directory");
  AppendZipEnd(entries_.size(), directory_at_, directory.size(), &directory);
  if (input_.size() - directory_at_ != directory.size())
    return Damaged("there is something behind its entries");
  ASSIGN_OR_RETURN(const std::string_view bytes,
                   input_.At(directory_at_, directory.size(), &buffer));
  if (bytes != directory) return Damaged("its directory was altered");
  return {};
}

Result<bool> ZipReader::Next(std::string* name) {
  if (next_ == entries_.size()) return false;
  const Entry& entry = entries_[next_++];
  *name = entry.name;
  if ((entry.flags & kEncrypted) != 0)
    return Corruption(fmt::format("entry '{}' is encrypted", name->substr(0, 60)));
  const uint32_t type = entry.mode & kZipTypeMask;
  if ((type != 0 && type != kZipPlainFile) || name->empty() ||
      name->find_first_of("/\\") != std::string::npos) {
    return Corruption(fmt::format("entry '{}' is not a plain file", name->substr(0, 60)));
  }
  return true;
}

Status ZipReader::ExtractStored(const Entry& entry, const ZipSink& sink) const {
  if (entry.packed != entry.size) return Damaged("a stored entry has two sizes");
  std::string buffer;
  for (size_t done = 0; done < entry.size;) {
    const size_t piece = std::min(kReadPiece, entry.size - done);
    ASSIGN_OR_RETURN(const std::string_view bytes, input_.At(entry.content + done, piece, &buffer));
    RETURN_IF_ERROR(sink(bytes));
    done += piece;
  }
  return {};
}

// Exactly entry.size bytes, or an error.
Status ZipReader::ExtractDeflated(const Entry& entry, const ZipSink& sink) const {
  if (entry.size / kMaxInflation > entry.packed)
    return Damaged("an entry does not inflate to its size");
  Inflater inflater;
  if (!inflater.ready()) return Unavailable("zip: not enough memory");
  z_stream& stream = inflater.stream();
  std::string in, out(kReadPiece, '\0');
  size_t taken = 0, given = 0;
  int code = Z_OK;
  while (code == Z_OK && given <= entry.size) {
    if (stream.avail_in == 0) {
      const size_t piece = std::min(kReadPiece, entry.packed - taken);
      ASSIGN_OR_RETURN(const std::string_view bytes, input_.At(entry.content + taken, piece, &in));
      // zlib takes its input as if it would write to it, which it does not.
      stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
      stream.avail_in = static_cast<uInt>(piece);
      taken += piece;
    }
    stream.next_out = reinterpret_cast<unsigned char*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    code = inflate(&stream, Z_NO_FLUSH);  // Z_BUF_ERROR when the input ends too early
    const std::string_view bytes = std::string_view(out).substr(0, out.size() - stream.avail_out);
    given += bytes.size();
    if (given <= entry.size && !bytes.empty()) RETURN_IF_ERROR(sink(bytes));
  }
  if (code != Z_STREAM_END || stream.avail_in != 0 || taken != entry.packed || given != entry.size)
    return Damaged("an entry does not inflate to its size");
  return {};
}

Status ZipReader::Extract(size_t limit, const ZipSink& sink) const {
  const Entry& entry = entries_[next_ - 1];
  if (entry.size > limit)
    return Corruption(fmt::format("larger than the {} bytes that it may have", limit));
  uint32_t crc = 0;
  const ZipSink checked = [&](std::string_view bytes) -> Status {
    crc = ZipCrc(crc, bytes);
    return sink(bytes);
  };
  if (entry.method == kZipStored) {
    RETURN_IF_ERROR(ExtractStored(entry, checked));
  } else if (entry.method == kZipDeflated) {
    RETURN_IF_ERROR(ExtractDeflated(entry, checked));
  } else {
    return Corruption(
        fmt::format("zip method {} is not known: stored or deflated is", entry.method));
  }
  if (crc != entry.crc) return Damaged("an entry's checksum is another");
  return {};
}

Result<std::string> ZipReader::Read(size_t limit) const {
  std::string content;
  // Reserves what a lying directory could at most make us believe of so many bytes.
  if (size() <= limit) content.reserve(std::min(size(), packed() * 8));
  RETURN_IF_ERROR(Extract(limit, [&](std::string_view bytes) -> Status {
    content += bytes;
    return {};
  }));
  return content;
}

}  // namespace slipway
