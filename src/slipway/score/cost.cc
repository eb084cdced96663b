#include "slipway/score/cost.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "slipway/score/slot.h"

namespace slipway {
namespace {

constexpr double kCallNs = 1500;         // buffers of a call with bit vectors
constexpr double kRankNs = 4;            // a value
constexpr double kSlotNs = 1.2;          // of the reference
constexpr double kLeafNs = 0.025;        // of a tree in bit vectors
constexpr double kTreeNs = 0.15;         // the same, whatever its size
constexpr double kLevelNs = 1.7;         // of the reference, in a balanced tree
constexpr double kCategoryFactor = 1.7;  // of levels in a forest with categories
constexpr double kNodeBytes = 24;
// A row of few finds nodes out of the second- or third-level cache.
constexpr double kSecondLevel = 512 << 10, kThirdLevel = 8 << 20;
constexpr double kTreeBeyondSecondNs = 50, kTreeBeyondThirdNs = 90;
constexpr int64_t kReferenceLanes = 8;

}  // namespace

bool CostEstimate::WalkIsFaster(int64_t rows, int lanes) const {
  const double count = static_cast<double>(rows);
  const double registers = static_cast<double>((rows + lanes - 1) / lanes * lanes);
  const double bits = registers * bits_row + count * ranks_row + kCallNs;
  return count * (rows < kReferenceLanes ? walk_few : walk_row) < bits;
}

CostEstimate EstimateCost(const Forest& forest) {
  CostEstimate cost;
  std::vector<uint8_t> views(static_cast<size_t>(forest.feature_count));  // a bit for each
  bool categories = false;
  double nodes = 0;
  for (const Tree& tree : forest.trees) {
    const double leaves = tree.leaf_count_total();
    nodes += 2 * leaves - 1;
    categories |= !tree.category_begin.empty();
    cost.walk_row += 1 + kLevelNs * std::log2(leaves);
    cost.bits_row += kTreeNs + kLeafNs * leaves;
    for (size_t node = 0; node < tree.split_feature.size(); ++node) {
      views[static_cast<size_t>(tree.split_feature[node])] |=
          static_cast<uint8_t>(1U << static_cast<int>(NodeView(tree, node)));
    }
  }
  if (categories) cost.walk_row *= kCategoryFactor;
  for (const uint8_t bits : views) {
    cost.walk_row += kSlotNs * std::popcount(bits);
    cost.ranks_row += bits != 0 ? kRankNs : 0;
  }
  const double trees = static_cast<double>(forest.trees.size());
  const double bytes = nodes * kNodeBytes;
  cost.walk_few = cost.walk_row;
  if (bytes > kSecondLevel) cost.walk_few = std::max(cost.walk_few, trees * kTreeBeyondSecondNs);
  if (bytes > kThirdLevel) cost.walk_few = std::max(cost.walk_few, trees * kTreeBeyondThirdNs);
  return cost;
}

}  // namespace slipway
