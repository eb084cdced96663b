// "HOST:PORT" of configuration and flags.
#pragma once

#include <string_view>

#include "slipway/base/result.h"
#include "slipway/http/server.h"

namespace slipway {

// "127.0.0.1:12000", "[::1]:12000", ":12000" (every address), "localhost:0".
Result<ListenAddress> ParseListenAddress(std::string_view text);
// Only this machine reaches it.
bool IsLoopback(const ListenAddress& address);

}  // namespace slipway
