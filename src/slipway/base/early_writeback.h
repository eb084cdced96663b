// Lets the disk work while a file is still growing, so that the fsync at its end finds little left
// to write. Nothing depends on it: it neither fails nor makes anything durable.
#pragma once

#include <cstdint>

#include <fcntl.h>

namespace slipway {

// Confined to one thread at a time.
class EarlyWriteback {
 public:
  // The file has grown by about `bytes`. Every kStep of them its unwritten pages are handed to the
  // disk, without waiting for them.
  void Grew(int fd, int64_t bytes) {
    waiting_ += bytes;
    if (waiting_ < kStep) return;
    waiting_ = 0;
    // Not every file has it (a pipe, a device): then the end of the file is as slow as it was.
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  }

 private:
  static constexpr int64_t kStep = int64_t{8} << 20;
  int64_t waiting_ = 0;
};

}  // namespace slipway
