// Query strings and percent-decoding (RFC 3986, and '+' of HTML forms). Pure. UrlEncode of client.h
// is the inverse.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace slipway {

// Malformed escapes stay as they are.
std::string PercentDecode(std::string_view text, bool plus_is_blank);
// "a=1&b=2"; the last of equal names counts.
std::map<std::string, std::string> ParseQuery(std::string_view query);

}  // namespace slipway
