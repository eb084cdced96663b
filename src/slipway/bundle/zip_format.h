// Internal to zip: the records of a zip file as Slipway writes them. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace slipway {

inline constexpr uint32_t kZipLocalMark = 0x04034b50, kZipDirectoryMark = 0x02014b50,
                          kZipEndMark = 0x06054b50;
inline constexpr size_t kZipLocalBytes = 30, kZipDirectoryBytes = 46, kZipEndBytes = 22;
inline constexpr size_t kMaxZipBytes = 0xFFFFFFFE;  // beyond lies ZIP64
inline constexpr uint32_t kZipStored = 0, kZipDeflated = 8;
inline constexpr uint32_t kZipMadeOnUnix = 3;
inline constexpr uint32_t kZipTypeMask = 0170000, kZipPlainFile = 0100000;

// What an entry's two headers say of it.
struct ZipHeader {
  std::string_view name;
  uint32_t method = kZipDeflated, crc = 0;
  size_t packed = 0, size = 0;
  size_t offset = 0;  // of its local header
};

// The records, in full. REQUIRES: sizes and offsets up to kMaxZipBytes, names up to 65,535 bytes.
void AppendZipLocal(const ZipHeader& header, std::string* out);
void AppendZipDirectory(const ZipHeader& header, std::string* out);
void AppendZipEnd(size_t entries, size_t directory_at, size_t directory_bytes, std::string* out);

// REQUIRES: at + 2 (4) <= bytes.size().
uint32_t ZipGet16(std::string_view bytes, size_t at);
uint32_t ZipGet32(std::string_view bytes, size_t at);
// The CRC-32 of what `crc` is of, then `bytes`; begins with 0.
uint32_t ZipCrc(uint32_t crc, std::string_view bytes);

}  // namespace slipway
