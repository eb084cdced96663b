// HostRule on the node's hot path: what a loop allowed last is not looked at again.
#pragma once

#include <string>
#include <vector>

#include "slipway/http/host_rule.h"
#include "slipway/http/server.h"
#include "slipway/serve/config.h"

namespace slipway {

// Thread-safe with one thread per loop.
class HostCheck {
 public:
  HostCheck(const NodeConfig& config, int loops);
  // `loop` -1: a caller that is none; slower.
  bool Allows(int loop, const HttpRequest& request);

 private:
  const HostRule rule_;
  struct alignas(64) Last {
    std::string host;  // allowed before
  };
  std::vector<Last> last_;
};

}  // namespace slipway
