// Which Host headers the node answers: a page in a browser must not reach a node on loopback
// through a name of its own (DNS rebinding).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "slipway/http/server.h"
#include "slipway/serve/config.h"

namespace slipway {

// Addresses, "localhost" and this machine's name are always fine; so is any name when the node
// listens off loopback and the configuration lists none. Thread-safe with one thread per loop.
class HostCheck {
 public:
  HostCheck(const NodeConfig& config, int loops);
  // `loop` -1: a caller that is none; slower.
  bool Allows(int loop, const HttpRequest& request);

 private:
  bool AllowsName(std::string_view host) const;

  bool any_ = false;
  std::vector<std::string> names_;  // lower-case
  struct alignas(64) Last {
    std::string host;  // allowed before
  };
  std::vector<Last> last_;
};

}  // namespace slipway
