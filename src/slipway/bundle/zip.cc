#include "slipway/bundle/zip.h"

#include <algorithm>
#include <optional>

#include <zlib.h>

#include <fmt/format.h>

namespace slipway {
namespace {

constexpr uint32_t kLocalMark = 0x04034b50, kDirectoryMark = 0x02014b50, kEndMark = 0x06054b50;
constexpr size_t kLocalBytes = 30, kDirectoryBytes = 46, kEndBytes = 22;
constexpr size_t kMaxComment = 0xFFFF;
constexpr size_t kMaxBytes = 0xFFFFFFFE;  // beyond lies ZIP64
constexpr uint16_t kVersion = 20, kMadeOnUnix = 3 << 8, kStored = 0, kDeflated = 8;
constexpr uint16_t kFirstOf1980 = 1 << 5 | 1;
constexpr uint32_t kEncrypted = 1 << 0 | 1 << 6 | 1 << 13;
constexpr uint32_t kTypeMask = 0170000, kPlainFile = 0100000;
constexpr size_t kMaxInflation = 1032;  // what deflate can do at most
constexpr size_t kChunk = size_t{1} << 30;

void Put16(uint32_t value, std::string* out) {
  out->push_back(static_cast<char>(value & 0xFF));
  out->push_back(static_cast<char>(value >> 8 & 0xFF));
}

void Put32(size_t value, std::string* out) {
  Put16(static_cast<uint32_t>(value & 0xFFFF), out);
  Put16(static_cast<uint32_t>(value >> 16 & 0xFFFF), out);
}

// REQUIRES: at + 2 (4) <= bytes.size().
uint32_t Get16(std::string_view bytes, size_t at) {
  return static_cast<uint8_t>(bytes[at]) |
         static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + 1])) << 8;
}

uint32_t Get32(std::string_view bytes, size_t at) {
  return Get16(bytes, at) | Get16(bytes, at + 2) << 16;
}

uint32_t Crc(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

// zlib takes its input as if it would write to it, which it does not.
unsigned char* Input(std::string_view bytes) {
  return reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
}

Result<std::string> Deflate(std::string_view bytes) {
  z_stream stream = {};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    return Unavailable("zip: not enough memory");
  }
  std::string out;
  char buffer[1 << 16];
  int code = Z_OK;
  while (code == Z_OK) {
    if (stream.avail_in == 0 && !bytes.empty()) {
      const size_t part = std::min(bytes.size(), kChunk);
      stream.next_in = Input(bytes);
      stream.avail_in = static_cast<uInt>(part);
      bytes.remove_prefix(part);
    }
    stream.next_out = reinterpret_cast<unsigned char*>(buffer);
    stream.avail_out = sizeof buffer;
    code = deflate(&stream, bytes.empty() ? Z_FINISH : Z_NO_FLUSH);
    out.append(buffer, sizeof buffer - stream.avail_out);
  }
  deflateEnd(&stream);
  if (code != Z_STREAM_END) return Internal("zip: deflate failed");
  return out;
}

Error Damaged(std::string_view what) {
  return Corruption(fmt::format("damaged zip file: {}", what));
}

// Exactly `size` bytes, or an error.
Result<std::string> Inflate(std::string_view bytes, size_t size) {
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return Unavailable("zip: not enough memory");
  std::string out;
  char buffer[1 << 16];
  int code = Z_OK;
  while (code == Z_OK && out.size() <= size) {
    if (stream.avail_in == 0) {
      const size_t part = std::min(bytes.size(), kChunk);
      stream.next_in = Input(bytes);
      stream.avail_in = static_cast<uInt>(part);
      bytes.remove_prefix(part);
    }
    stream.next_out = reinterpret_cast<unsigned char*>(buffer);
    stream.avail_out = sizeof buffer;
    code = inflate(&stream, Z_NO_FLUSH);  // Z_BUF_ERROR when the input ends too early
    out.append(buffer, sizeof buffer - stream.avail_out);
  }
  const bool whole = code == Z_STREAM_END && stream.avail_in == 0 && bytes.empty();
  inflateEnd(&stream);
  if (!whole || out.size() != size) return Damaged("an entry does not inflate to its size");
  return out;
}

// What both headers of an entry share, from the flags on.
void PutShared(uint16_t method, uint32_t crc, size_t packed, size_t size, size_t name,
               std::string* out) {
  Put16(0, out);  // flags
  Put16(method, out);
  Put16(0, out);  // time
  Put16(kFirstOf1980, out);
  Put32(crc, out);
  Put32(packed, out);
  Put32(size, out);
  Put16(static_cast<uint32_t>(name), out);
  Put16(0, out);  // extra field
}

// Where the record at the end begins; its comment must reach the file's last byte.
std::optional<size_t> FindEnd(std::string_view bytes) {
  if (bytes.size() < kEndBytes) return std::nullopt;
  const size_t last = bytes.size() - kEndBytes;
  for (size_t comment = 0; comment <= std::min(last, kMaxComment); ++comment) {
    const size_t at = last - comment;
    if (Get32(bytes, at) == kEndMark && Get16(bytes, at + 20) == comment) return at;
  }
  return std::nullopt;
}

}  // namespace

Result<std::string> MakeZip(const std::vector<std::pair<std::string, std::string_view>>& entries) {
  std::string bytes, directory;
  for (const auto& [name, content] : entries) {
    ASSIGN_OR_RETURN(const std::string packed, Deflate(content));
    if (name.size() > 0xFFFF || content.size() > kMaxBytes ||
        bytes.size() + packed.size() > kMaxBytes - (1 << 20)) {
      return InvalidArgument(
          fmt::format("zip: {} bytes of '{}' are too many", content.size(), name.substr(0, 60)));
    }
    const uint32_t crc = Crc(content);
    const size_t offset = bytes.size();
    Put32(kLocalMark, &bytes);
    Put16(kVersion, &bytes);
    PutShared(kDeflated, crc, packed.size(), content.size(), name.size(), &bytes);
    bytes += name;
    bytes += packed;
    Put32(kDirectoryMark, &directory);
    Put16(kMadeOnUnix | kVersion, &directory);
    Put16(kVersion, &directory);
    PutShared(kDeflated, crc, packed.size(), content.size(), name.size(), &directory);
    for (int i = 0; i < 3; ++i) Put16(0, &directory);  // comment, disk, internal attributes
    Put32((kPlainFile | 0644U) << 16, &directory);
    Put32(offset, &directory);
    directory += name;
  }
  const size_t directory_at = bytes.size();
  bytes += directory;
  Put32(kEndMark, &bytes);
  Put32(0, &bytes);  // disks
  Put16(static_cast<uint32_t>(entries.size()), &bytes);
  Put16(static_cast<uint32_t>(entries.size()), &bytes);
  Put32(directory.size(), &bytes);
  Put32(directory_at, &bytes);
  Put16(0, &bytes);  // comment
  return bytes;
}

Result<ZipReader::Entry> ZipReader::ReadDirectoryEntry(std::string_view* directory) {
  if (directory->size() < kDirectoryBytes || Get32(*directory, 0) != kDirectoryMark)
    return Damaged("its directory ends too early");
  Entry entry;
  const uint32_t host = Get16(*directory, 4) >> 8;
  entry.flags = Get16(*directory, 8);
  entry.method = Get16(*directory, 10);
  entry.crc = Get32(*directory, 16);
  entry.packed = Get32(*directory, 20);
  entry.size = Get32(*directory, 24);
  const size_t name = Get16(*directory, 28);
  const size_t whole = kDirectoryBytes + name + Get16(*directory, 30) + Get16(*directory, 32);
  entry.mode = host == kMadeOnUnix >> 8 ? Get32(*directory, 38) >> 16 : 0;
  entry.offset = Get32(*directory, 42);
  if (directory->size() < whole) return Damaged("its directory ends too early");
  entry.name = directory->substr(kDirectoryBytes, name);
  directory->remove_prefix(whole);
  return entry;
}

// Finds the entry's content between its local header and `end`, where the next one begins.
Status ZipReader::Locate(size_t directory_at, Entry* entry, size_t end) const {
  end = std::min(end, directory_at);
  if (entry->offset > end || end - entry->offset < kLocalBytes ||
      Get32(bytes_, entry->offset) != kLocalMark) {
    return Damaged("an entry is not where its directory says");
  }
  const size_t name = Get16(bytes_, entry->offset + 26);
  const size_t begin = entry->offset + kLocalBytes + name + Get16(bytes_, entry->offset + 28);
  if (begin > end || entry->packed > end - begin)
    return Damaged("an entry reaches into the next one");
  if (bytes_.substr(entry->offset + kLocalBytes, name) != entry->name ||
      Get16(bytes_, entry->offset + 8) != entry->method) {
    return Damaged("an entry and its directory do not agree");
  }
  entry->content = bytes_.substr(begin, entry->packed);
  return {};
}

Result<ZipReader> ZipReader::Open(std::string_view bytes) {
  const std::optional<size_t> end = FindEnd(bytes);
  if (!end) return Corruption("not a whole zip file: it has no directory at its end");
  const size_t count = Get16(bytes, *end + 10);
  const size_t size = Get32(bytes, *end + 12), at = Get32(bytes, *end + 16);
  if (Get32(bytes, *end + 4) != 0 || Get16(bytes, *end + 8) != count)
    return Damaged("it is one of several parts");
  if (at > *end || size != *end - at) return Damaged("its directory is not before its end");
  ZipReader zip;
  zip.bytes_ = bytes;
  std::string_view directory = bytes.substr(at, size);
  for (size_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(zip.entries_.emplace_back(), ReadDirectoryEntry(&directory));
  }
  if (!directory.empty()) return Damaged("its directory has more entries than it says");
  std::sort(zip.entries_.begin(), zip.entries_.end(),
            [](const Entry& a, const Entry& b) { return a.offset < b.offset; });
  for (size_t i = 0; i < count; ++i) {
    const size_t next = i + 1 < count ? zip.entries_[i + 1].offset : at;
    RETURN_IF_ERROR(zip.Locate(at, &zip.entries_[i], next));
  }
  return zip;
}

Result<bool> ZipReader::Next(std::string* name) {
  if (next_ == entries_.size()) return false;
  const Entry& entry = entries_[next_++];
  *name = std::string(entry.name);
  if ((entry.flags & kEncrypted) != 0)
    return Corruption(fmt::format("entry '{}' is encrypted", name->substr(0, 60)));
  const uint32_t type = entry.mode & kTypeMask;
  if ((type != 0 && type != kPlainFile) || name->empty() ||
      name->find_first_of("/\\") != std::string::npos) {
    return Corruption(fmt::format("entry '{}' is not a plain file", name->substr(0, 60)));
  }
  return true;
}

Result<std::string> ZipReader::Read(size_t limit) {
  const Entry& entry = entries_[next_ - 1];
  if (entry.size > limit)
    return Corruption(fmt::format("larger than the {} bytes that it may have", limit));
  if (entry.method != kStored && entry.method != kDeflated)
    return Corruption(
        fmt::format("zip method {} is not known: stored or deflated is", entry.method));
  std::string content;
  if (entry.method == kStored) {
    if (entry.packed != entry.size) return Damaged("a stored entry has two sizes");
    content = std::string(entry.content);
  } else {
    if (entry.size / kMaxInflation > entry.packed)
      return Damaged("an entry does not inflate to its size");
    ASSIGN_OR_RETURN(content, Inflate(entry.content, entry.size));
  }
  if (Crc(content) != entry.crc) return Damaged("an entry's checksum is another");
  return content;
}

}  // namespace slipway
