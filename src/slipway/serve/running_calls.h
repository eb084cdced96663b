// How many requests of a service are with the workers: max_concurrent's count.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "slipway/base/mutex.h"

namespace slipway {

// Thread-safe.
class RunningCalls {
 public:
  // One of a service's places; given back at its end. Confined to one thread at a time.
  class Place {
   public:
    Place() = default;
    explicit Place(std::shared_ptr<std::atomic<int>> count) : count_(std::move(count)) {}
    Place(Place&& other) noexcept = default;
    Place& operator=(Place&& other) noexcept {
      std::swap(count_, other.count_);
      return *this;
    }
    ~Place() { Leave(); }
    void Leave() {
      if (count_ != nullptr) count_->fetch_sub(1);
      count_ = nullptr;
    }

   private:
    std::shared_ptr<std::atomic<int>> count_;
  };

  // Nothing: `most` are at work already. 0: no limit, and nothing is counted.
  std::optional<Place> Enter(const std::string& service, int64_t most);

 private:
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<std::atomic<int>>> counts_ GUARDED_BY(mutex_);
};

}  // namespace slipway
