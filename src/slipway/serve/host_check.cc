#include "slipway/serve/host_check.h"

#include <algorithm>

#include <unistd.h>

#include <arpa/inet.h>

#include "slipway/base/text.h"
#include "slipway/http/listen_address.h"

namespace slipway {
namespace {

bool IsAddress(const std::string& host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

}  // namespace

HostCheck::HostCheck(const NodeConfig& config, int loops) : last_(static_cast<size_t>(loops)) {
  any_ =
      config.hosts.empty() && std::none_of(config.listen.begin(), config.listen.end(), IsLoopback);
  for (const std::string& name : config.hosts) names_.push_back(ToLower(name));
  names_.push_back("localhost");
  char own[256] = {};
  if (::gethostname(own, sizeof own - 1) == 0) names_.push_back(ToLower(own));
}

bool HostCheck::Allows(int loop, const HttpRequest& request) {
  if (any_) return true;
  const std::string_view host = request.Header("host");
  if (loop < 0) return AllowsName(host);
  std::string& last = last_[static_cast<size_t>(loop)].host;
  if (!last.empty() && last == host) return true;
  if (!AllowsName(host)) return false;
  last.assign(host);
  return true;
}

bool HostCheck::AllowsName(std::string_view host) const {
  if (host.empty()) return true;  // HTTP/1.0; the server refuses it in HTTP/1.1
  std::string name;
  if (host.front() == '[') {
    const size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    name = std::string(host.substr(1, end - 1));
  } else {
    name = ToLower(host.substr(0, host.rfind(':')));
  }
  return IsAddress(name) || std::find(names_.begin(), names_.end(), name) != names_.end();
}

}  // namespace slipway
