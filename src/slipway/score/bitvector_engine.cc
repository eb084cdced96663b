#include "slipway/score/bitvector_engine.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "slipway/score/bitvector_kernel.h"
#include "slipway/score/bitvector_plan.h"
#include "slipway/score/cost.h"
#include "slipway/score/row_kernel.h"
#include "slipway/score/row_plan.h"

namespace slipway {
namespace {

// A tile's codes and sums stay in the first-level cache beside a tree's cuts.
constexpr int64_t kTileBytes = 20 << 10;
constexpr int64_t kMaxTileRows = 512;
// Up to this part of a register's rows go one by one: through the row plan, or through a row plan
// with long lists of category cuts.
constexpr int kRowsOneByOne = 3;
constexpr int kRowsWithCuts = 12;
// A forest of so few leaves may walk: its nodes take little memory.
constexpr size_t kSmallForest = 1000;
// Larger trees' rows walk their nodes.
constexpr int kMaxRowLeaves = 8 * kMaxRowPlanes;

// What trees with linear leaves need besides their bits.
struct LinearPart {
  std::vector<int32_t> features;                     // that some leaf reads
  std::vector<std::vector<Tree::LinearLeaf>> trees;  // by tree; features as indices into the above
  std::vector<std::vector<double>> values;           // by tree: the leaves' plain values
};

struct TileScratch {
  std::vector<uint8_t> codes;
  std::vector<double> sums, values, linear_values;
  std::vector<uint16_t> leaves, nan_rows;
};

class BitvectorEngine final : public Engine {
 public:
  BitvectorEngine(const Forest& forest, Isa isa, Coder coder, BitvectorPlan plan,
                  std::optional<RowPlan> row_plan, std::shared_ptr<const Engine> walking)
      : isa_(isa),
        kernel_(*FindBitvectorKernel(isa)),
        row_kernel_(*FindRowKernel(isa)),
        name_("bitvector/" + std::string(IsaName(isa))),
        feature_count_(forest.feature_count),
        outputs_(forest.outputs),
        rule_(forest.values),
        base_(forest.base),
        coder_(std::move(coder)),
        plan_(std::move(plan)),
        row_plan_(std::move(row_plan)),
        walking_(std::move(walking)),
        cost_(EstimateCost(forest)) {
    base_.resize(static_cast<size_t>(outputs_));
    const int64_t row_bytes = coder_.columns() + 8 * outputs_;
    const int64_t step = kernel_.row_step;
    tile_rows_ = std::max(std::min(kTileBytes / row_bytes, kMaxTileRows) / step * step, step);
    if (row_plan_) {
      const bool lists =
          std::any_of(row_plan_->category_cuts.begin(), row_plan_->category_cuts.end(),
                      [](const RowCategories& categories) { return !categories.chunks.empty(); });
      row_limit_ = kernel_.row_step / (lists ? kRowsWithCuts : kRowsOneByOne);
    }
    AddLinearLeaves(forest);
  }

  std::string_view name() const override { return name_; }
  int feature_count() const override { return feature_count_; }
  int outputs() const override { return outputs_; }
  size_t memory_bytes() const override {
    size_t bytes = coder_.memory_bytes() + plan_.memory_bytes();
    if (row_plan_) bytes += row_plan_->memory_bytes();
    if (walking_) bytes += walking_->memory_bytes();
    for (const auto& leaves : linear_.trees) {
      for (const Tree::LinearLeaf& leaf : leaves) bytes += 72 + leaf.features.size() * 12;
    }
    return bytes;
  }

  void PredictRaw(const double* features, int64_t rows, int64_t stride,
                  double* out) const override {
    if (rows <= row_limit_) {
      for (int64_t row = 0; row < rows; ++row)
        PredictRow(features + row * stride, out + row * outputs_);
      return;
    }
    if (walking_ && cost_.WalkIsFaster(rows, kernel_.row_step))
      return walking_->PredictRaw(features, rows, stride, out);
    const std::vector<FeatureColumn> columns = RowMajorColumns(features, feature_count_, stride);
    PredictColumns(columns, rows, out);
  }

  void PredictColumns(std::span<const FeatureColumn> columns, int64_t rows,
                      double* out) const override {
    TileScratch scratch;
    const int64_t step = kernel_.row_step;
    const int64_t most = std::min(tile_rows_, (rows + step - 1) / step * step);
    // Never empty: trees of one leaf have no columns, but pointers to their rows all the same.
    scratch.codes.resize(static_cast<size_t>(std::max(coder_.columns(), 1) * most));
    scratch.sums.resize(static_cast<size_t>(outputs_ * most));
    scratch.values.resize(static_cast<size_t>(most));
    scratch.nan_rows.resize(static_cast<size_t>(most));
    CoderScratch coder_scratch = {scratch.values.data(), scratch.nan_rows.data()};
    for (int64_t begin = 0; begin < rows; begin += tile_rows_) {
      const int64_t count = std::min(tile_rows_, rows - begin);
      const int64_t padded = (count + step - 1) / step * step;
      coder_.Encode(isa_, columns, begin, count, padded, scratch.codes.data(), &coder_scratch);
      for (int output = 0; output < outputs_; ++output) {
        std::fill_n(scratch.sums.begin() + output * padded, padded,
                    base_[static_cast<size_t>(output)]);
      }
      if (linear_.features.empty() && linear_.trees.empty()) {
        kernel_.sum(plan_, 0, plan_.trees.size(), scratch.codes.data(), padded, outputs_,
                    scratch.sums.data());
      } else {
        SumLinear(columns, begin, count, padded, &scratch);
      }
      for (int64_t row = 0; row < count; ++row) {
        const int64_t slot = kernel_.slot(row);
        for (int output = 0; output < outputs_; ++output)
          *out++ = scratch.sums[static_cast<size_t>(output * padded + slot)];
      }
    }
  }

 private:
  // No locks, no allocation.
  void PredictRow(const double* features, double* out) const {
    alignas(64) uint8_t codes[kMaxRowColumns] = {};
    coder_.EncodeRow(isa_, features, codes);
    std::copy(base_.begin(), base_.end(), out);
    if (row_plan_->category_cuts.empty()) return row_kernel_.sum(*row_plan_, codes, nullptr, out);
    alignas(64) uint8_t planes[kMaxRowPlaneBytes];
    std::fill_n(planes, row_plan_->plane_bytes, uint8_t{0xFF});
    for (size_t slot = 0; slot < row_plan_->category_cuts.size(); ++slot) {
      const size_t code = static_cast<size_t>(coder_.RowCategory(static_cast<int>(slot), features));
      const RowCategories& categories = row_plan_->category_cuts[slot];
      if (!categories.keep.empty()) {
        const uint8_t* keep = categories.keep.data() + code * row_plan_->plane_bytes;
        for (size_t i = 0; i < row_plan_->plane_bytes; i += 8) {
          uint64_t eight, kept;
          std::memcpy(&eight, planes + i, 8);
          std::memcpy(&kept, keep + i, 8);
          eight &= kept;
          std::memcpy(planes + i, &eight, 8);
        }
        continue;
      }
      if (code / 16 >= categories.chunks.size()) continue;
      for (const RowCategoryCut& cut : categories.chunks[code / 16]) {
        planes[cut.position] &=
            static_cast<uint8_t>(~plan_.category_cuts[cut.category_cut].clear[code % 16]);
      }
    }
    row_kernel_.sum(*row_plan_, codes, planes, out);
  }

  void AddLinearLeaves(const Forest& forest) {
    std::vector<int32_t> index_of(static_cast<size_t>(feature_count_), -1);
    for (size_t i = 0; i < forest.trees.size(); ++i) {
      const Tree& tree = forest.trees[i];
      if (tree.linear.empty()) continue;
      linear_.trees.resize(forest.trees.size());
      linear_.values.resize(forest.trees.size());
      linear_.trees[i] = tree.linear;
      linear_.values[i] = tree.leaf_value;
      for (Tree::LinearLeaf& leaf : linear_.trees[i]) {
        for (int32_t& feature : leaf.features) {
          int32_t& index = index_of[static_cast<size_t>(feature)];
          if (index < 0) {
            index = static_cast<int32_t>(linear_.features.size());
            linear_.features.push_back(feature);
          }
          feature = index;
        }
      }
    }
  }

  // The leaf's constant plus its products in order, or its plain value when a feature is missing.
  double LinearValue(size_t tree, size_t leaf, const double* values, int64_t stride) const {
    const Tree::LinearLeaf& linear = linear_.trees[tree][leaf];
    double sum = linear.constant;
    for (size_t i = 0; i < linear.features.size(); ++i) {
      const double value = values[linear.features[i] * stride];
      if (std::isnan(value)) return linear_.values[tree][leaf];
      sum += linear.coefficients[i] * FlushZero(rule_, value);
    }
    return sum;
  }

  void SumLinear(std::span<const FeatureColumn> columns, int64_t begin, int64_t count,
                 int64_t padded, TileScratch* scratch) const {
    // Never empty: each row points at its first value, also when every linear leaf is a constant.
    scratch->linear_values.resize(std::max<size_t>(linear_.features.size(), 1) *
                                  static_cast<size_t>(count));
    scratch->leaves.resize(static_cast<size_t>(padded));
    for (size_t i = 0; i < linear_.features.size(); ++i) {
      ReadValues(columns[static_cast<size_t>(linear_.features[i])], begin, count,
                 scratch->linear_values.data() + static_cast<int64_t>(i) * count);
    }
    for (size_t i = 0; i < plan_.trees.size(); ++i) {
      if (linear_.trees[i].empty()) {
        kernel_.sum(plan_, i, i + 1, scratch->codes.data(), padded, outputs_, scratch->sums.data());
        continue;
      }
      kernel_.leaves(plan_, i, scratch->codes.data(), padded, scratch->leaves.data());
      double* sums = scratch->sums.data() + static_cast<int64_t>(i) % outputs_ * padded;
      const int32_t* ids = plan_.leaf_ids.data() + plan_.trees[i].leaves_begin;
      for (int64_t row = 0; row < count; ++row) {
        const size_t leaf = static_cast<size_t>(ids[scratch->leaves[static_cast<size_t>(row)]]);
        sums[kernel_.slot(row)] += LinearValue(i, leaf, scratch->linear_values.data() + row, count);
      }
    }
  }

  Isa isa_;
  const BitvectorKernel& kernel_;
  const RowKernel& row_kernel_;
  std::string name_;
  int feature_count_, outputs_;
  ValueRule rule_;
  std::vector<double> base_;
  Coder coder_;
  BitvectorPlan plan_;
  std::optional<RowPlan> row_plan_;
  std::shared_ptr<const Engine> walking_;
  CostEstimate cost_;
  LinearPart linear_;
  int64_t tile_rows_ = 0;
  int64_t row_limit_ = 0;  // calls of up to so many rows go row by row
};

bool SuitsRows(const Forest& forest) {
  return std::all_of(forest.trees.begin(), forest.trees.end(), [](const Tree& tree) {
    return tree.linear.empty() && tree.leaf_count_total() <= kMaxRowLeaves;
  });
}

}  // namespace

Result<std::unique_ptr<Engine>> CompileBitvectorEngine(const Forest& forest,
                                                       std::shared_ptr<const Engine> walking) {
  const Isa isa = BestIsa();
  if (FindBitvectorKernel(isa) == nullptr)
    return InvalidArgument("no vector instructions for bit vectors");
  ASSIGN_OR_RETURN(Coder coder, Coder::Make(forest));
  const bool rows = SuitsRows(forest);
  RowTrees row_trees;
  ASSIGN_OR_RETURN(BitvectorPlan plan,
                   MakeBitvectorPlan(forest, &coder, rows ? &row_trees : nullptr));
  coder.Finish();
  std::optional<RowPlan> row_plan;
  if (rows && coder.row_columns() <= kMaxRowColumns) {
    row_plan.emplace();
    row_plan->columns = coder.row_columns();
    row_plan->outputs = forest.outputs;
    row_plan->float32_sums = forest.float32_sums;
    if (!MakeRowPlan(std::move(row_trees), plan, FindRowKernel(isa)->lanes, &*row_plan))
      row_plan.reset();
  }
  size_t leaves = 0;
  for (const Tree& tree : forest.trees) leaves += tree.leaf_value.size();
  if (row_plan && leaves > kSmallForest) walking = nullptr;
  return std::unique_ptr<Engine>(std::make_unique<BitvectorEngine>(
      forest, isa, std::move(coder), std::move(plan), std::move(row_plan), std::move(walking)));
}

}  // namespace slipway
