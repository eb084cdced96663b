#include "slipway/base/visible_text.h"

namespace slipway {
namespace {

// The control character at `i` (UTF-8), and how many bytes it has; 0: there is none.
size_t ControlAt(std::string_view text, size_t i) {
  const auto c = static_cast<unsigned char>(text[i]);
  if (c < 0x20 || c == 0x7f) return 1;
  if (c != 0xc2 || i + 1 == text.size()) return 0;
  const auto next = static_cast<unsigned char>(text[i + 1]);
  return next >= 0x80 && next < 0xa0 ? 2 : 0;
}

}  // namespace

bool HasControls(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i)
    if (ControlAt(text, i) > 0) return true;
  return false;
}

std::string VisibleText(std::string_view text, bool lines) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t size = ControlAt(text, i);
    const char c = text[i];
    if (size == 0 || (lines && (c == '\n' || c == '\t'))) {
      out.push_back(c);
      continue;
    }
    const auto code = static_cast<unsigned char>(text[i + size - 1]);
    if (c == '\n' || c == '\t' || c == '\r') {
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r";
    } else {
      out += size == 2 ? "\\u00" : "\\x";
      out.push_back(kHex[code >> 4]);
      out.push_back(kHex[code & 15]);
    }
    i += size - 1;
  }
  return out;
}

}  // namespace slipway
