#include "slipway/serve/host_check.h"

namespace slipway {

HostCheck::HostCheck(const NodeConfig& config, int loops)
    : rule_(config.hosts, config.listen), last_(static_cast<size_t>(loops)) {}

bool HostCheck::Allows(int loop, const HttpRequest& request) {
  if (rule_.any()) return true;
  const std::string_view host = request.Header("host");
  if (loop < 0) return rule_.Allows(host);
  std::string& last = last_[static_cast<size_t>(loop)].host;
  if (!last.empty() && last == host) return true;
  if (!rule_.Allows(host)) return false;
  last.assign(host);
  return true;
}

}  // namespace slipway
