// Internal to forest: typed members of an XGBoost model's objects, with errors that name them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/forest/model_value.h"

namespace slipway::xgboost {

Result<const ModelValue*> Object(const ModelValue& from, std::string_view key);
Result<std::string> Text(const ModelValue& from, std::string_view key);
// Of exactly `size` numbers.
Result<std::span<const double>> Numbers(const ModelValue& from, std::string_view key, size_t size);
Result<std::span<const double>> Numbers(const ModelValue& from, std::string_view key);
// Absent and empty lists are empty.
Result<std::vector<std::string>> Texts(const ModelValue& from, std::string_view key);
Result<std::span<const ModelValue>> Objects(const ModelValue& from, std::string_view key);
// A parameter: a whole number, which XGBoost writes as a text. `absent` when it is not there.
Result<int32_t> Parameter(const ModelValue& from, std::string_view key, int32_t least, int32_t most,
                          int32_t absent);
// Every element of `values` as a whole number from `least` to `most`.
Result<std::vector<int32_t>> WholeNumbers(std::string_view key, std::span<const double> values,
                                          int32_t least, int32_t most);
// kCorruption when `object` has a member that is not in `known`: it may mean what we do not know.
Status OnlyMembers(const ModelValue& object, std::span<const std::string_view> known);

}  // namespace slipway::xgboost
