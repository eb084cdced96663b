#include "slipway/score/self_check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace slipway {
namespace {

// Not whole registers, so that tails are walked.
constexpr int kCheckRows = 67;

// SplitMix64 (Steele, Lea, Flood 2014).
class Random {
 public:
  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  size_t Below(size_t n) { return static_cast<size_t>(Next() % n); }

 private:
  uint64_t state_ = 20261123;
};

struct Interesting {
  std::vector<double> thresholds;
  int64_t categories = 0;  // behind the last that is in a set; 0: not categorical
};

double Pick(const Interesting& of, Random* random) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kOdd[] = {std::numeric_limits<double>::quiet_NaN(),
                             std::numeric_limits<double>::quiet_NaN(),
                             0.0,
                             -0.0,
                             1e-36,
                             -1e-36,
                             kInfinity,
                             -kInfinity,
                             std::numeric_limits<double>::denorm_min(),
                             -0.5,
                             -1,
                             1e300,
                             9e18};
  const size_t kind = random->Below(8);
  if (kind == 0 || (of.thresholds.empty() && of.categories == 0))
    return kOdd[random->Below(std::size(kOdd))];
  if (of.categories > 0 && (of.thresholds.empty() || kind < 4)) {
    const double category =
        static_cast<double>(random->Below(static_cast<size_t>(of.categories) + 2));
    return random->Below(4) == 0 ? category + 0.7 : category;
  }
  const double threshold = of.thresholds[random->Below(of.thresholds.size())];
  if (kind == 1) return std::nextafter(threshold, kInfinity);
  if (kind == 2) return std::nextafter(threshold, -kInfinity);
  return threshold;
}

}  // namespace

std::vector<double> HardRows(const Forest& forest, int rows) {
  const size_t width = static_cast<size_t>(forest.feature_count);
  std::vector<Interesting> of(width);
  for (const Tree& tree : forest.trees) {
    for (size_t node = 0; node < tree.split_feature.size(); ++node) {
      Interesting& feature = of[static_cast<size_t>(tree.split_feature[node])];
      const int32_t set = tree.category_set[node];
      if (set < 0) {
        feature.thresholds.push_back(tree.threshold[node]);
      } else {
        const size_t s = static_cast<size_t>(set);
        feature.categories =
            std::max<int64_t>(feature.categories,
                              int64_t{32} * (tree.category_begin[s + 1] - tree.category_begin[s]));
        feature.categories = std::max<int64_t>(feature.categories, 1);
      }
    }
  }
  Random random;
  std::vector<double> matrix(static_cast<size_t>(rows) * width);
  for (size_t i = 0; i < matrix.size(); ++i) matrix[i] = Pick(of[i % width], &random);
  return matrix;
}

Status CheckAgainst(const Engine& reference, const Engine& engine, const Forest& forest) {
  const std::vector<double> matrix = HardRows(forest, kCheckRows);
  const size_t outputs = static_cast<size_t>(forest.outputs);
  std::vector<double> expected(kCheckRows * outputs), found(kCheckRows * outputs);
  reference.PredictRaw(matrix.data(), kCheckRows, forest.feature_count, expected.data());
  for (const int rows : {kCheckRows, 1}) {
    engine.PredictRaw(matrix.data(), rows, forest.feature_count, found.data());
    for (size_t i = 0; i < static_cast<size_t>(rows) * outputs; ++i) {
      if (std::bit_cast<uint64_t>(expected[i]) == std::bit_cast<uint64_t>(found[i])) continue;
      if (std::isnan(expected[i]) && std::isnan(found[i])) continue;
      return Internal(fmt::format("engine {} gives {} where the reference gives {} (sample row {})",
                                  engine.name(), found[i], expected[i], i / outputs));
    }
  }
  return {};
}

}  // namespace slipway
