// The admin API's threads: reads on one, changes on a few of their own, so that an import that
// takes a minute holds up neither a listing nor a change of another service, and no load of scoring
// holds up either.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "slipway/base/mutex.h"

namespace slipway {

// Thread-safe. The destructor finishes what runs and calls `cancel` of what waits.
class AdminQueue {
 public:
  struct Work {
    std::function<void()> run;
    std::function<void()> cancel;
  };
  // `nice`: of its threads.
  AdminQueue(int threads, size_t capacity, int nice);
  ~AdminQueue();
  AdminQueue(const AdminQueue&) = delete;
  AdminQueue& operator=(const AdminQueue&) = delete;
  // False when full: neither is called.
  bool Add(Work work) EXCLUDES_LOCK(mutex_);

 private:
  void Run() EXCLUDES_LOCK(mutex_);

  const size_t capacity_;
  const int nice_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Work> waiting_ GUARDED_BY(mutex_);
  bool stop_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace slipway
