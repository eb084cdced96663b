// Internal to package: objects with exactly the keys they must have.
#pragma once

#include <initializer_list>
#include <string_view>

#include "slipway/base/json.h"
#include "slipway/base/result.h"

namespace slipway {

// An object with these keys alone; which of them must be there is for the getters to say.
Status OnlyTheseKeys(const Json& json, std::initializer_list<std::string_view> keys);

}  // namespace slipway
