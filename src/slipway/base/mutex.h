// Mutex: std::mutex with clang's thread-safety annotations, so that an unlocked access does not
// compile under the clang presets. Thread-safe.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define SLIPWAY_TSA(x) __attribute__((x))
#else
#define SLIPWAY_TSA(x)
#endif
#define GUARDED_BY(x) SLIPWAY_TSA(guarded_by(x))
#define REQUIRES_LOCK(...) SLIPWAY_TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES_LOCK(...) SLIPWAY_TSA(locks_excluded(__VA_ARGS__))

namespace slipway {

class SLIPWAY_TSA(capability("mutex")) Mutex {
 public:
  void lock() SLIPWAY_TSA(acquire_capability()) { mutex_.lock(); }
  void unlock() SLIPWAY_TSA(release_capability()) { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

// Holds a Mutex for a scope.
class SLIPWAY_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) SLIPWAY_TSA(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() SLIPWAY_TSA(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits on a Mutex that the caller holds: `while (!ready) cv.Wait(mutex);`
class CondVar {
 public:
  void Wait(Mutex& mutex) REQUIRES_LOCK(mutex) { cv_.wait(mutex); }
  void NotifyOne() { cv_.notify_one(); }
  void NotifyAll() { cv_.notify_all(); }

 private:
  std::condition_variable_any cv_;
};

}  // namespace slipway
