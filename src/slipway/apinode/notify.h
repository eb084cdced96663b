// sd_notify(3) without the library: one datagram to $NOTIFY_SOCKET.
#pragma once

#include <string_view>

namespace slipway {

// "READY=1" and the like. Nothing when no service manager asked for it.
void Notify(std::string_view state);

}  // namespace slipway
