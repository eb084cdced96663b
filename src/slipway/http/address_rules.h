// Rules on where a request may go: which addresses are public, which URLs have the same origin.
// Pure; thread-safe.
#pragma once

#include <string_view>

struct sockaddr;

namespace slipway {

bool IsPublicSocketAddress(const sockaddr* address);
// The same scheme, host and port.
bool SameOrigin(std::string_view a, std::string_view b);

}  // namespace slipway
