#include "slipway/serve/generation_reaper.h"

#include <malloc.h>

#include "slipway/serve/background.h"

namespace slipway {

std::shared_ptr<GenerationReaper> GenerationReaper::Make() {
  std::shared_ptr<GenerationReaper> reaper(new GenerationReaper());
  reaper->thread_ = std::thread([raw = reaper.get()] { raw->Run(); });
  return reaper;
}

GenerationReaper::~GenerationReaper() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

std::shared_ptr<const Generation> GenerationReaper::Watch(
    std::shared_ptr<const Generation> generation) {
  const Generation* raw = generation.get();
  {
    MutexLock lock(mutex_);
    ++counts_.alive;
    alive_.insert(raw);
  }
  // A list, so that its end needs no memory. Shared: a deleter must be copyable.
  auto held = std::make_shared<Ended>();
  held->push_back(std::move(generation));
  return {raw, [reaper = shared_from_this(), held = std::move(held)](const Generation*) {
            reaper->Take(held.get());
          }};
}

void GenerationReaper::Take(Ended* ended) {
  MutexLock lock(mutex_);
  ended_.splice(ended_.end(), *ended);
  changed_.NotifyAll();
}

GenerationReaper::Counts GenerationReaper::counts() const {
  MutexLock lock(mutex_);
  Counts counts = counts_;
  for (const Generation* each : alive_)
    counts.alive_bytes += static_cast<int64_t>(each->memory_bytes());
  return counts;
}

void GenerationReaper::Flush() {
  MutexLock lock(mutex_);
  while (!ended_.empty() || working_) changed_.Wait(mutex_);
}

void GenerationReaper::Run() {
  EnterBackground("slipway-reaper", 5);
  MutexLock lock(mutex_);
  for (;;) {
    while (ended_.empty() && !stop_) changed_.Wait(mutex_);
    if (ended_.empty()) return;
    Ended ended;
    ended.swap(ended_);
    working_ = true;
    for (const auto& each : ended) alive_.erase(alive_.find(each.get()));
    mutex_.unlock();
    const auto freed = static_cast<int64_t>(ended.size());
    ended.clear();
    ::malloc_trim(0);
    mutex_.lock();
    working_ = false;
    counts_.alive -= freed;
    counts_.freed += freed;
    changed_.NotifyAll();
  }
}

}  // namespace slipway
