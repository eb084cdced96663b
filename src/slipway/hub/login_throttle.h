// Wrong passwords per account: after ten within five minutes, the account waits. In memory and
// bounded. Thread-safe.
#pragma once

#include <map>
#include <string>

#include "slipway/base/mutex.h"

namespace slipway {

class LoginThrottle {
 public:
  double SecondsToWait(const std::string& account);  // 0: go on
  void Failed(const std::string& account);
  void Succeeded(const std::string& account);

 private:
  struct Failures {
    int count = 0;
    double since = 0;
  };
  Mutex mutex_;
  std::map<std::string, Failures> failures_ GUARDED_BY(mutex_);
};

}  // namespace slipway
