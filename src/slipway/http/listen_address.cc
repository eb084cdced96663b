#include "slipway/http/listen_address.h"

#include "slipway/base/text.h"

namespace slipway {

Result<ListenAddress> ParseListenAddress(std::string_view text) {
  const auto wrong = [&] {
    return InvalidArgument("'" + std::string(text) + "' is no ADDRESS:PORT",
                           "for example 127.0.0.1:12000, [::1]:12000 or 0.0.0.0:12000");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong();
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong();
  }
  const std::optional<int64_t> port = ParseInt64(text.substr(colon + 1));
  if (!port || *port < 0 || *port > 65535) return wrong();
  return ListenAddress{host.empty() ? "0.0.0.0" : std::string(host), static_cast<int>(*port)};
}

bool IsLoopback(const ListenAddress& address) {
  return address.host.starts_with("127.") || address.host == "::1" || address.host == "localhost";
}

}  // namespace slipway
