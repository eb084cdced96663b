#include "slipway/hub/login_throttle.h"

#include "slipway/base/clock.h"

namespace slipway {
namespace {

constexpr int kTries = 10;
constexpr double kSeconds = 300;
constexpr size_t kAccounts = 10'000;  // remembered; names are the caller's, so they are bounded

}  // namespace

double LoginThrottle::SecondsToWait(const std::string& account) {
  MutexLock lock(mutex_);
  const auto found = failures_.find(account);
  if (found == failures_.end()) return 0;
  const double left = found->second.since + kSeconds - SteadySeconds();
  if (left <= 0) {
    failures_.erase(found);
    return 0;
  }
  return found->second.count >= kTries ? left : 0;
}

void LoginThrottle::Failed(const std::string& account) {
  MutexLock lock(mutex_);
  const double now = SteadySeconds();
  if (failures_.size() >= kAccounts)
    std::erase_if(failures_, [&](const auto& f) { return f.second.since + kSeconds < now; });
  if (failures_.size() >= kAccounts) failures_.clear();
  Failures& failures = failures_[account.substr(0, 128)];
  if (failures.count == 0) failures.since = now;
  ++failures.count;
}

void LoginThrottle::Succeeded(const std::string& account) {
  MutexLock lock(mutex_);
  failures_.erase(account);
}

}  // namespace slipway
