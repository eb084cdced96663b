// Makes a growing file durable piece by piece beside the work, so that the fsync at its end finds
// little left to do.
#pragma once

#include <cstdint>
#include <thread>

#include "slipway/base/mutex.h"

namespace slipway {

// Its callers take turns: one thread at a time.
class EarlySync {
 public:
  EarlySync() = default;
  ~EarlySync() { (void)End(); }
  EarlySync(const EarlySync&) = delete;
  EarlySync& operator=(const EarlySync&) = delete;

  // The regular file has grown by about `bytes`; now and then a thread of its own begins a sync.
  // `fd` stays open until End.
  void Grew(int fd, int64_t bytes);
  // Waits for the syncs begun and asked for; 0 or the errno of the first failure. The file is as
  // bad then as when its last fsync fails: the kernel tells of lost pages only once.
  int End();

 private:
  void Work();

  int64_t waiting_ = 0;
  std::thread thread_;
  Mutex mutex_;
  CondVar changed_;
  int fd_ GUARDED_BY(mutex_) = -1;
  bool asked_ GUARDED_BY(mutex_) = false;
  bool ended_ GUARDED_BY(mutex_) = false;
  int error_ GUARDED_BY(mutex_) = 0;
};

}  // namespace slipway
