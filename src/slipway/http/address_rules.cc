#include "slipway/http/address_rules.h"

#include <cstdint>
#include <cstring>
#include <string>

#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "slipway/base/text.h"
#include "slipway/http/client.h"

namespace slipway {
namespace {

struct Block4 {
  uint32_t base;
  int bits;
};
// IANA's special-purpose registry (RFC 6890 and its updates), multicast and what is reserved.
constexpr Block4 kNotPublic[] = {
    {0x00000000, 8},  {0x0A000000, 8},  {0x64400000, 10}, {0x7F000000, 8},  {0xA9FE0000, 16},
    {0xAC100000, 12}, {0xC0000000, 24}, {0xC0000200, 24}, {0xC0586300, 24}, {0xC0A80000, 16},
    {0xC6120000, 15}, {0xC6336400, 24}, {0xCB007100, 24}, {0xE0000000, 3}};

bool IsPublic4(uint32_t address) {
  for (const Block4& block : kNotPublic) {
    if ((address ^ block.base) >> (32 - block.bits) == 0) return false;
  }
  return true;
}

// Only global unicast, 2000::/3, without the blocks for documentation and protocols; addresses that
// carry one of IPv4 (mapped, 6to4, NAT64) are as public as that one.
bool IsPublic6(const unsigned char* a) {
  const auto v4 = [](const unsigned char* b) {
    return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | b[3];
  };
  static constexpr unsigned char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  static constexpr unsigned char kNat64[12] = {0x00, 0x64, 0xff, 0x9b};
  if (std::memcmp(a, kMapped, 12) == 0 || std::memcmp(a, kNat64, 12) == 0)
    return IsPublic4(v4(a + 12));
  if ((a[0] & 0xe0) != 0x20) return false;
  if (a[0] == 0x20 && a[1] == 0x02) return IsPublic4(v4(a + 2));
  const bool special =
      a[0] == 0x20 && a[1] == 0x01 && ((a[2] & 0xfe) == 0 || (a[2] == 0x0d && a[3] == 0xb8));
  const bool documentation = a[0] == 0x3f && a[1] == 0xff && (a[2] & 0xf0) == 0;
  return !special && !documentation;
}

std::string Origin(std::string_view url) {
  const size_t scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) return std::string(url);
  const std::string scheme = ToLower(url.substr(0, scheme_end));
  const std::string_view rest = url.substr(scheme_end + 3);
  std::string host = ToLower(rest.substr(0, rest.find_first_of("/?#")));
  const size_t colon = host.rfind(':');
  if (colon == std::string::npos || host.find(']', colon) != std::string::npos)
    host += scheme == "https" ? ":443" : ":80";
  return scheme + "://" + host;
}

}  // namespace

bool IsPublicSocketAddress(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return IsPublic4(ntohl(in.sin_addr.s_addr));
  }
  if (address->sa_family != AF_INET6) return false;
  sockaddr_in6 in{};
  std::memcpy(&in, address, sizeof in);
  return IsPublic6(in.sin6_addr.s6_addr);
}

bool SameOrigin(std::string_view a, std::string_view b) { return Origin(a) == Origin(b); }

bool IsPublicAddress(std::string_view address) {
  const std::string text(address);
  in_addr four{};
  in6_addr six{};
  if (::inet_pton(AF_INET, text.c_str(), &four) == 1) return IsPublic4(ntohl(four.s_addr));
  return ::inet_pton(AF_INET6, text.c_str(), &six) == 1 && IsPublic6(six.s6_addr);
}

std::string BasicAuthorization(std::string_view user, std::string_view password) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string bytes = std::string(user) + ":" + std::string(password);
  std::string out = "Basic ";
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    for (size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < n ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) out += j <= n ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

std::string UrlEncode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && (std::isalnum(byte) != 0 || std::strchr("-_.~", c) != nullptr)) {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

}  // namespace slipway
