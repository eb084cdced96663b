#include "slipway/explain/parts.h"

#include <algorithm>
#include <map>

#include "slipway/explain/cover.h"

namespace slipway {
namespace {

// Facts of each inner node of a tree, by its number in the tree.
struct Facts {
  int32_t same_feature = -1;
  bool same_feature_left = false;
  double zero_before = 1;
  int unique = 0;  // features on the path, its own included
};

class Cutter {
 public:
  explicit Cutter(const Tree& tree)
      : tree_(tree), covers_(CoversOf(tree)), order_(InnerNodesFromRoot(tree)) {
    FindFacts();
  }

  std::vector<TreePart> Cut(int output) {
    std::vector<int> leaf_passes(tree_.leaf_value.size(), 0);
    std::map<int, int> seen;
    for (const int32_t node : order_) {
      const size_t at = static_cast<size_t>(node);
      for (const int32_t child : {tree_.left[at], tree_.right[at]}) {
        if (child >= 0) continue;
        const int points = (facts_[at].unique + 1) / 2;
        const int passes = (points + kLanesPerPass - 1) / kLanesPerPass;
        leaf_passes[static_cast<size_t>(~child)] = passes;
        ++seen[passes];
      }
    }
    std::vector<TreePart> parts;
    for (const auto& [passes, leaves] : seen)
      parts.push_back(MakePart(output, passes, leaf_passes));
    return parts;
  }

 private:
  void FindFacts() {
    facts_.resize(order_.size());
    std::vector<int32_t> parent(order_.size(), -1);
    std::vector<uint8_t> is_left(order_.size()), went_left(order_.size());
    for (const int32_t node : order_) {
      const size_t at = static_cast<size_t>(node);
      if (tree_.left[at] >= 0) {
        parent[static_cast<size_t>(tree_.left[at])] = node;
        is_left[static_cast<size_t>(tree_.left[at])] = 1;
      }
      if (tree_.right[at] >= 0) parent[static_cast<size_t>(tree_.right[at])] = node;
    }
    // The path from the root to the node before, and the last node on it of each feature.
    std::vector<std::pair<int32_t, int32_t>> path;  // node, the last one of its feature before
    std::map<int32_t, int32_t> last;
    for (const int32_t node : order_) {
      const size_t at = static_cast<size_t>(node);
      while (!path.empty() && path.back().first != parent[at]) {
        last[tree_.split_feature[static_cast<size_t>(path.back().first)]] = path.back().second;
        path.pop_back();
      }
      Facts& facts = facts_[at];
      if (parent[at] >= 0) {
        const size_t above = static_cast<size_t>(parent[at]);
        went_left[above] = is_left[at];
        facts.unique = facts_[above].unique;
      }
      int32_t& same = last.try_emplace(tree_.split_feature[at], -1).first->second;
      facts.same_feature = same;
      if (same >= 0) {
        const size_t earlier = static_cast<size_t>(same);
        facts.same_feature_left = went_left[earlier] != 0;
        const Cover& cover = covers_[earlier];
        facts.zero_before =
            facts_[earlier].zero_before * (facts.same_feature_left ? cover.left : cover.right);
      } else {
        ++facts.unique;
      }
      path.emplace_back(node, same);
      same = node;
    }
  }

  TreePart MakePart(int output, int passes, const std::vector<int>& leaf_passes) const {
    std::vector<uint8_t> kept(order_.size());
    const auto keeps = [&](int32_t child) {
      return child < 0 ? leaf_passes[static_cast<size_t>(~child)] == passes
                       : kept[static_cast<size_t>(child)] != 0;
    };
    for (auto node = order_.rbegin(); node != order_.rend(); ++node) {
      const size_t at = static_cast<size_t>(*node);
      kept[at] = keeps(tree_.left[at]) || keeps(tree_.right[at]);
    }
    TreePart part;
    part.output = output;
    part.passes = passes;
    std::vector<int32_t> place(order_.size(), -1);
    for (const int32_t node : order_) {
      if (kept[static_cast<size_t>(node)] == 0) continue;
      place[static_cast<size_t>(node)] = static_cast<int32_t>(part.nodes.size());
      part.nodes.push_back({.node = node});
    }
    for (PartNode& node : part.nodes) {
      Complete(leaf_passes, place, passes, &node);
      const int32_t feature = tree_.split_feature[static_cast<size_t>(node.node)];
      node.accumulator = feature;
      part.features.push_back(feature);
      node.table = part.table_lanes;
      part.table_lanes += node.entry_lanes() * (node.same_feature < 0 ? 2 : 3);
    }
    std::sort(part.features.begin(), part.features.end());
    part.features.erase(std::unique(part.features.begin(), part.features.end()),
                        part.features.end());
    for (PartNode& node : part.nodes) {
      node.accumulator = static_cast<int32_t>(
          std::lower_bound(part.features.begin(), part.features.end(), node.accumulator) -
          part.features.begin());
    }
    return part;
  }

  void Complete(const std::vector<int>& leaf_passes, const std::vector<int32_t>& place, int passes,
                PartNode* node) const {
    const size_t at = static_cast<size_t>(node->node);
    const Facts& facts = facts_[at];
    if (facts.same_feature >= 0) {
      node->same_feature = place[static_cast<size_t>(facts.same_feature)];
      node->same_feature_way = facts.same_feature_left ? Follows::kLeft : Follows::kRight;
    }
    node->zero_before = facts.zero_before;
    node->cover[0] = covers_[at].left;
    node->cover[1] = covers_[at].right;
    for (const bool left : {true, false}) {
      const int32_t child = left ? tree_.left[at] : tree_.right[at];
      if (child < 0) {
        const size_t leaf = static_cast<size_t>(~child);
        if (leaf_passes[leaf] == passes) node->leaf[left ? 0 : 1] = tree_.leaf_value[leaf];
        continue;
      }
      const int32_t inner = place[static_cast<size_t>(child)];
      if (inner < 0) continue;
      if (node->first < 0) {
        node->first = inner;
        node->first_is_left = left;
      } else {
        node->second = inner;
      }
    }
  }

  const Tree& tree_;
  std::vector<Cover> covers_;
  std::vector<int32_t> order_;
  std::vector<Facts> facts_;
};

}  // namespace

LaneArray::LaneArray(size_t size)
    : size_(size), blocks_(std::make_unique<Block[]>(std::max<size_t>(size, 1))) {}

std::vector<TreePart> CutIntoParts(const Tree& tree, int output) {
  if (tree.split_feature.empty()) return {};
  return Cutter(tree).Cut(output);
}

void FillTable(const TreePart& part, const Quadrature& quadrature, int pass, Lanes* table) {
  Lanes t, weight;
  for (int lane = 0; lane < kLanesPerPass; ++lane) {
    const size_t point = static_cast<size_t>(pass * kLanesPerPass + lane);
    t[lane] = quadrature.points[point];
    weight[lane] = quadrature.weights[point];
  }
  const Lanes rest = 1.0 - t;
  for (const PartNode& node : part.nodes) {
    const Lanes factor_before = node.zero_before * rest + t;
    const Lanes gain_before = (1 - node.zero_before) / factor_before;
    Lanes c[2][3], b[2][3];
    for (size_t side = 0; side < 2; ++side) {
      const double zero = node.zero_before * node.cover[side];
      const Lanes with = zero * rest + t;
      const size_t follows = static_cast<size_t>(side == 0 ? Follows::kLeft : Follows::kRight);
      const size_t leaves = static_cast<size_t>(side == 0 ? Follows::kRight : Follows::kLeft);
      const size_t out = static_cast<size_t>(Follows::kOut);
      c[side][follows] = with / factor_before;
      b[side][follows] = weight * ((1 - zero) / with - gain_before);
      c[side][leaves] = zero * rest / factor_before;
      b[side][leaves] = weight * (-1.0 / rest - gain_before);
      c[side][out] = node.cover[side] + Lanes{};
      b[side][out] = Lanes{};
    }
    Lanes* entry = table + node.table;
    for (size_t follows = 0; follows < (node.same_feature < 0 ? 2U : 3U); ++follows) {
      const size_t first = node.first_is_left ? 0 : 1;
      if (!node.has_two()) {
        const Lanes left = c[0][follows] * node.leaf[0], right = c[1][follows] * node.leaf[1];
        *entry++ = left + right;
        *entry++ = b[0][follows] * left + b[1][follows] * right;
      }
      if (!node.has_none()) {
        *entry++ = c[first][follows];
        *entry++ = b[first][follows];
      }
      if (node.has_two()) {
        *entry++ = c[1 - first][follows];
        *entry++ = b[1 - first][follows];
      }
    }
  }
}

}  // namespace slipway
