// Walks slots (slot.h) node by node, several rows side by side. A linear leaf gives its constant
// plus its products in order, or its plain value when one of its features is NaN.
#include "slipway/score/reference_engine.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "slipway/score/slot.h"

namespace slipway {
namespace {

// Rows that walk down a tree side by side: while one waits for memory, the others compute.
constexpr int kLanes = 8;
constexpr int64_t kMaxBlockRows = 256;
constexpr int64_t kBlockBytes =
    24 << 10;  // of slots: with a tree's nodes they fit the first-level cache

struct Slot {
  int32_t feature = 0;
  View view = View::kConstant;
};

// The right child is the node after the left one. A leaf is its own left child and always goes
// left.
struct Node {
  double threshold;
  int32_t slot;
  int32_t left;
};

// Where a categorical node's bits begin, and the first bit behind them, which is clear. Numerical
// nodes: the empty set.
struct CategorySet {
  uint32_t begin = 0;
  uint32_t end = 0;
};

struct TreeInfo {
  int32_t root = 0;
  bool categorical = false;
  bool linear = false;
};

class ReferenceEngine final : public Engine {
 public:
  std::string_view name() const override { return "reference"; }
  int feature_count() const override { return feature_count_; }
  int outputs() const override { return outputs_; }
  size_t memory_bytes() const override {
    size_t bytes = nodes_.size() * sizeof(Node) + values_.size() * sizeof(double) +
                   sets_.size() * sizeof(CategorySet) + (bits_.size() + linear_.size()) * 4 +
                   trees_.size() * sizeof(TreeInfo);
    for (const Tree::LinearLeaf& leaf : linear_leaves_) bytes += 64 + leaf.features.size() * 12;
    return bytes;
  }
  void PredictRaw(const double* features, int64_t rows, int64_t stride, double* out) const override;

 private:
  friend class ReferenceCompiler;

  void FillSlots(const double* features, int64_t rows, int64_t stride, double* slots) const;
  template <bool kCategories>
  void Walk(const double* slots, int64_t width, int32_t* leaves) const;
  double LinearValue(int32_t leaf, const double* row) const;
  double Sum(double sum, const TreeInfo& tree, int32_t leaf, const double* row) const;
  void PredictRow(const double* row, double* slots, double* out) const;

  int feature_count_ = 0;
  int outputs_ = 1;
  int64_t block_rows_ = kLanes;
  ValueRule rule_ = ValueRule::kLightGbm;
  bool float32_sums_ = false;
  std::vector<double> base_;
  std::vector<Slot> slots_;
  std::vector<Node> nodes_;
  std::vector<double> values_;     // one per node; of a leaf
  std::vector<CategorySet> sets_;  // one per node, or empty when no tree is categorical
  std::vector<uint32_t> bits_;
  std::vector<int32_t>
      linear_;  // one per node, index into linear_leaves_ or -1; empty: no linear leaf
  std::vector<Tree::LinearLeaf> linear_leaves_;
  std::vector<TreeInfo> trees_;
};

// Walks kLanes lanes from the nodes in `leaves` to their leaves. The slots of a lane are `width`
// after those of the lane before.
template <bool kCategories>
inline void ReferenceEngine::Walk(const double* slots, int64_t width, int32_t* leaves) const {
  const Node* nodes = nodes_.data();
  std::array<int32_t, kLanes> at;
  std::copy(leaves, leaves + kLanes, at.begin());
  int32_t moved = 0;
  do {
    moved = 0;
#pragma GCC unroll 8  // kLanes: keeps the lanes in registers, a quarter faster
    for (int lane = 0; lane < kLanes; ++lane) {
      const int32_t here = at[static_cast<size_t>(lane)];
      const Node& node = nodes[here];
      const double value = slots[lane * width + node.slot];
      // `!(a <= b)`, not `a > b`: NaN goes right.
      uint32_t right = !(value <= node.threshold);
      if constexpr (kCategories) {
        const CategorySet& set = sets_[static_cast<size_t>(here)];
        const uint32_t bit = std::min(CategoryOf(value), set.end);
        right &= ~(bits_[set.begin + (bit >> 5)] >> (bit & 31));
      }
      const int32_t next = node.left + static_cast<int32_t>(right);
      moved |= next ^ here;
      at[static_cast<size_t>(lane)] = next;
    }
  } while (moved != 0);
  std::copy(at.begin(), at.end(), leaves);
}

void ReferenceEngine::FillSlots(const double* features, int64_t rows, int64_t stride,
                                double* slots) const {
  for (int64_t row = 0; row < rows; ++row) {
    const double* from = features + row * stride;
    for (const Slot& slot : slots_) {
      *slots++ = SlotValue(slot.view, rule_, slot.view == View::kConstant ? 0 : from[slot.feature]);
    }
  }
}

double ReferenceEngine::LinearValue(int32_t leaf, const double* row) const {
  const Tree::LinearLeaf& linear =
      linear_leaves_[static_cast<size_t>(linear_[static_cast<size_t>(leaf)])];
  double sum = linear.constant;
  for (size_t i = 0; i < linear.features.size(); ++i) {
    const double value = row[linear.features[i]];
    if (std::isnan(value)) return values_[static_cast<size_t>(leaf)];
    sum += linear.coefficients[i] * FlushZero(rule_, value);
  }
  return sum;
}

double ReferenceEngine::Sum(double sum, const TreeInfo& tree, int32_t leaf,
                            const double* row) const {
  sum += tree.linear ? LinearValue(leaf, row) : values_[static_cast<size_t>(leaf)];
  // Of two float32 values the sum in float64, rounded, is their sum in float32.
  return float32_sums_ ? static_cast<double>(static_cast<float>(sum)) : sum;
}

// One row: the lanes are trees.
void ReferenceEngine::PredictRow(const double* row, double* slots, double* out) const {
  std::copy(base_.begin(), base_.end(), out);
  FillSlots(row, 1, 0, slots);
  std::array<int32_t, kLanes> leaves = {};
  int output = 0;
  for (size_t first = 0; first < trees_.size(); first += kLanes) {
    const size_t count = std::min<size_t>(kLanes, trees_.size() - first);
    bool categorical = false;
    for (size_t i = 0; i < kLanes; ++i) {
      const TreeInfo& tree = trees_[first + std::min(i, count - 1)];
      leaves[i] = tree.root;
      categorical |= tree.categorical;
    }
    if (categorical) {
      Walk<true>(slots, 0, leaves.data());
    } else {
      Walk<false>(slots, 0, leaves.data());
    }
    for (size_t i = 0; i < count; ++i) {
      out[output] = Sum(out[output], trees_[first + i], leaves[i], row);
      output = output + 1 == outputs_ ? 0 : output + 1;
    }
  }
}

void ReferenceEngine::PredictRaw(const double* features, int64_t rows, int64_t stride,
                                 double* out) const {
  const int64_t width = static_cast<int64_t>(slots_.size());
  if (rows < kLanes) {
    std::vector<double> slots(static_cast<size_t>(width));
    for (int64_t row = 0; row < rows; ++row)
      PredictRow(features + row * stride, slots.data(), out + row * outputs_);
    return;
  }
  for (int64_t row = 0; row < rows; ++row)
    std::copy(base_.begin(), base_.end(), out + row * outputs_);
  // Lanes behind the last row walk over zeros or rows of an earlier block.
  const int64_t lanes_needed = (std::min(block_rows_, rows) + kLanes - 1) / kLanes * kLanes;
  std::vector<double> slots(static_cast<size_t>(lanes_needed * width));
  std::array<int32_t, kLanes> leaves;
  for (int64_t begin = 0; begin < rows; begin += block_rows_) {
    const int64_t block = std::min(block_rows_, rows - begin);
    FillSlots(features + begin * stride, block, stride, slots.data());
    int output = 0;
    for (const TreeInfo& tree : trees_) {
      for (int64_t row = 0; row < block; row += kLanes) {
        leaves.fill(tree.root);
        if (tree.categorical) {
          Walk<true>(slots.data() + row * width, width, leaves.data());
        } else {
          Walk<false>(slots.data() + row * width, width, leaves.data());
        }
        const int64_t lanes = std::min<int64_t>(kLanes, block - row);
        double* sums = out + (begin + row) * outputs_ + output;
        for (int64_t lane = 0; lane < lanes; ++lane) {
          double& sum = sums[lane * outputs_];
          sum = Sum(sum, tree, leaves[static_cast<size_t>(lane)],
                    features + (begin + row + lane) * stride);
        }
      }
      output = output + 1 == outputs_ ? 0 : output + 1;
    }
  }
}

class ReferenceCompiler {
 public:
  explicit ReferenceCompiler(const Forest& forest) : forest_(forest) {}

  Result<std::unique_ptr<Engine>> Compile() {
    auto engine = std::make_unique<ReferenceEngine>();
    engine_ = engine.get();
    engine_->feature_count_ = forest_.feature_count;
    engine_->outputs_ = forest_.outputs;
    engine_->rule_ = forest_.values;
    engine_->float32_sums_ = forest_.float32_sums;
    engine_->base_ = forest_.base;
    engine_->base_.resize(static_cast<size_t>(forest_.outputs));
    engine_->slots_ = {Slot{0, View::kConstant}};
    engine_->bits_ = {0};
    bool any_categorical = false, any_linear = false;
    int64_t nodes = 0, words = 1;
    for (const Tree& tree : forest_.trees) {
      any_categorical |= !tree.category_begin.empty();
      any_linear |= !tree.linear.empty();
      nodes += 2 * static_cast<int64_t>(tree.leaf_value.size()) - 1;
      words += static_cast<int64_t>(tree.category_bits.size() + tree.category_begin.size());
    }
    if (nodes > INT32_MAX || words > INT32_MAX / 32) {
      return InvalidArgument(fmt::format("a model of {} nodes is too large", nodes));
    }
    engine_->nodes_.reserve(static_cast<size_t>(nodes));
    if (any_categorical) engine_->sets_.resize(static_cast<size_t>(nodes));
    if (any_linear) engine_->linear_.assign(static_cast<size_t>(nodes), -1);
    for (const Tree& tree : forest_.trees) AddTree(tree);
    const int64_t row_bytes = static_cast<int64_t>(engine_->slots_.size() * sizeof(double));
    const int64_t rows = std::clamp<int64_t>(kBlockBytes / row_bytes, kLanes, kMaxBlockRows);
    engine_->block_rows_ = rows / kLanes * kLanes;
    return std::unique_ptr<Engine>(std::move(engine));
  }

 private:
  // Nodes in breadth-first order, so that siblings are neighbours.
  void AddTree(const Tree& tree) {
    const size_t base = engine_->nodes_.size();
    const std::vector<CategorySet> sets = AddCategorySets(tree);
    std::vector<int32_t> order = {tree.split_feature.empty() ? ~0 : 0};
    for (size_t i = 0; i < order.size(); ++i) {
      const int32_t from = order[i];
      const size_t here = base + i;
      const int32_t first_child = static_cast<int32_t>(base + order.size());
      if (from < 0) {
        AddLeaf(tree, static_cast<size_t>(~from), static_cast<int32_t>(here));
        continue;
      }
      const size_t node = static_cast<size_t>(from);
      engine_->values_.push_back(0);
      if (tree.category_set[node] >= 0) {
        engine_->sets_[here] = sets[static_cast<size_t>(tree.category_set[node])];
        // Only NaN that goes left is <= kGoLeft; the set sends the others left.
        const int32_t slot = SlotFor(tree.split_feature[node], tree.default_left[node] != 0
                                                                   ? View::kCategoryNanLeft
                                                                   : View::kCategoryNanRight);
        engine_->nodes_.push_back({kGoLeft, slot, first_child});
      } else {
        engine_->nodes_.push_back({tree.threshold[node],
                                   SlotFor(tree.split_feature[node], NodeView(tree, node)),
                                   first_child});
      }
      order.push_back(tree.left[node]);
      order.push_back(tree.right[node]);
    }
    engine_->trees_.push_back(
        {static_cast<int32_t>(base), !tree.category_begin.empty(), !tree.linear.empty()});
  }

  void AddLeaf(const Tree& tree, size_t leaf, int32_t here) {
    engine_->nodes_.push_back({std::numeric_limits<double>::infinity(), 0, here});
    engine_->values_.push_back(tree.leaf_value[leaf]);
    if (tree.linear.empty()) return;
    engine_->linear_[static_cast<size_t>(here)] =
        static_cast<int32_t>(engine_->linear_leaves_.size());
    engine_->linear_leaves_.push_back(tree.linear[leaf]);
  }

  // Each set gets a clear word behind it, where every category that is too large looks.
  std::vector<CategorySet> AddCategorySets(const Tree& tree) {
    std::vector<CategorySet> sets;
    for (size_t i = 0; i + 1 < tree.category_begin.size(); ++i) {
      const auto begin = tree.category_bits.begin() + tree.category_begin[i];
      const auto end = tree.category_bits.begin() + tree.category_begin[i + 1];
      sets.push_back(
          {static_cast<uint32_t>(engine_->bits_.size()), static_cast<uint32_t>(end - begin) * 32});
      engine_->bits_.insert(engine_->bits_.end(), begin, end);
      engine_->bits_.push_back(0);
    }
    return sets;
  }

  int32_t SlotFor(int32_t feature, View view) {
    const auto [found, added] =
        slots_.try_emplace({feature, view}, static_cast<int32_t>(engine_->slots_.size()));
    if (added) engine_->slots_.push_back({feature, view});
    return found->second;
  }

  const Forest& forest_;
  ReferenceEngine* engine_ = nullptr;
  std::map<std::pair<int32_t, View>, int32_t> slots_;
};

}  // namespace

Result<std::unique_ptr<Engine>> CompileReferenceEngine(const Forest& forest) {
  return ReferenceCompiler(forest).Compile();
}

}  // namespace slipway
