#include "slipway/serve/admin_queue.h"

#include <new>

#include "slipway/serve/background.h"

namespace slipway {

AdminQueue::AdminQueue(int threads, size_t capacity, int nice) : capacity_(capacity), nice_(nice) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

AdminQueue::~AdminQueue() {
  std::deque<Work> left;
  {
    MutexLock lock(mutex_);
    stop_ = true;
    left.swap(waiting_);
    changed_.NotifyAll();
  }
  for (const Work& work : left) work.cancel();
  for (std::thread& thread : threads_) thread.join();
}

bool AdminQueue::Add(Work work) {
  MutexLock lock(mutex_);
  if (stop_ || waiting_.size() >= capacity_) return false;
  waiting_.push_back(std::move(work));
  changed_.NotifyOne();
  return true;
}

void AdminQueue::Run() {
  EnterBackground("slipway-admin", nice_);
  for (;;) {
    Work work;
    {
      MutexLock lock(mutex_);
      while (waiting_.empty() && !stop_) changed_.Wait(mutex_);
      if (waiting_.empty()) return;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    try {
      work.run();
    } catch (const std::bad_alloc&) {  // its request, unanswered, is told so when it goes
    }
  }
}

}  // namespace slipway
