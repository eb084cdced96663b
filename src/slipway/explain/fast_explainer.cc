#include "slipway/explain/fast_explainer.h"

#include <algorithm>
#include <map>

#include "slipway/explain/cover.h"
#include "slipway/explain/kernels.h"
#include "slipway/explain/row_codes.h"

namespace slipway {
namespace {

constexpr int64_t kMostBlockRows = 1024;
constexpr int64_t kMostSums = 1 << 19;  // in a block
// Parts that follow each other share their accumulators while their tables fit the first-level
// cache beside them.
constexpr int64_t kMostGroupLanes = 384;

class FastExplainer final : public Explainer {
 public:
  FastExplainer(const Forest& forest, Isa isa, size_t most_table_bytes);
  int feature_count() const override { return feature_count_; }
  int outputs() const override { return static_cast<int>(base_.size()); }
  size_t memory_bytes() const override {
    size_t bytes =
        codes_.memory_bytes() + tests_.size() * sizeof(NodeTest) + tables_.size() * sizeof(Lanes);
    for (const TreePart& part : parts_)
      bytes += part.nodes.size() * sizeof(PartNode) + part.steps.size() * sizeof(PartStep);
    return bytes;
  }
  void Explain(const double* features, int64_t rows, int64_t stride, double* out) const override;

 private:
  // Working memory of one call, and the kernels that suit its rows.
  struct Scratch {
    const ExplainKernels* kernels = nullptr;
    RowCodes::Block codes;
    std::vector<double> sums;  // [output][walk of rows][used feature][row of the walk]
    std::vector<uint16_t> offsets;
    LaneArray table, products, accumulators;
  };

  // Parts [begin, end) of one output, their features together, and their size.
  struct Group {
    int output = 0;
    size_t begin = 0, end = 0;
    std::vector<int32_t> features;  // indices into used_
    int64_t table_lanes = 0;        // of all passes
    size_t nodes = 0;
  };

  void FindUsed(const Forest& forest);
  void MakeGroups();
  void MakeTables(size_t most_bytes);
  void FillTables(const Group& group, Lanes* table) const;
  void ExplainGroup(const Group& group, const Lanes* table, int64_t rows, Scratch* scratch) const;
  void FindOffsets(const ExplainKernels& kernels, const TreePart& part, int64_t begin,
                   const RowCodes::Block& codes, uint16_t* all) const;
  void WriteRows(const Scratch& scratch, int64_t rows, double* out) const;

  const Isa isa_;
  int feature_count_ = 0;
  std::vector<double> base_;   // each output's
  std::vector<int32_t> used_;  // features that some node reads, ascending
  RowCodes codes_;
  std::vector<NodeTest> tests_;
  std::vector<TreePart> parts_;
  std::vector<Group> groups_;
  std::map<int, Quadrature> quadratures_;  // by passes
  LaneArray tables_;                       // of all parts, or empty
  int64_t block_rows_ = 0;
  size_t most_nodes_ = 0, most_steps_ = 0, most_features_ = 0, most_lanes_ = 0;  // of a group
};

FastExplainer::FastExplainer(const Forest& forest, Isa isa, size_t most_table_bytes)
    : isa_(isa), feature_count_(forest.feature_count), base_(forest.base), codes_(forest) {
  base_.resize(static_cast<size_t>(forest.outputs));
  FindUsed(forest);
  for (size_t i = 0; i < forest.trees.size(); ++i) {
    const Tree& tree = forest.trees[i];
    const size_t output = i % base_.size();
    base_[output] += ExpectedValue(tree, CoversOf(tree));
    const size_t first_test = tests_.size();
    for (size_t node = 0; node < tree.split_feature.size(); ++node)
      tests_.push_back(codes_.TestOf(tree, node));
    for (TreePart& part : CutIntoParts(tree, static_cast<int>(output))) {
      for (PartNode& node : part.nodes) node.test = static_cast<int32_t>(first_test) + node.node;
      for (int32_t& feature : part.features) {
        feature = static_cast<int32_t>(std::lower_bound(used_.begin(), used_.end(), feature) -
                                       used_.begin());
      }
      quadratures_.try_emplace(part.passes, GaussLegendre(part.passes * kLanesPerPass));
      parts_.push_back(std::move(part));
    }
  }
  codes_.EndTests();
  MakeGroups();
  MakeTables(most_table_bytes);
  const int64_t sums = std::max<int64_t>(1, static_cast<int64_t>(base_.size() * used_.size()));
  block_rows_ =
      std::clamp<int64_t>(kMostSums / sums, kStripRows, kMostBlockRows) / kStripRows * kStripRows;
}

void FastExplainer::MakeGroups() {
  for (size_t i = 0; i < parts_.size(); ++i) {
    const TreePart& part = parts_[i];
    const int64_t lanes = int64_t{part.table_lanes} * part.passes;
    if (groups_.empty() || groups_.back().output != part.output ||
        groups_.back().table_lanes + lanes > kMostGroupLanes) {
      groups_.push_back({.output = part.output, .begin = i});
    }
    Group& group = groups_.back();
    group.end = i + 1;
    group.table_lanes += lanes;
    group.nodes += part.nodes.size();
    group.features.insert(group.features.end(), part.features.begin(), part.features.end());
    most_steps_ = std::max(most_steps_, part.steps.size());
  }
  for (Group& group : groups_) {
    std::vector<int32_t>& all = group.features;
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    for (size_t i = group.begin; i < group.end; ++i) {
      // From the part's list of features to the group's.
      TreePart& part = parts_[i];
      const auto place = [&](int32_t accumulator) {
        const int32_t feature = part.features[static_cast<size_t>(accumulator)];
        return static_cast<int32_t>(std::lower_bound(all.begin(), all.end(), feature) -
                                    all.begin());
      };
      for (PartNode& node : part.nodes) node.accumulator = place(node.accumulator);
      for (PartStep& step : part.steps) {
        for (size_t k = 0; k < size_t{PartStep::kMostNodes}; ++k) {
          step.accumulators[k] = place(step.accumulators[k]);
          step.sums[k] = step.accumulators[k] * kWalkRows;
        }
      }
    }
    most_nodes_ = std::max(most_nodes_, group.nodes);
    most_features_ = std::max(most_features_, all.size());
    most_lanes_ = std::max(most_lanes_, static_cast<size_t>(group.table_lanes));
  }
}

void FastExplainer::FindUsed(const Forest& forest) {
  for (const Tree& tree : forest.trees)
    used_.insert(used_.end(), tree.split_feature.begin(), tree.split_feature.end());
  std::sort(used_.begin(), used_.end());
  used_.erase(std::unique(used_.begin(), used_.end()), used_.end());
}

void FastExplainer::MakeTables(size_t most_bytes) {
  size_t lanes = 0;
  for (const Group& group : groups_) lanes += static_cast<size_t>(group.table_lanes);
  if (lanes * sizeof(Lanes) > most_bytes) return;
  tables_ = LaneArray(lanes);
  Lanes* table = tables_.data();
  for (const Group& group : groups_) {
    FillTables(group, table);
    table += group.table_lanes;
  }
}

void FastExplainer::FillTables(const Group& group, Lanes* table) const {
  for (size_t i = group.begin; i < group.end; ++i) {
    const TreePart& part = parts_[i];
    for (int pass = 0; pass < part.passes; ++pass) {
      FillTable(part, quadratures_.at(part.passes), pass, table);
      table += part.table_lanes;
    }
  }
}

void FastExplainer::Explain(const double* features, int64_t rows, int64_t stride,
                            double* out) const {
  Scratch scratch;
  scratch.kernels = &KernelsFor(isa_, rows);
  const int64_t block = std::min(block_rows_, (rows + kStripRows - 1) / kStripRows * kStripRows);
  scratch.sums.resize(base_.size() * used_.size() * static_cast<size_t>(block));
  scratch.offsets.resize(most_nodes_ * kStripRows);
  scratch.products = LaneArray(most_steps_ * kWalkRows);
  scratch.accumulators = LaneArray(most_features_ * kWalkRows);
  const bool made = tables_.size() > 0;
  if (!made) scratch.table = LaneArray(most_lanes_);
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t count = std::min(block, rows - begin);
    codes_.Encode(features + begin * stride, count, stride, block_rows_ + kStripRows,
                  &scratch.codes);
    std::fill(scratch.sums.begin(), scratch.sums.end(), 0.0);
    const Lanes* table = tables_.data();
    for (const Group& group : groups_) {
      if (!made) FillTables(group, scratch.table.data());
      ExplainGroup(group, made ? table : scratch.table.data(), count, &scratch);
      table += group.table_lanes;
    }
    WriteRows(scratch, count,
              out + begin * static_cast<int64_t>(base_.size()) * (feature_count_ + 1));
  }
}

// Rows behind the last one walk along; nobody reads their sums.
void FastExplainer::ExplainGroup(const Group& group, const Lanes* table, int64_t rows,
                                 Scratch* scratch) const {
  double* const sums = scratch->sums.data() +
                       static_cast<size_t>(group.output) * (scratch->sums.size() / base_.size());
  for (int64_t strip = 0; strip < rows; strip += kStripRows) {
    uint16_t* offsets = scratch->offsets.data();
    for (size_t i = group.begin; i < group.end; ++i) {
      FindOffsets(*scratch->kernels, parts_[i], strip, scratch->codes, offsets);
      offsets += parts_[i].nodes.size() * kStripRows;
    }
    const int64_t end = std::min<int64_t>(kStripRows, rows - strip);
    for (int64_t walk = 0; walk < end; walk += kWalkRows) {
      const Lanes* pass_table = table;
      offsets = scratch->offsets.data() + walk;
      for (size_t i = group.begin; i < group.end; ++i) {
        const TreePart& part = parts_[i];
        for (int pass = 0; pass < part.passes; ++pass) {
          scratch->kernels->walk(part, pass_table, offsets, scratch->products.data(),
                                 scratch->accumulators.data());
          pass_table += part.table_lanes;
        }
        offsets += part.nodes.size() * kStripRows;
      }
      scratch->kernels->flush(group.features, scratch->accumulators.data(),
                              sums + (strip + walk) * static_cast<int64_t>(used_.size()));
    }
  }
}

void FastExplainer::FindOffsets(const ExplainKernels& kernels, const TreePart& part, int64_t begin,
                                const RowCodes::Block& codes, uint16_t* all) const {
  for (size_t i = 0; i < part.nodes.size(); ++i) {
    const PartNode& node = part.nodes[i];
    const NodeTest& test = tests_[static_cast<size_t>(node.test)];
    const int64_t at = test.column * (block_rows_ + kStripRows) + begin;
    const uint16_t* const above =
        node.same_feature < 0 ? nullptr : all + node.same_feature * kStripRows;
    uint16_t* const offsets = all + i * kStripRows;
    if (test.set < 0) {
      kernels.find_offsets(node, codes.ranks.data() + at, test.bound, above, offsets);
      continue;
    }
    const uint32_t* const categories = codes.categories.data() + at;
    for (size_t row = 0; row < kernels.strip_rows; ++row) {
      const bool inside = above == nullptr || above[row] == node.same_feature_offset;
      offsets[row] = node.offset(!inside                                  ? Follows::kOut
                                 : codes_.GoesLeft(test, categories[row]) ? Follows::kLeft
                                                                          : Follows::kRight);
    }
  }
  for (const PartStep& step : part.steps) {
    if (step.nodes > 1) kernels.add_offsets(step.nodes, all + step.node * kStripRows);
  }
}

void FastExplainer::WriteRows(const Scratch& scratch, int64_t rows, double* out) const {
  const size_t width = static_cast<size_t>(feature_count_) + 1, outputs = base_.size();
  std::fill(out, out + static_cast<size_t>(rows) * outputs * width, 0.0);
  for (size_t output = 0; output < outputs; ++output) {
    double* const first = out + output * width;
    const double* const sums = scratch.sums.data() + output * (scratch.sums.size() / outputs);
    // Without a split there are no sums, and nothing to point at.
    for (size_t row = 0; row < static_cast<size_t>(rows) && !used_.empty(); ++row) {
      const double* const from =
          sums + row / kWalkRows * kWalkRows * used_.size() + row % kWalkRows;
      double* const to = first + row * outputs * width;
      for (size_t i = 0; i < used_.size(); ++i) to[used_[i]] = from[i * kWalkRows];
    }
    for (int64_t row = 0; row < rows; ++row)
      first[static_cast<size_t>(row) * outputs * width + width - 1] = base_[output];
  }
}

}  // namespace

std::unique_ptr<Explainer> MakeFastExplainer(const Forest& forest, Isa isa,
                                             size_t most_table_bytes) {
  return std::make_unique<FastExplainer>(forest, isa, most_table_bytes);
}

}  // namespace slipway
