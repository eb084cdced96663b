// What is said about names that are none (IsValidName, text.h). Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "slipway/base/result.h"
#include "slipway/base/text.h"

namespace slipway {

// The rule that the name breaks, as a hint.
inline std::string NameRule(std::string_view name) {
  if (name.size() > 128)
    return "names have at most 128 characters; this one has " + std::to_string(name.size());
  return "names have letters, digits, '_', '-' and '.' only, not first '-' or '.'";
}

inline Status CheckValidName(std::string_view name) {
  if (IsValidName(name)) return {};
  return InvalidArgument("'" + std::string(name.substr(0, 200)) + "' is not a valid name",
                         NameRule(name));
}

}  // namespace slipway
