// Percent-encoding and query strings (RFC 3986, and '+' of HTML forms). Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace slipway {

// Malformed escapes stay as they are.
std::string PercentDecode(std::string_view text, bool plus_is_blank);
// Everything but unreserved characters is escaped: for one segment or one query value.
std::string PercentEncode(std::string_view text);
// "a=1&b=2"; the last of equal names counts.
std::map<std::string, std::string> ParseQuery(std::string_view query);

}  // namespace slipway
