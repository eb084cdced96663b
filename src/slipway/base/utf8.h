// A code point in UTF-8.
#pragma once

#include <cstdint>
#include <string>

namespace slipway {

// Writes 1 to 4 bytes at `to` and gives the end. REQUIRES: code <= 0x10FFFF, room for them.
inline char* PutUtf8(uint32_t code, char* to) {
  const auto put = [&](uint32_t byte) { *to++ = static_cast<char>(static_cast<uint8_t>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
  return to;
}

inline void AppendUtf8(uint32_t code, std::string* out) {
  char bytes[4];
  out->append(bytes, PutUtf8(code, bytes));
}

}  // namespace slipway
