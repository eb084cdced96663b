#include "slipway/bundle/zip_format.h"

#include <zlib.h>

namespace slipway {
namespace {

constexpr uint32_t kVersion = 20;
constexpr uint32_t kFirstOf1980 = 1 << 5 | 1;

void Put16(uint32_t value, std::string* out) {
  out->push_back(static_cast<char>(value & 0xFF));
  out->push_back(static_cast<char>(value >> 8 & 0xFF));
}

void Put32(size_t value, std::string* out) {
  Put16(static_cast<uint32_t>(value & 0xFFFF), out);
  Put16(static_cast<uint32_t>(value >> 16 & 0xFFFF), out);
}

// What both headers of an entry share, from the flags on.
void PutShared(const ZipHeader& header, std::string* out) {
  Put16(0, out);  // flags
  Put16(header.method, out);
  Put16(0, out);  // time
  Put16(kFirstOf1980, out);
  Put32(header.crc, out);
  Put32(header.packed, out);
  Put32(header.size, out);
  Put16(static_cast<uint32_t>(header.name.size()), out);
  Put16(0, out);  // extra field
}

}  // namespace

void AppendZipLocal(const ZipHeader& header, std::string* out) {
  Put32(kZipLocalMark, out);
  Put16(kVersion, out);
  PutShared(header, out);
  *out += header.name;
}

void AppendZipDirectory(const ZipHeader& header, std::string* out) {
  Put32(kZipDirectoryMark, out);
  Put16(kZipMadeOnUnix << 8 | kVersion, out);
  Put16(kVersion, out);
  PutShared(header, out);
  for (int i = 0; i < 3; ++i) Put16(0, out);  // comment, disk, internal attributes
  Put32((kZipPlainFile | 0644U) << 16, out);
  Put32(header.offset, out);
  *out += header.name;
}

void AppendZipEnd(size_t entries, size_t directory_at, size_t directory_bytes, std::string* out) {
  Put32(kZipEndMark, out);
  Put32(0, out);  // disks
  Put16(static_cast<uint32_t>(entries), out);
  Put16(static_cast<uint32_t>(entries), out);
  Put32(directory_bytes, out);
  Put32(directory_at, out);
  Put16(0, out);  // comment
}

uint32_t ZipGet16(std::string_view bytes, size_t at) {
  return static_cast<uint8_t>(bytes[at]) |
         static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + 1])) << 8;
}

uint32_t ZipGet32(std::string_view bytes, size_t at) {
  return ZipGet16(bytes, at) | ZipGet16(bytes, at + 2) << 16;
}

uint32_t ZipCrc(uint32_t crc, std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(crc, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

}  // namespace slipway
