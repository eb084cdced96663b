#include "slipway/http/listener.h"

#include <cerrno>
#include <cstring>

#include <netdb.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace slipway {
namespace {

Error ListenError(const ListenAddress& address, int error_number) {
  std::string message = "cannot listen on " + address.host + ":" + std::to_string(address.port) +
                        ": " + std::strerror(error_number);
  if (error_number == EADDRINUSE) {
    return Unavailable(std::move(message),
                       "another program listens there: end it, or choose "
                       "another port");
  }
  if (error_number == EACCES) {
    return PermissionDenied(std::move(message), "ports below 1024 need CAP_NET_BIND_SERVICE");
  }
  return Unavailable(std::move(message), "use an address of this machine, such as 127.0.0.1");
}

// -1 and errno on failure.
int Bind(const addrinfo& info, bool share) {
  const int fd = ::socket(info.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (share) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  if (info.ai_family == AF_INET6) {
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  }
  if (::bind(fd, info.ai_addr, info.ai_addrlen) == 0 && ::listen(fd, 4096) == 0) return fd;
  const int error_number = errno;
  ::close(fd);
  errno = error_number;
  return -1;
}

int PortOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

void SetPort(addrinfo* info, int port) {
  if (info->ai_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(info->ai_addr)->sin6_port = htons(static_cast<uint16_t>(port));
  } else {
    reinterpret_cast<sockaddr_in*>(info->ai_addr)->sin_port = htons(static_cast<uint16_t>(port));
  }
}

Result<HttpListenSocket> BindAll(const ListenAddress& address, addrinfo* info, int loops) {
  HttpListenSocket made{.address = address, .fds = {}};
  // First alone: sharing would succeed silently beside another process of this user.
  int first = Bind(*info, false);
  if (first < 0) return ListenError(address, errno);
  made.address.port = PortOf(first);
  if (loops == 1) {
    made.fds.push_back(first);
    return made;
  }
  ::close(first);
  SetPort(info, made.address.port);
  for (int i = 0; i < loops; ++i) {
    const int fd = Bind(*info, true);
    if (fd < 0) {
      const int error_number = errno;
      for (const int other : made.fds) ::close(other);
      return ListenError(address, error_number);
    }
    made.fds.push_back(fd);
  }
  return made;
}

}  // namespace

Result<HttpListenSocket> ListenHttp(const ListenAddress& address, int loops) {
  if (address.port < 0 || address.port > 65535) {
    return InvalidArgument("port " + std::to_string(address.port) + " does not exist",
                           "choose one from 1 to 65535, or 0 for any free one");
  }
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(),
                                 std::to_string(address.port).c_str(), &wanted, &found);
  if (code != 0) {
    return InvalidArgument("cannot listen on '" + address.host + "': " + ::gai_strerror(code),
                           "use an address of this machine, such as 127.0.0.1");
  }
  Result<HttpListenSocket> made = BindAll(address, found, loops);
  ::freeaddrinfo(found);
  return made;
}

std::string HttpPeerText(const sockaddr_storage& address, bool* loopback) {
  char text[INET6_ADDRSTRLEN] = "";
  *loopback = false;
  if (address.ss_family == AF_INET) {
    const in_addr& ip = reinterpret_cast<const sockaddr_in*>(&address)->sin_addr;
    *loopback = (ntohl(ip.s_addr) >> 24) == 127;
    ::inet_ntop(AF_INET, &ip, text, sizeof text);
  } else if (address.ss_family == AF_INET6) {
    const in6_addr& ip = reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr;
    *loopback = IN6_IS_ADDR_LOOPBACK(&ip);
    ::inet_ntop(AF_INET6, &ip, text, sizeof text);
  }
  return text;
}

}  // namespace slipway
