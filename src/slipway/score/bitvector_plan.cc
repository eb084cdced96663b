#include "slipway/score/bitvector_plan.h"

#include <algorithm>
#include <bit>
#include <map>

#include <fmt/format.h>

#include "slipway/score/row_plan.h"

namespace slipway {
namespace {

uint32_t FourTimes(uint8_t byte) { return byte * 0x01010101U; }

// A range of leaf bits [begin, end).
struct Leaves {
  int32_t begin = 0, end = 0;
  int32_t count() const { return end - begin; }
};

// One planner for all trees: its buffers are used again.
class TreePlanner {
 public:
  TreePlanner(Coder* coder, BitvectorPlan* plan, RowTrees* rows)
      : coder_(*coder), plan_(*plan), rows_(rows) {}

  void Plan(const Tree& tree, size_t index) {
    tree_ = &tree;
    coder_.StartTree(index);
    const size_t inner = tree.split_feature.size();
    CountLeaves();
    left_.resize(inner);
    right_.resize(inner);
    PlaceLeaves();
    plane_count_ = static_cast<size_t>(tree.leaf_count_total() + 7) / 8;
    Clear(&cuts_);
    Clear(&row_cuts_);
    Clear(&category_cuts_);
    row_categories_.clear();
    for (size_t node = 0; node < inner; ++node) {
      if (tree.category_set[node] < 0) AddCuts(node);
    }
    if (!tree.category_begin.empty()) AddCategoryCuts();
    Emit();
    if (rows_ != nullptr) EmitRow();
  }

 private:
  template <typename T>
  void Clear(std::vector<std::vector<T>>* planes) {
    if (planes->size() < plane_count_) planes->resize(plane_count_);
    for (size_t i = 0; i < plane_count_; ++i) (*planes)[i].clear();
  }

  static bool IsLeaf(int32_t child) { return child < 0; }

  int32_t CountOf(int32_t child) const {
    return IsLeaf(child) ? 1 : counts_[static_cast<size_t>(child)];
  }

  void CountLeaves() {
    const size_t inner = tree_->split_feature.size();
    counts_.resize(inner);
    nodes_.clear();
    if (inner > 0) nodes_.push_back(0);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const size_t node = static_cast<size_t>(nodes_[i]);
      for (const int32_t child : {tree_->left[node], tree_->right[node]}) {
        if (!IsLeaf(child)) nodes_.push_back(child);
      }
    }
    for (auto at = nodes_.rbegin(); at != nodes_.rend(); ++at) {
      const size_t node = static_cast<size_t>(*at);
      counts_[node] = CountOf(tree_->left[node]) + CountOf(tree_->right[node]);
    }
  }

  bool LeftFirst(size_t node) const {
    return CountOf(tree_->left[node]) <= CountOf(tree_->right[node]);
  }

  // Depth first with the lighter child first; no recursion, for trees may be as deep as they like.
  void PlaceLeaves() {
    open_.clear();
    open_.push_back({tree_->split_feature.empty() ? ~0 : 0, 0});
    order_.assign(static_cast<size_t>(tree_->leaf_count_total()), 0);
    while (!open_.empty()) {
      const Open here = open_.back();
      open_.pop_back();
      if (IsLeaf(here.child)) {
        order_[static_cast<size_t>(here.begin)] = ~here.child;
        continue;
      }
      const size_t node = static_cast<size_t>(here.child);
      const int32_t left = CountOf(tree_->left[node]), right = CountOf(tree_->right[node]);
      const int32_t left_begin = here.begin + (LeftFirst(node) ? 0 : right);
      const int32_t right_begin = here.begin + (LeftFirst(node) ? left : 0);
      left_[node] = {left_begin, left_begin + left};
      right_[node] = {right_begin, right_begin + right};
      open_.push_back({tree_->left[node], left_begin});
      open_.push_back({tree_->right[node], right_begin});
    }
  }

  static uint8_t Keep(size_t plane, Leaves cleared) {
    const int32_t first = static_cast<int32_t>(plane * 8);
    const int32_t begin = std::clamp(cleared.begin - first, 0, 8);
    const int32_t end = std::clamp(cleared.end - first, 0, 8);
    return static_cast<uint8_t>(~((1U << end) - (1U << begin)));
  }

  void AddCuts(size_t node) {
    const bool left_first = LeftFirst(node);
    const Leaves cleared = left_first ? left_[node] : right_[node];
    const CodeTest test =
        left_first ? coder_.GoesLeft(*tree_, node) : coder_.GoesRight(*tree_, node);
    for (size_t plane = static_cast<size_t>(cleared.begin) / 8;
         plane <= static_cast<size_t>(cleared.end - 1) / 8; ++plane) {
      cuts_[plane].push_back({static_cast<uint32_t>(test.column),
                              FourTimes(static_cast<uint8_t>(test.bound ^ 0x80)),
                              FourTimes(Keep(plane, cleared))});
    }
    if (rows_ != nullptr) AddRowCuts(node, cleared, left_first);
  }

  // Right first: the test is code >= bound, which is ~code < ~bound + 1.
  void AddRowCuts(size_t node, Leaves cleared, bool left_first) {
    const CodeTest test = coder_.GoesLeftInRow(*tree_, node);
    RowCut cut;
    // More columns than kMaxRowColumns make no plan: whatever stands here then is not read.
    cut.column =
        static_cast<uint8_t>(test.column / 16 * 32 + test.column % 16 + (left_first ? 0 : 16));
    const int bound = left_first ? test.bound : 256 - test.bound;
    cut.bound = static_cast<uint8_t>(bound ^ 0x80);
    for (size_t plane = static_cast<size_t>(cleared.begin) / 8;
         plane <= static_cast<size_t>(cleared.end - 1) / 8; ++plane) {
      cut.keep = Keep(plane, cleared);
      row_cuts_[plane].push_back(cut);
    }
  }

  // All nodes of a tree on one categorical feature are one lookup per plane and sixteen codes.
  void AddCategoryCuts() {
    std::map<int32_t, std::vector<size_t>> nodes_of;
    for (size_t node = 0; node < tree_->split_feature.size(); ++node) {
      if (tree_->category_set[node] >= 0) nodes_of[tree_->split_feature[node]].push_back(node);
    }
    for (const auto& [feature, nodes] : nodes_of) {
      const int codes = coder_.CategoryCodes(feature);
      const size_t chunks = static_cast<size_t>(codes + 15) / 16;
      clear_.assign(plane_count_ * chunks * 16, 0);
      right_of_.resize(static_cast<size_t>(codes));
      for (const size_t node : nodes) {
        const bool left_first = LeftFirst(node);
        const Leaves cleared = left_first ? left_[node] : right_[node];
        coder_.CategoryGoesRight(*tree_, node, right_of_.data());
        for (size_t plane = static_cast<size_t>(cleared.begin) / 8;
             plane <= static_cast<size_t>(cleared.end - 1) / 8; ++plane) {
          const uint8_t bits = static_cast<uint8_t>(~Keep(plane, cleared));
          // A code that goes to the second child clears the first one's leaves.
          const uint8_t of_right = left_first ? bits : 0, of_left = left_first ? 0 : bits;
          uint8_t* clear = clear_.data() + plane * chunks * 16;
          for (size_t code = 0; code < static_cast<size_t>(codes); ++code)
            clear[code] |= right_of_[code] != 0 ? of_right : of_left;
        }
      }
      for (size_t plane = 0; plane < plane_count_; ++plane) {
        for (size_t chunk = 0; chunk < chunks; ++chunk) {
          std::array<uint8_t, 16> table;
          std::copy_n(clear_.data() + (plane * chunks + chunk) * 16, 16, table.begin());
          if (std::all_of(table.begin(), table.end(), [](uint8_t bits) { return bits == 0; }))
            continue;
          const int32_t column = coder_.CategoryColumn(feature, static_cast<int>(chunk));
          category_cuts_[plane].push_back({static_cast<uint32_t>(column), table});
          row_categories_.push_back({coder_.CategorySlotOf(feature), static_cast<int>(chunk),
                                     static_cast<uint32_t>(plane),
                                     static_cast<uint32_t>(category_cuts_[plane].size() - 1)});
        }
      }
    }
  }

  void Emit() {
    BitvectorTree out;
    out.planes_begin = static_cast<uint32_t>(plan_.planes.size());
    out.plane_count = static_cast<uint32_t>(plane_count_);
    out.cuts_begin = static_cast<uint32_t>(plan_.cuts.size());
    out.category_cuts_begin = static_cast<uint32_t>(plan_.category_cuts.size());
    out.linear = !tree_->linear.empty();
    // From the last plane to the first: of the planes with a bit left, the lowest one has the last
    // word.
    for (size_t i = plane_count_; i-- > 0;) {
      plan_.cuts.insert(plan_.cuts.end(), cuts_[i].begin(), cuts_[i].end());
      plan_.category_cuts.insert(plan_.category_cuts.end(), category_cuts_[i].begin(),
                                 category_cuts_[i].end());
      out.categorical |= !category_cuts_[i].empty();
      const size_t first = plan_.category_cuts.size() - category_cuts_[i].size();
      for (RowTrees::Category& category : row_categories_) {
        if (category.plane == i) category.category_cut += static_cast<uint32_t>(first);
      }
      plan_.planes.push_back({static_cast<uint32_t>(plan_.cuts.size()),
                              static_cast<uint32_t>(plan_.category_cuts.size())});
    }
    EmitLeaves(&out);
    plan_.trees.push_back(out);
  }

  void EmitLeaves(BitvectorTree* out) {
    out->leaves_begin = static_cast<uint32_t>(plan_.values.size());
    out->bytes_begin = static_cast<uint32_t>(plan_.value_bytes.size());
    if (out->linear) {
      plan_.leaf_ids.resize(plan_.values.size());
      plan_.leaf_ids.insert(plan_.leaf_ids.end(), order_.begin(), order_.end());
    }
    if (out->linear || plane_count_ > 4) {
      for (const int32_t leaf : order_)
        plan_.values.push_back(tree_->leaf_value[static_cast<size_t>(leaf)]);
      return;
    }
    plan_.value_bytes.resize(plan_.value_bytes.size() + (plane_count_ + 1) / 2 * 128);
    for (size_t leaf = 0; leaf < order_.size(); ++leaf) {
      const uint64_t bits =
          std::bit_cast<uint64_t>(tree_->leaf_value[static_cast<size_t>(order_[leaf])]);
      for (size_t b = 0; b < 8; ++b) {
        plan_.value_bytes[out->bytes_begin + (leaf / 16 * 8 + b) * 16 + leaf % 16] =
            static_cast<uint8_t>(bits >> (8 * b));
      }
    }
  }

  void EmitRow() {
    for (size_t i = 0; i < plane_count_; ++i) {
      rows_->cuts.insert(rows_->cuts.end(), row_cuts_[i].begin(), row_cuts_[i].end());
      rows_->plane_ends.push_back(static_cast<uint32_t>(rows_->cuts.size()));
    }
    for (const int32_t leaf : order_)
      rows_->values.push_back(tree_->leaf_value[static_cast<size_t>(leaf)]);
    rows_->categories.insert(rows_->categories.end(), row_categories_.begin(),
                             row_categories_.end());
    rows_->trees.push_back({static_cast<uint32_t>(rows_->plane_ends.size()),
                            static_cast<uint32_t>(rows_->values.size()),
                            static_cast<uint32_t>(rows_->categories.size())});
  }

  struct Open {
    int32_t child;
    int32_t begin;
  };

  const Tree* tree_ = nullptr;
  Coder& coder_;
  BitvectorPlan& plan_;
  RowTrees* rows_;
  size_t plane_count_ = 1;
  std::vector<int32_t> counts_, order_, nodes_;
  std::vector<Open> open_;
  std::vector<Leaves> left_, right_;
  std::vector<std::vector<Cut>> cuts_;
  std::vector<std::vector<RowCut>> row_cuts_;
  std::vector<std::vector<CategoryCut>> category_cuts_;
  std::vector<RowTrees::Category> row_categories_;
  std::vector<uint8_t> clear_, right_of_;
};

}  // namespace

size_t BitvectorPlan::memory_bytes() const {
  return trees.size() * sizeof(BitvectorTree) + planes.size() * sizeof(Plane) +
         cuts.size() * sizeof(Cut) + category_cuts.size() * sizeof(CategoryCut) +
         values.size() * sizeof(double) + value_bytes.size() + leaf_ids.size() * sizeof(int32_t);
}

Result<BitvectorPlan> MakeBitvectorPlan(const Forest& forest, Coder* coder, RowTrees* rows) {
  for (size_t i = 0; i < forest.trees.size(); ++i) {
    if (forest.trees[i].leaf_count_total() > kMaxBitvectorLeaves) {
      return InvalidArgument(fmt::format("tree {} has {} leaves, bit vectors have up to {}", i,
                                         forest.trees[i].leaf_count_total(), kMaxBitvectorLeaves));
    }
  }
  BitvectorPlan plan;
  plan.float32_sums = forest.float32_sums;
  TreePlanner planner(coder, &plan, rows);
  for (size_t i = 0; i < forest.trees.size(); ++i) planner.Plan(forest.trees[i], i);
  plan.trees.shrink_to_fit();
  plan.planes.shrink_to_fit();
  plan.cuts.shrink_to_fit();
  plan.category_cuts.shrink_to_fit();
  plan.values.shrink_to_fit();
  plan.value_bytes.shrink_to_fit();
  if (plan.cuts.size() + plan.planes.size() > UINT32_MAX / 2 ||
      plan.value_bytes.size() > UINT32_MAX || plan.category_cuts.size() > UINT32_MAX / 2) {
    return InvalidArgument("the model is too large for bit vectors");
  }
  return plan;
}

}  // namespace slipway
