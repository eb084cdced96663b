// The files of the query log: appended to in whole zstd frames, rotated by size and age, the oldest
// removed. What happens to the disk is an error of one frame, and the next one tries again.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/serve/query_log.h"

struct ZSTD_CCtx_s;

namespace slipway {

// Confined to one thread. Makes folder (0700) and files (0600) when there is something to write.
class QueryLogFiles {
 public:
  explicit QueryLogFiles(const QueryLogOptions& options);
  ~QueryLogFiles();
  QueryLogFiles(const QueryLogFiles&) = delete;
  QueryLogFiles& operator=(const QueryLogFiles&) = delete;

  // All of it is in the file, as a frame of its own, or nothing.
  Status WriteFrame(std::string_view text);
  int64_t disk_bytes() const { return disk_bytes_; }

 private:
  struct File {
    std::string name;
    int64_t bytes = 0;
  };
  Status OpenFile();
  void CloseFile();
  void Rescan();
  void RemoveOldest();
  bool IsDue(size_t next) const;

  QueryLogOptions options_;
  ZSTD_CCtx_s* context_;
  std::vector<char> compressed_;
  std::deque<File> files_;  // oldest first; the last one is open when fd_ >= 0
  int fd_ = -1;
  int64_t text_bytes_ = 0;  // in the open file, uncompressed
  double opened_ = 0;       // steady seconds
  int64_t disk_bytes_ = 0;
  int number_ = 0;
};

}  // namespace slipway
