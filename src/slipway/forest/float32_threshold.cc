#include "slipway/forest/float32_threshold.h"

#include <cmath>
#include <limits>

namespace slipway {
namespace {

constexpr float kFloatInfinity = std::numeric_limits<float>::infinity();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// float32's infinities lie where its next finite number would: from half way there on, doubles
// round to them.
double PlaceOf(float value) {
  return std::isinf(value) ? std::copysign(0x1p128, value) : double{value};
}

// The largest double that rounds to `last` or less.
double LargestRoundingTo(float last) {
  if (last == kFloatInfinity) return kInfinity;
  const double middle = (PlaceOf(last) + PlaceOf(std::nextafter(last, kFloatInfinity))) / 2;
  // Half way between two floats, which a double holds exactly, the even one wins.
  return static_cast<float>(middle) <= last ? middle : std::nextafter(middle, -kInfinity);
}

}  // namespace

double ThresholdBelowFloat32(float threshold) {
  return LargestRoundingTo(std::nextafter(threshold, -kFloatInfinity));
}

double ThresholdUpToFloat32(double threshold) {
  float last = static_cast<float>(threshold);
  if (last > threshold) last = std::nextafter(last, -kFloatInfinity);
  return LargestRoundingTo(last);
}

}  // namespace slipway
