// For this module's tests: models that are written wrong in one place.
#pragma once

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace slipway {

inline std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

}  // namespace slipway
