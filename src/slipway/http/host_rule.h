// Which Host headers a server answers: a page in a browser must not reach a server on loopback, or
// one that trusts its network, through a name of its own (DNS rebinding). Immutable.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "slipway/http/listen_address.h"

namespace slipway {

// Whether a Host header could be this, without its port: a name of letters, digits, '-', '_' and
// dots, or an address.
bool IsHostName(std::string_view text);

class HostRule {
 public:
  // Addresses, "localhost" and this machine's name are always fine; so is any name when nothing
  // listens on loopback and `names` is empty.
  HostRule(const std::vector<std::string>& names, const std::vector<ListenAddress>& listen);
  bool any() const { return any_; }
  // The header as it came, with a port or without.
  bool Allows(std::string_view host) const;

 private:
  bool any_ = false;
  std::vector<std::string> names_;  // lower-case
};

}  // namespace slipway
