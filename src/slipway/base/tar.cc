#include "slipway/base/tar.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "slipway/base/file.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kBuffer = size_t{1} << 20;
constexpr int64_t kMaxName = 1024;
constexpr std::string_view kLongName = "././@LongLink";

using Block = std::array<char, kBlock>;

// Where the fields of a header lie.
struct Field {
  size_t at, size;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12},
    kTime{136, 12}, kSum{148, 8}, kType{156, 1}, kMagic{257, 8};

void PutOctal(Block* block, Field field, uint64_t value) {
  for (size_t i = field.size - 1; i-- > 0; value >>= 3)
    (*block)[field.at + i] = static_cast<char>('0' + (value & 7));
}

unsigned Sum(const Block& block) {
  unsigned sum = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    const bool blank = i >= kSum.at && i < kSum.at + kSum.size;
    sum += blank ? ' ' : static_cast<unsigned char>(block[i]);
  }
  return sum;
}

std::string_view Text(const Block& block, Field field) {
  const std::string_view raw(block.data() + field.at, field.size);
  return raw.substr(0, raw.find('\0'));
}

// Octal, or (first byte 0x80) a number of 8 bytes at the end of the field. -1: neither.
int64_t Number(const Block& block, Field field) {
  const std::string_view raw(block.data() + field.at, field.size);
  if (raw[0] == '\x80') {
    uint64_t value = 0;
    for (const char c : raw.substr(field.size - 8))
      value = value << 8 | static_cast<unsigned char>(c);
    return value <= (uint64_t{1} << 60) ? static_cast<int64_t>(value) : -1;
  }
  int64_t value = 0;
  for (const char c : Trim(raw.substr(0, raw.find('\0')))) {
    if (c < '0' || c > '7') return -1;
    value = value * 8 + (c - '0');
  }
  return value;
}

bool IsSafeName(std::string_view name) {
  if (name.empty() || name.starts_with('/') || name.ends_with('/')) return false;
  for (const std::string& part : Split(name, '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return name.find('\0') == std::string_view::npos;
}

class Reader {
 public:
  Reader(const std::string& path, int fd) : path_(path), fd_(fd) {}
  ~Reader() { ::close(fd_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Error Damaged(const std::string& what) const {
    return Corruption("'" + path_ + "' is damaged or not a backup: " + what,
                      "use another backup, or fetch the file again");
  }

  Status Fill(char* to, size_t size) {
    while (size > 0) {
      const ssize_t n = ::read(fd_, to, size);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FileError("read", path_, errno);
      if (n == 0) return Damaged("it ends early");
      to += n;
      size -= static_cast<size_t>(n);
    }
    return {};
  }

  // The content of an entry and what pads it to whole blocks.
  Status Content(int64_t bytes, const std::function<Status(std::string_view)>& take) {
    std::string buffer(std::min<size_t>(kBuffer, static_cast<size_t>(bytes)), '\0');
    for (int64_t left = bytes; left > 0;) {
      const size_t now = std::min(buffer.size(), static_cast<size_t>(left));
      RETURN_IF_ERROR(Fill(buffer.data(), now));
      RETURN_IF_ERROR(take(std::string_view(buffer).substr(0, now)));
      left -= static_cast<int64_t>(now);
    }
    Block padding;
    return Fill(padding.data(), (kBlock - static_cast<size_t>(bytes) % kBlock) % kBlock);
  }

 private:
  const std::string& path_;
  int fd_;
};

// The next entry's name and size; false at the end of the archive.
Result<bool> NextEntry(Reader& reader, TarEntry* entry) {
  std::string long_name;
  for (;;) {
    Block block;
    RETURN_IF_ERROR(reader.Fill(block.data(), kBlock));
    if (std::all_of(block.begin(), block.end(), [](char c) { return c == 0; })) return false;
    const int64_t bytes = Number(block, kSize);
    if (Number(block, kSum) != static_cast<int64_t>(Sum(block)) || bytes < 0 ||
        !Text(block, kMagic).starts_with("ustar")) {
      return reader.Damaged("a header is not one of a tar archive");
    }
    const char type = block[kType.at];
    if (type == 'L' && long_name.empty() && bytes <= kMaxName) {
      RETURN_IF_ERROR(reader.Content(bytes, [&](std::string_view piece) -> Status {
        long_name += piece;
        return {};
      }));
      long_name.resize(std::strlen(long_name.c_str()));
      continue;
    }
    if (type != '0') return reader.Damaged("it holds something else than files");
    *entry = {long_name.empty() ? std::string(Text(block, kName)) : long_name, bytes, ""};
    if (!IsSafeName(entry->name))
      return reader.Damaged("'" + entry->name + "' is not a name of a backup");
    return true;
  }
}

}  // namespace

TarWriter::TarWriter(std::string path)
    : path_(std::move(path)), temp_(path_ + ".tmp" + std::to_string(::getpid())) {}

TarWriter::~TarWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temp_.c_str());
}

Result<std::unique_ptr<TarWriter>> TarWriter::Create(const std::string& path) {
  if (PathExists(path)) {
    return Conflict("'" + path + "' exists already", "give another name, or remove it first");
  }
  std::unique_ptr<TarWriter> writer(new TarWriter(path));
  ::unlink(writer->temp_.c_str());
  writer->fd_ = ::open(writer->temp_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (writer->fd_ < 0) return FileError("create", path, errno);
  return writer;
}

Status TarWriter::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("write", path_, errno);
    written_ += n;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Status TarWriter::Header(std::string_view name, int64_t bytes, char type) {
  Block block{};
  name.copy(block.data() + kName.at, kName.size);
  PutOctal(&block, kMode, 0600);
  PutOctal(&block, kUid, 0);
  PutOctal(&block, kGid, 0);
  PutOctal(&block, kTime, 0);
  auto size = static_cast<uint64_t>(bytes);
  if (size < uint64_t{1} << 33) {
    PutOctal(&block, kSize, size);
  } else {
    block[kSize.at] = '\x80';
    for (size_t i = kSize.size; i-- > kSize.size - 8; size >>= 8)
      block[kSize.at + i] = static_cast<char>(size & 0xff);
  }
  block[kType.at] = type;
  std::memcpy(block.data() + kMagic.at, "ustar\00000", kMagic.size);
  std::snprintf(block.data() + kSum.at, kSum.size, "%06o", Sum(block));
  block[kSum.at + 7] = ' ';
  return Write({block.data(), kBlock});
}

Status TarWriter::Pad(int64_t bytes) {
  const Block zeros{};
  return Write({zeros.data(), (kBlock - static_cast<size_t>(bytes) % kBlock) % kBlock});
}

Status TarWriter::Named(const std::string& name, int64_t bytes) {
  if (!IsSafeName(name) || static_cast<int64_t>(name.size()) >= kMaxName)
    return Internal("'" + name + "' is not a name for an archive");
  if (name.size() > kName.size) {
    const auto size = static_cast<int64_t>(name.size()) + 1;
    RETURN_IF_ERROR(Header(kLongName, size, 'L'));
    RETURN_IF_ERROR(Write(std::string_view(name.c_str(), name.size() + 1)));
    RETURN_IF_ERROR(Pad(size));
  }
  return Header(std::string_view(name).substr(0, kName.size), bytes, '0');
}

Result<TarEntry> TarWriter::AddBytes(const std::string& name, std::string_view content) {
  const auto bytes = static_cast<int64_t>(content.size());
  RETURN_IF_ERROR(Named(name, bytes));
  RETURN_IF_ERROR(Write(content));
  RETURN_IF_ERROR(Pad(bytes));
  return TarEntry{name, bytes, Sha256Hex(content)};
}

Result<TarEntry> TarWriter::AddFile(const std::string& name, const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError("open", path, errno);
  auto copy = [&]() -> Result<TarEntry> {
    struct stat info{};
    if (::fstat(fd, &info) != 0) return FileError("read", path, errno);
    const int64_t bytes = info.st_size;
    RETURN_IF_ERROR(Named(name, bytes));
    Sha256Stream hash;
    std::string buffer(std::min(kBuffer, static_cast<size_t>(bytes)), '\0');
    for (int64_t left = bytes; left > 0;) {
      const ssize_t n =
          ::read(fd, buffer.data(), std::min(buffer.size(), static_cast<size_t>(left)));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FileError("read", path, errno);
      if (n == 0) return Unavailable("'" + path + "' became shorter while it was read");
      const std::string_view piece(buffer.data(), static_cast<size_t>(n));
      hash.Update(piece);
      RETURN_IF_ERROR(Write(piece));
      left -= n;
    }
    RETURN_IF_ERROR(Pad(bytes));
    return TarEntry{name, bytes, hash.Hex()};
  };
  auto entry = copy();
  ::close(fd);
  return entry;
}

Result<int64_t> TarWriter::Finish() {
  const Block zeros{};
  for (int i = 0; i < 2; ++i) RETURN_IF_ERROR(Write({zeros.data(), kBlock}));
  if (::fsync(fd_) != 0) return FileError("fsync", path_, errno);
  // Never over a file that came meanwhile.
  if (::link(temp_.c_str(), path_.c_str()) != 0) {
    if (errno == EEXIST) return Conflict("'" + path_ + "' exists already", "give another name");
    RETURN_IF_ERROR(RenameDurably(temp_, path_));  // a file system without links
  }
  ::unlink(temp_.c_str());
  ::close(fd_);
  fd_ = -1;
  RETURN_IF_ERROR(FsyncDir(DirName(path_)));
  return written_;
}

Status ReadTar(const std::string& path, const TarVisitor& visitor) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError("open", path, errno);
  Reader reader(path, fd);
  TarEntry entry;
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, NextEntry(reader, &entry));
    if (!more) return {};
    RETURN_IF_ERROR(visitor.on_entry(entry));
    Sha256Stream hash;
    RETURN_IF_ERROR(reader.Content(entry.bytes, [&](std::string_view piece) -> Status {
      hash.Update(piece);
      return visitor.on_bytes(piece);
    }));
    entry.sha256 = hash.Hex();
    RETURN_IF_ERROR(visitor.on_end(entry));
  }
}

}  // namespace slipway
