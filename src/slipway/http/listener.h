// Listening sockets. Pure functions over file descriptors.
#pragma once

#include <string>
#include <vector>

#include <sys/socket.h>

#include "slipway/base/result.h"
#include "slipway/http/server.h"

namespace slipway {

struct HttpListenSocket {
  ListenAddress address;  // with the port that was had
  std::vector<int> fds;   // one per loop; the caller closes them
};

// Binds `loops` sockets to the same port (SO_REUSEPORT), so that each loop accepts for itself.
// Another process that listens there is an error, also when it would share the port.
Result<HttpListenSocket> ListenHttp(const ListenAddress& address, int loops);
// "127.0.0.1", "::1"; "" for what is no IP address.
std::string HttpPeerText(const sockaddr_storage& address, bool* loopback);

}  // namespace slipway
