#include "slipway/base/early_sync.h"

#include <cerrno>
#include <system_error>

#include <unistd.h>

namespace slipway {
namespace {

// Small files need no thread.
constexpr int64_t kStepBytes = int64_t{8} << 20;

}  // namespace

void EarlySync::Grew(int fd, int64_t bytes) {
  waiting_ += bytes;
  if (waiting_ < kStepBytes) return;
  waiting_ = 0;
  {
    MutexLock lock(mutex_);
    fd_ = fd;
    asked_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) return;
  try {
    thread_ = std::thread([this] { Work(); });
  } catch (const std::system_error&) {
    // No thread to be had: the end of the file takes its time.
  }
}

int EarlySync::End() {
  {
    MutexLock lock(mutex_);
    ended_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
  MutexLock lock(mutex_);
  return error_;
}

void EarlySync::Work() {
  MutexLock lock(mutex_);
  for (;;) {
    while (!asked_ && !ended_) changed_.Wait(mutex_);
    if (!asked_) return;
    asked_ = false;
    const int fd = fd_;
    mutex_.unlock();
    const int error = ::fdatasync(fd) == 0 ? 0 : errno;
    mutex_.lock();
    if (error_ == 0) error_ = error;
  }
}

}  // namespace slipway
