#include "slipway/http/host_rule.h"

#include <algorithm>

#include <arpa/inet.h>

#include "slipway/base/process.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

bool IsAddress(const std::string& host) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

bool IsNamePart(std::string_view part) {
  if (part.empty() || part.size() > 63 || part.front() == '-' || part.back() == '-') return false;
  return std::all_of(part.begin(), part.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

}  // namespace

bool IsHostName(std::string_view text) {
  if (IsAddress(std::string(text))) return true;
  const std::vector<std::string> parts = Split(text, '.');
  return text.size() <= 253 && std::all_of(parts.begin(), parts.end(), IsNamePart);
}

HostRule::HostRule(const std::vector<std::string>& names, const std::vector<ListenAddress>& listen)
    : any_(names.empty() && std::none_of(listen.begin(), listen.end(), IsLoopback)) {
  for (const std::string& name : names) names_.push_back(ToLower(name));
  names_.push_back("localhost");
  if (const std::string own = HostName(); !own.empty()) names_.push_back(own);
}

bool HostRule::Allows(std::string_view host) const {
  if (any_ || host.empty()) return true;  // HTTP/1.0; the server refuses it in HTTP/1.1
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
