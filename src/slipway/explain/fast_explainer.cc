#include "slipway/explain/fast_explainer.h"

#include <algorithm>
#include <map>

#include "slipway/explain/cover.h"
#include "slipway/explain/kernels.h"
#include "slipway/explain/row_codes.h"

namespace slipway {
namespace {

constexpr int64_t kMostBlockRows = 256;
constexpr int64_t kMostSums = 1 << 19;  // in a block
// Tables of a model up to this size are made once. Beyond, each block of rows makes those of one
// part at a time.
constexpr size_t kMostTableBytes = size_t{64} << 20;

class FastExplainer final : public Explainer {
 public:
  FastExplainer(const Forest& forest, Isa isa);
  int feature_count() const override { return feature_count_; }
  int outputs() const override { return static_cast<int>(base_.size()); }
  size_t memory_bytes() const override {
    size_t bytes =
        codes_.memory_bytes() + tests_.size() * sizeof(NodeTest) + tables_.size() * sizeof(Lanes);
    for (const TreePart& part : parts_) bytes += part.nodes.size() * sizeof(PartNode);
    return bytes;
  }
  void Explain(const double* features, int64_t rows, int64_t stride, double* out) const override;

 private:
  // Working memory of one call.
  struct Scratch {
    RowCodes::Block codes;
    std::vector<double> sums;  // [output][used feature][row]
    std::vector<uint16_t> offsets;
    LaneArray table, products, accumulators;
  };

  void FindUsed(const Forest& forest);
  void MakeTables();
  void ExplainPart(const TreePart& part, const Lanes* table, int64_t rows, Scratch* scratch) const;
  void FindOffsets(const TreePart& part, int64_t begin, Scratch* scratch) const;
  void WriteRows(const Scratch& scratch, int64_t rows, double* out) const;

  const ExplainKernels& kernels_;
  int feature_count_ = 0;
  std::vector<double> base_;   // each output's
  std::vector<int32_t> used_;  // features that some node reads, ascending
  RowCodes codes_;
  std::vector<NodeTest> tests_;
  std::vector<TreePart> parts_;
  std::map<int, Quadrature> quadratures_;  // by passes
  LaneArray tables_;                       // of all parts, or empty
  int64_t block_rows_ = 0;
  size_t most_nodes_ = 0, most_features_ = 0, most_table_lanes_ = 0;
};

FastExplainer::FastExplainer(const Forest& forest, Isa isa)
    : kernels_(KernelsFor(isa)),
      feature_count_(forest.feature_count),
      base_(forest.base),
      codes_(forest) {
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
      most_nodes_ = std::max(most_nodes_, part.nodes.size());
      most_features_ = std::max(most_features_, part.features.size());
      parts_.push_back(std::move(part));
    }
  }
  codes_.EndTests();
  MakeTables();
  const int64_t sums = std::max<int64_t>(1, static_cast<int64_t>(base_.size() * used_.size()));
  block_rows_ =
      std::clamp<int64_t>(kMostSums / sums, kStripRows, kMostBlockRows) / kStripRows * kStripRows;
}

void FastExplainer::FindUsed(const Forest& forest) {
  for (const Tree& tree : forest.trees)
    used_.insert(used_.end(), tree.split_feature.begin(), tree.split_feature.end());
  std::sort(used_.begin(), used_.end());
  used_.erase(std::unique(used_.begin(), used_.end()), used_.end());
}

void FastExplainer::MakeTables() {
  size_t lanes = 0;
  for (const TreePart& part : parts_) {
    const size_t size = static_cast<size_t>(part.table_lanes) * static_cast<size_t>(part.passes);
    lanes += size;
    most_table_lanes_ = std::max(most_table_lanes_, size);
  }
  if (lanes * sizeof(Lanes) > kMostTableBytes) return;
  tables_ = LaneArray(lanes);
  Lanes* table = tables_.data();
  for (const TreePart& part : parts_) {
    for (int pass = 0; pass < part.passes; ++pass) {
      FillTable(part, quadratures_.at(part.passes), pass, table);
      table += part.table_lanes;
    }
  }
}

void FastExplainer::Explain(const double* features, int64_t rows, int64_t stride,
                            double* out) const {
  Scratch scratch;
  const int64_t block = std::min(block_rows_, (rows + kStripRows - 1) / kStripRows * kStripRows);
  scratch.sums.resize(base_.size() * used_.size() * static_cast<size_t>(block));
  scratch.offsets.resize(most_nodes_ * kStripRows);
  scratch.products = LaneArray(most_nodes_ * kWalkRows);
  scratch.accumulators = LaneArray(most_features_ * kWalkRows);
  const bool made = tables_.size() > 0;
  if (!made) scratch.table = LaneArray(most_table_lanes_);
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t count = std::min(block, rows - begin);
    codes_.Encode(features + begin * stride, count, stride, block_rows_, &scratch.codes);
    std::fill(scratch.sums.begin(), scratch.sums.end(), 0.0);
    const Lanes* table = tables_.data();
    for (const TreePart& part : parts_) {
      if (made) {
        ExplainPart(part, table, count, &scratch);
        table += static_cast<int64_t>(part.table_lanes) * part.passes;
        continue;
      }
      for (int pass = 0; pass < part.passes; ++pass) {
        FillTable(part, quadratures_.at(part.passes), pass,
                  scratch.table.data() + static_cast<int64_t>(pass) * part.table_lanes);
      }
      ExplainPart(part, scratch.table.data(), count, &scratch);
    }
    WriteRows(scratch, count,
              out + begin * static_cast<int64_t>(base_.size()) * (feature_count_ + 1));
  }
}

// `table`: of all passes. Rows behind the last one walk along; nobody reads their sums.
void FastExplainer::ExplainPart(const TreePart& part, const Lanes* table, int64_t rows,
                                Scratch* scratch) const {
  const size_t block = scratch->sums.size() / (base_.size() * used_.size());
  double* const sums =
      scratch->sums.data() + static_cast<size_t>(part.output) * used_.size() * block;
  const size_t features = part.features.size();
  Lanes* const accumulators = scratch->accumulators.data();
  for (int64_t strip = 0; strip < rows; strip += kStripRows) {
    FindOffsets(part, strip, scratch);
    const int64_t end = std::min<int64_t>(kStripRows, rows - strip);
    for (int64_t walk = 0; walk < end; walk += kWalkRows) {
      std::fill(accumulators, accumulators + features * kWalkRows, Lanes{});
      for (int pass = 0; pass < part.passes; ++pass) {
        kernels_.walk(part, table + static_cast<int64_t>(pass) * part.table_lanes,
                      scratch->offsets.data() + walk, scratch->products.data(), accumulators);
      }
      for (size_t i = 0; i < features; ++i) {
        kernels_.flush(accumulators + i * kWalkRows,
                       sums + static_cast<size_t>(part.features[i]) * block + strip + walk);
      }
    }
  }
}

void FastExplainer::FindOffsets(const TreePart& part, int64_t begin, Scratch* scratch) const {
  uint16_t* const all = scratch->offsets.data();
  for (size_t i = 0; i < part.nodes.size(); ++i) {
    const PartNode& node = part.nodes[i];
    const NodeTest& test = tests_[static_cast<size_t>(node.test)];
    const int64_t at = test.column * block_rows_ + begin;
    const uint16_t* above = nullptr;
    uint16_t above_follows = 0;
    if (node.same_feature >= 0) {
      const size_t same = static_cast<size_t>(node.same_feature);
      above = all + same * kStripRows;
      above_follows = part.nodes[same].offset(node.same_feature_way);
    }
    uint16_t* const offsets = all + i * kStripRows;
    if (test.set < 0) {
      kernels_.find_offsets(node, scratch->codes.ranks.data() + at, test.bound, above,
                            above_follows, offsets);
      continue;
    }
    const uint32_t* const categories = scratch->codes.categories.data() + at;
    for (size_t row = 0; row < size_t{kStripRows}; ++row) {
      const bool inside = above == nullptr || above[row] == above_follows;
      offsets[row] = node.offset(!inside                                  ? Follows::kOut
                                 : codes_.GoesLeft(test, categories[row]) ? Follows::kLeft
                                                                          : Follows::kRight);
    }
  }
}

void FastExplainer::WriteRows(const Scratch& scratch, int64_t rows, double* out) const {
  const size_t width = static_cast<size_t>(feature_count_) + 1, outputs = base_.size();
  const size_t block = used_.empty() ? 0 : scratch.sums.size() / (outputs * used_.size());
  std::fill(out, out + static_cast<size_t>(rows) * outputs * width, 0.0);
  for (size_t output = 0; output < outputs; ++output) {
    double* const first = out + output * width;
    for (size_t i = 0; i < used_.size(); ++i) {
      const double* const sums = scratch.sums.data() + (output * used_.size() + i) * block;
      double* to = first + used_[i];
      for (int64_t row = 0; row < rows; ++row, to += outputs * width) *to = sums[row];
    }
    for (int64_t row = 0; row < rows; ++row)
      first[static_cast<size_t>(row) * outputs * width + width - 1] = base_[output];
  }
}

}  // namespace

std::unique_ptr<Explainer> MakeFastExplainer(const Forest& forest, Isa isa) {
  return std::make_unique<FastExplainer>(forest, isa);
}

}  // namespace slipway
