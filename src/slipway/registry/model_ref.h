// ModelRef: "PROJECT/MODEL", "PROJECT/MODEL@3", "@active" (the default), "@latest".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "slipway/base/result.h"

namespace slipway {

struct ModelRef {
  enum class Select { kActive, kLatest, kNumber };
  std::string project, model;
  Select select = Select::kActive;
  int64_t number = 0;  // kNumber
  // As it would be written: "demo/fare@3"; "demo/fare" for the active one.
  std::string ToText() const;
};

// "demo/fare"
std::string FullModelName(std::string_view project, std::string_view model);

Result<ModelRef> ParseModelRef(std::string_view text);
// Within a project, as recipes write it: "fare" or "fare@3".
Result<ModelRef> ParseModelRefIn(std::string_view project, std::string_view text);

}  // namespace slipway
