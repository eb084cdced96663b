// Internal to bundle: zip files of a few plain entries in memory, over libarchive.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slipway/base/result.h"

struct archive;

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
  struct Close {
    void operator()(archive* reader) const;
  };
  explicit ZipReader(archive* reader) : reader_(reader) {}
  std::unique_ptr<archive, Close> reader_;
};

}  // namespace slipway
