#include "slipway/explain/parts.h"

#include <algorithm>
#include <map>
#include <span>

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

  int MostFeatures() const {
    int most = 0;
    for (const Facts& facts : facts_) most = std::max(most, facts.unique);
    return most;
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
      part.features.push_back(tree_.split_feature[static_cast<size_t>(node.node)]);
    }
    std::sort(part.features.begin(), part.features.end());
    part.features.erase(std::unique(part.features.begin(), part.features.end()),
                        part.features.end());
    for (PartNode& node : part.nodes) {
      node.accumulator = static_cast<int32_t>(
          std::lower_bound(part.features.begin(), part.features.end(),
                           tree_.split_feature[static_cast<size_t>(node.node)]) -
          part.features.begin());
    }
    MakeSteps(&part);
    for (PartNode& node : part.nodes) {
      if (node.same_feature < 0) continue;
      const Facts& facts = facts_[static_cast<size_t>(node.node)];
      node.same_feature_offset = part.nodes[static_cast<size_t>(node.same_feature)].offset(
          facts.same_feature_left ? Follows::kLeft : Follows::kRight);
    }
    return part;
  }

  void Complete(const std::vector<int>& leaf_passes, const std::vector<int32_t>& place, int passes,
                PartNode* node) const {
    const size_t at = static_cast<size_t>(node->node);
    const Facts& facts = facts_[at];
    if (facts.same_feature >= 0)
      node->same_feature = place[static_cast<size_t>(facts.same_feature)];
    node->zero_before = facts.zero_before;
    node->cover[0] = covers_[at].left;
    node->cover[1] = covers_[at].right;
    for (const size_t side : {size_t{0}, size_t{1}}) {
      const int32_t child = side == 0 ? tree_.left[at] : tree_.right[at];
      if (child >= 0) {
        node->child[side] = place[static_cast<size_t>(child)];
      } else if (const size_t leaf = static_cast<size_t>(~child); leaf_passes[leaf] == passes) {
        node->leaf[side] = tree_.leaf_value[leaf];
      }
    }
  }

  // Whether the subtree of `count` nodes from `first` on fits one step; then fills it in.
  static bool MakeSmallTree(int32_t first, int32_t count, TreePart* part, PartStep* step) {
    if (count > PartStep::kMostNodes) return false;
    const std::span<PartNode> nodes(&part->nodes[static_cast<size_t>(first)],
                                    static_cast<size_t>(count));
    int entries = 1;
    std::vector<int32_t> features;
    for (const PartNode& node : nodes) {
      entries *= node.states();
      if (std::find(features.begin(), features.end(), node.accumulator) == features.end())
        features.push_back(node.accumulator);
    }
    if (entries > PartStep::kMostEntries) return false;
    step->kind = PartStep::Kind::kSmallTree;
    step->nodes = count;
    step->features = static_cast<uint8_t>(features.size());
    std::copy(features.begin(), features.end(), step->accumulators);
    const size_t entry_lanes = 1 + features.size();
    size_t stride = entry_lanes;
    for (PartNode& node : nodes) {
      node.stride = static_cast<uint16_t>(stride * sizeof(Lanes));
      stride *= static_cast<size_t>(node.states());
    }
    part->table_lanes += static_cast<int32_t>(stride);
    return true;
  }

  static void MakeSteps(TreePart* part) {
    const size_t count = part->nodes.size();
    std::vector<int32_t> size(count, 1), step_of(count, -1);
    for (size_t i = count; i-- > 0;) {
      for (const int32_t child : part->nodes[i].child)
        if (child >= 0) size[i] += size[static_cast<size_t>(child)];
    }
    for (size_t i = 0; i < count;) {
      PartNode& node = part->nodes[i];
      PartStep step;
      step.node = static_cast<int32_t>(i);
      step.table = part->table_lanes;
      step_of[i] = static_cast<int32_t>(part->steps.size());
      if (!MakeSmallTree(step.node, size[i], part, &step)) {
        const bool fork = node.child[0] >= 0 && node.child[1] >= 0;
        const bool leaf = node.leaf[0] != 0 || node.leaf[1] != 0;
        step.kind = fork   ? PartStep::Kind::kFork
                    : leaf ? PartStep::Kind::kOneChild
                           : PartStep::Kind::kPassage;
        const int lanes = step.kind == PartStep::Kind::kPassage ? 2 : 4;
        step.accumulators[0] = node.accumulator;
        node.stride = static_cast<uint16_t>(static_cast<size_t>(lanes) * sizeof(Lanes));
        part->table_lanes += lanes * node.states();
      }
      i += static_cast<size_t>(step.nodes);
      part->steps.push_back(step);
    }
    for (PartStep& step : part->steps) {
      if (step.kind != PartStep::Kind::kFork) continue;
      const PartNode& node = part->nodes[static_cast<size_t>(step.node)];
      step.second = step_of[static_cast<size_t>(node.child[1])];
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

int MostPathFeatures(const Tree& tree) {
  return tree.split_feature.empty() ? 0 : Cutter(tree).MostFeatures();
}

std::vector<TreePart> CutIntoParts(const Tree& tree, int output) {
  if (tree.split_feature.empty()) return {};
  return Cutter(tree).Cut(output);
}

namespace {

// What a node's children are to a row, for each Follows: entries of PartStep.
struct NodeTerms {
  Lanes c[2][3], b[2][3];
};

class TableFiller {
 public:
  TableFiller(const TreePart& part, const Quadrature& quadrature, int pass) : part_(part) {
    for (int lane = 0; lane < kLanesPerPass; ++lane) {
      const size_t point = static_cast<size_t>(pass * kLanesPerPass + lane);
      t_[lane] = quadrature.points[point];
      weight_[lane] = quadrature.weights[point];
    }
    rest_ = 1.0 - t_;
  }

  void Fill(const PartStep& step, Lanes* table) {
    for (int32_t i = 0; i < step.nodes; ++i)
      SetTerms(part_.nodes[static_cast<size_t>(step.node + i)], &terms_[static_cast<size_t>(i)]);
    const PartNode& node = part_.nodes[static_cast<size_t>(step.node)];
    if (step.kind == PartStep::Kind::kSmallTree) return FillSmallTree(step, table);
    const NodeTerms& terms = terms_[0];
    const size_t first = node.child[0] >= 0 ? 0 : 1;
    for (size_t follows = 0; follows < static_cast<size_t>(node.states()); ++follows) {
      if (step.kind == PartStep::Kind::kOneChild) {
        const size_t other = 1 - first;
        const Lanes leaf = terms.c[other][follows] * node.leaf[other];
        *table++ = leaf;
        *table++ = terms.b[other][follows] * leaf;
      }
      *table++ = terms.c[first][follows];
      *table++ = terms.b[first][follows];
      if (step.kind == PartStep::Kind::kFork) {
        *table++ = terms.c[1][follows];
        *table++ = terms.b[1][follows];
      }
    }
  }

 private:
  void SetTerms(const PartNode& node, NodeTerms* terms) const {
    const Lanes factor_before = node.zero_before * rest_ + t_;
    const Lanes gain_before = (1 - node.zero_before) / factor_before;
    for (size_t side = 0; side < 2; ++side) {
      const double zero = node.zero_before * node.cover[side];
      const Lanes factor = zero * rest_ + t_;
      const size_t here = static_cast<size_t>(side == 0 ? Follows::kLeft : Follows::kRight);
      const size_t elsewhere = static_cast<size_t>(side == 0 ? Follows::kRight : Follows::kLeft);
      const size_t out = static_cast<size_t>(Follows::kOut);
      terms->c[side][here] = factor / factor_before;
      terms->b[side][here] = weight_ * ((1 - zero) / factor - gain_before);
      terms->c[side][elsewhere] = zero * rest_ / factor_before;
      terms->b[side][elsewhere] = weight_ * (-1.0 / rest_ - gain_before);
      terms->c[side][out] = node.cover[side] + Lanes{};
      terms->b[side][out] = Lanes{};
    }
  }

  // Walks the subtree once for each combination of its nodes' states.
  void FillSmallTree(const PartStep& step, Lanes* table) const {
    const size_t count = static_cast<size_t>(step.nodes);
    const PartNode* const nodes = &part_.nodes[static_cast<size_t>(step.node)];
    size_t follows[PartStep::kMostNodes] = {};
    for (bool more = true; more;) {
      Lanes products[PartStep::kMostNodes];
      products[0] = Lanes{} + 1.0;
      for (size_t i = 0; i < count; ++i) {
        for (size_t side = 0; side < 2; ++side) {
          if (nodes[i].child[side] < 0) continue;
          products[nodes[i].child[side] - step.node] = products[i] * terms_[i].c[side][follows[i]];
        }
      }
      Lanes gains[PartStep::kMostNodes] = {};
      for (size_t i = count; i-- > 0;) {
        Lanes sum = {}, gain = {};
        for (size_t side = 0; side < 2; ++side) {
          const Lanes below =
              nodes[i].child[side] < 0
                  ? products[i] * terms_[i].c[side][follows[i]] * nodes[i].leaf[side]
                  : products[nodes[i].child[side] - step.node];
          sum += below;
          gain += below * terms_[i].b[side][follows[i]];
        }
        products[i] = sum;
        for (size_t k = 0; k < step.features; ++k)
          if (step.accumulators[k] == nodes[i].accumulator) gains[k] += gain;
      }
      *table++ = products[0];
      for (size_t k = 0; k < step.features; ++k) *table++ = gains[k];
      // The first node's state changes first: its stride is the least.
      more = false;
      for (size_t i = 0; i < count && !more; ++i) {
        more = ++follows[i] < static_cast<size_t>(nodes[i].states());
        if (!more) follows[i] = 0;
      }
    }
  }

  const TreePart& part_;
  Lanes t_, weight_, rest_;
  NodeTerms terms_[PartStep::kMostNodes];
};

}  // namespace

void FillTable(const TreePart& part, const Quadrature& quadrature, int pass, Lanes* table) {
  TableFiller filler(part, quadrature, pass);
  for (const PartStep& step : part.steps) filler.Fill(step, table + step.table);
}

}  // namespace slipway
