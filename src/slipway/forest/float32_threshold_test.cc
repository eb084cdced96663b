#include "slipway/forest/float32_threshold.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>

namespace slipway {
namespace {

constexpr float kInf32 = std::numeric_limits<float>::infinity();
constexpr double kInf64 = std::numeric_limits<double>::infinity();

std::vector<float> Floats() {
  constexpr float kLeast = std::numeric_limits<float>::denorm_min();
  constexpr float kNormal = std::numeric_limits<float>::min();
  constexpr float kMost = std::numeric_limits<float>::max();
  std::vector<float> floats = {0.0F,    -0.0F,       kLeast,      -kLeast, 2 * kLeast, -2 * kLeast,
                               kNormal, -kNormal,    kMost,       -kMost,  1.0F,       -1.0F,
                               0.1F,    16777216.0F, 16777217.0F, kInf32};
  std::mt19937 random(3);
  while (floats.size() < 20000) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (std::isfinite(value)) floats.push_back(value);
  }
  const size_t count = floats.size();
  for (size_t i = 0; i < count; ++i) {
    const float below = std::nextafter(floats[i], -kInf32);
    if (std::isfinite(below)) floats.push_back(below);
  }
  return floats;
}

// Doubles at and around a float: itself, the half ways to its neighbours, one double beside each.
std::vector<double> Around(double value) {
  std::vector<double> values = {-kInf64, kInf64, 0.0, -0.0, value};
  const float near = static_cast<float>(value);
  for (const float to : {-kInf32, kInf32}) {
    const float next = std::nextafter(near, to);
    const auto place = [](float f) {
      return std::isinf(f) ? std::copysign(0x1p128, f) : static_cast<double>(f);
    };
    values.push_back(static_cast<double>(next));
    values.push_back((place(near) + place(next)) / 2);
  }
  const size_t count = values.size();
  for (size_t i = 2; i < count; ++i) {
    values.push_back(std::nextafter(values[i], kInf64));
    values.push_back(std::nextafter(values[i], -kInf64));
  }
  return values;
}

TEST(Float32Threshold, BelowDecidesAsTheComparisonInFloat32) {
  for (const float threshold : Floats()) {
    const double folded = ThresholdBelowFloat32(threshold);
    for (const double x : Around(threshold)) {
      ASSERT_EQ(x <= folded, static_cast<float>(x) < threshold) << x << " and " << threshold;
    }
  }
}

TEST(Float32Threshold, UpToDecidesAsTheComparisonInFloat32) {
  std::mt19937_64 random(4);
  for (const float near : Floats()) {
    const double scale = 1 + static_cast<double>(random() % 1000) * 1e-11;
    for (const double threshold : {static_cast<double>(near), near * scale, near / scale,
                                   std::nextafter(static_cast<double>(near), kInf64),
                                   std::nextafter(static_cast<double>(near), -kInf64)}) {
      const double folded = ThresholdUpToFloat32(threshold);
      for (const double x : Around(threshold)) {
        ASSERT_EQ(x <= folded, static_cast<double>(static_cast<float>(x)) <= threshold)
            << x << " and " << threshold;
      }
    }
  }
}

TEST(Float32Threshold, TiesGoToTheEvenNeighbour) {
  // Below 1 + 2^-23 lies 1, which is even: the half way between them rounds to it.
  EXPECT_EQ(ThresholdBelowFloat32(1 + 0x1p-23F), 1 + 0x1p-24);
  // Below 1 lies 1 - 2^-24, which is odd: the half way rounds up to 1.
  EXPECT_EQ(ThresholdBelowFloat32(1), std::nextafter(1 - 0x1p-25, 0));
  // Half of the least float rounds to 0; half of its negative too, and -0.0 is not below 0.
  EXPECT_EQ(ThresholdBelowFloat32(0x1p-149F), 0x1p-150);
  EXPECT_EQ(ThresholdBelowFloat32(0.0F), std::nextafter(-0x1p-150, -1));
  EXPECT_EQ(ThresholdBelowFloat32(-0.0F), std::nextafter(-0x1p-150, -1));
  // The largest float is odd: from half way to 2^128 on all is infinite.
  EXPECT_EQ(ThresholdBelowFloat32(kInf32), std::nextafter(0x1p128 - 0x1p103, 0));
  EXPECT_EQ(ThresholdBelowFloat32(-std::numeric_limits<float>::max()), -0x1p128 + 0x1p103);
  EXPECT_EQ(ThresholdUpToFloat32(kInf64), kInf64);
  EXPECT_EQ(ThresholdUpToFloat32(1e300), std::nextafter(0x1p128 - 0x1p103, 0));
  EXPECT_EQ(ThresholdUpToFloat32(0.1), ThresholdBelowFloat32(0.1F));
}

}  // namespace
}  // namespace slipway
