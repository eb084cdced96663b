// Tar archives (ustar, with GNU's long names and large sizes) of regular files: what a backup is,
// so that any tar can list and unpack it. Written durably and all or nothing; read with limits, as
// foreign bytes are. Confined to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "slipway/base/hash.h"
#include "slipway/base/result.h"

namespace slipway {

// One file in an archive.
struct TarEntry {
  std::string name;  // relative, with '/'
  int64_t bytes = 0;
  std::string sha256;  // of what was written or read
};

class TarWriter {
 public:
  // Writes beside `path` until Finish. An existing file: kConflict. Mode 0600: who reads a backup
  // reads the home.
  static Result<std::unique_ptr<TarWriter>> Create(const std::string& path);
  ~TarWriter();  // without Finish nothing is left
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  Result<TarEntry> AddBytes(const std::string& name, std::string_view content);
  // As many bytes as the file has now; kNotFound when it is gone.
  Result<TarEntry> AddFile(const std::string& name, const std::string& path);
  // Durable under its name from here; gives its size.
  Result<int64_t> Finish();

 private:
  explicit TarWriter(std::string path);
  Status Write(std::string_view bytes);
  Status Header(std::string_view name, int64_t bytes, char type);
  Status Named(const std::string& name, int64_t bytes);
  Status Pad(int64_t bytes);

  const std::string path_, temp_;
  int fd_ = -1;
  int64_t written_ = 0;
};

// Reads an archive from its beginning; the entry's content goes to `on_bytes` in pieces. `on_entry`
// is called with name and bytes before, `on_end` with the hash after each. kCorruption for what is
// no such archive, ends early, or holds anything but regular files with relative names.
struct TarVisitor {
  std::function<Status(const TarEntry&)> on_entry;
  std::function<Status(std::string_view)> on_bytes;
  std::function<Status(const TarEntry&)> on_end;
};
Status ReadTar(const std::string& path, const TarVisitor& visitor);

}  // namespace slipway
