// "1 row", "1,250 rows".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "slipway/base/text.h"

namespace slipway {

inline std::string Counted(int64_t n, std::string_view noun) {
  return FormatCount(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

}  // namespace slipway
