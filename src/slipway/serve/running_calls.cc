#include "slipway/serve/running_calls.h"

namespace slipway {

std::optional<RunningCalls::Place> RunningCalls::Enter(const std::string& service, int64_t most) {
  if (most <= 0) return Place();
  std::shared_ptr<std::atomic<int>> count;
  {
    MutexLock lock(mutex_);
    std::shared_ptr<std::atomic<int>>& kept = counts_[service];
    if (kept == nullptr) kept = std::make_shared<std::atomic<int>>(0);
    count = kept;
  }
  if (count->fetch_add(1) < most) return Place(std::move(count));
  count->fetch_sub(1);
  return std::nullopt;
}

}  // namespace slipway
