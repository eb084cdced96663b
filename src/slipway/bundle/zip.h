// Internal to bundle: zip files of a few plain entries in memory (PKWARE APPNOTE 6.3: stored or
// deflated, no ZIP64, no encryption), over zlib alone. Foreign bytes: bounded; entries lie apart,
// and what the directory at the end says of them must be so.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

// The same entries give the same bytes (with the same zlib): no times, owners or modes of this
// machine.
Result<std::string> MakeZip(const std::vector<std::pair<std::string, std::string_view>>& entries);

// Walks over the entries in the order of their bytes. `bytes` must outlive it; confined to one
// thread.
class ZipReader {
 public:
  static Result<ZipReader> Open(std::string_view bytes);
  // Goes to the next entry, which must be a plain file in no folder; false at the end.
  Result<bool> Next(std::string* name);
  // The entry's bytes, at most `limit`.
  Result<std::string> Read(size_t limit);

 private:
  struct Entry {
    std::string_view name;
    uint32_t flags = 0, method = 0, mode = 0, crc = 0;
    size_t size = 0;           // once inflated
    std::string_view content;  // as it lies in the file
    size_t offset = 0;         // of its local header
    size_t packed = 0;
  };
  static Result<Entry> ReadDirectoryEntry(std::string_view* directory);
  Status Locate(size_t directory_at, Entry* entry, size_t end) const;

  std::string_view bytes_;
  std::vector<Entry> entries_;  // by offset
  size_t next_ = 0;
};

}  // namespace slipway
