// JSON text written straight into a string: for lines that are made by the thousand per second.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace slipway {

// With quotes; control characters escaped; bytes that are not UTF-8 become U+FFFD.
void AppendJsonText(std::string_view text, std::string* out);
// What a message quotes of a client's text: at most 200 bytes of it, whole characters.
std::string Excerpt(std::string_view text);
void AppendJsonInt(int64_t value, std::string* out);
// "2026-11-23T05:40:03.000123Z", always with microseconds.
void AppendMicrosText(int64_t micros, std::string* out);

}  // namespace slipway
