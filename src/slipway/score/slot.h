// How a node decides, once and for all. LightGBM distinguishes missing types and default directions
// at every node. Here each row is first spread over "slots", one per feature and way of treating
// its missing values, in which whatever goes left by default is -infinity and whatever goes right
// by default is NaN. Then every numerical node of every model is the one comparison `slot <=
// threshold`: true goes left. All engines and explainers share this.
//
// Semantics (LightGBM 4.x, include/LightGBM/tree.h and the row copy of src/c_api.cpp; for others
// ValueRule says what differs):
//  - a value of magnitude up to 1e-35 (as float) is 0;
//  - missing type none: NaN is 0. Zero: NaN and 0 go the default way. NaN: NaN goes the default
//  way;
//  - categories: NaN goes the default way (LightGBM: right), negative and too large ones go right;
//  fractions are cut off towards 0, so that -0.5 is category 0.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "slipway/forest/forest.h"

namespace slipway {

inline constexpr double kZeroThreshold = 1e-35f;
inline constexpr double kGoLeft = -std::numeric_limits<double>::infinity();
inline constexpr double kGoRight = std::numeric_limits<double>::quiet_NaN();
// A category that is in no set.
inline constexpr uint32_t kNoCategory = UINT32_MAX;

enum class View : uint8_t {
  kNanLeft,
  kNanRight,
  kZeroLeft,
  kZeroRight,
  kCategoryNanLeft,
  kCategoryNanRight,
  kConstant
};

inline double FlushZero(ValueRule rule, double value) {
  return rule == ValueRule::kLightGbm && std::fabs(value) <= kZeroThreshold ? 0.0 : value;
}

// The category that a value (not NaN) stands for.
inline uint32_t CategoryOfValue(ValueRule rule, double value) {
  if (rule == ValueRule::kXGBoost) value = static_cast<float>(value);
  const double least =
      rule == ValueRule::kLightGbm ? -1 : -std::numeric_limits<double>::denorm_min();
  const bool in_range = value > least && value < 2147483648.0;
  return in_range ? static_cast<uint32_t>(static_cast<int32_t>(value)) : kNoCategory;
}

// A category travels in a slot as the low 32 bits of a double.
inline double CategorySlot(ValueRule rule, double value) {
  return std::bit_cast<double>(std::bit_cast<uint64_t>(1.0) | CategoryOfValue(rule, value));
}

inline uint32_t CategoryOf(double slot) {
  return static_cast<uint32_t>(std::bit_cast<uint64_t>(slot));
}

inline double SlotValue(View view, ValueRule rule, double value) {
  switch (view) {
    case View::kNanLeft:
      return std::isnan(value) ? kGoLeft : FlushZero(rule, value);
    case View::kNanRight:
      return FlushZero(rule, value);
    case View::kZeroLeft:
      return std::isnan(value) || FlushZero(rule, value) == 0 ? kGoLeft : value;
    case View::kZeroRight:
      return std::isnan(value) || FlushZero(rule, value) == 0 ? kGoRight : value;
    case View::kCategoryNanLeft:
      return std::isnan(value) ? kGoLeft : CategorySlot(rule, value);
    case View::kCategoryNanRight:
      return CategorySlot(rule, value);
    case View::kConstant:
      return 0;
  }
  return 0;
}

// The view through which node `node` of `tree` sees its feature.
inline View NodeView(const Tree& tree, size_t node) {
  const bool left = tree.default_left[node] != 0;
  if (tree.category_set[node] >= 0) return left ? View::kCategoryNanLeft : View::kCategoryNanRight;
  switch (tree.missing_type[node]) {
    case MissingType::kNone:
      return 0 <= tree.threshold[node] ? View::kNanLeft : View::kNanRight;
    case MissingType::kZero:
      return left ? View::kZeroLeft : View::kZeroRight;
    case MissingType::kNaN:
      break;
  }
  return left ? View::kNanLeft : View::kNanRight;
}

}  // namespace slipway
