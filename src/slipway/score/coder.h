// Values become codes: a value's rank among the thresholds that the model compares it with, in one
// byte. Comparing codes decides every node exactly as comparing values does, and 32 rows fit one
// AVX2 register. Internal to score.
//
// A numerical feature with n thresholds is cut into ceil(n / 254) chunks: a value's code in chunk c
// is its rank among thresholds 254 c ... 254 c + 253, clamped to their number. Each view of the
// feature (slot.h) and its complement that some node asks for has a column of its own, for missing
// values go other ways there: 0 always goes left, 255 always right. A categorical feature fills
// ceil(codes / 16) columns for table lookups: the low four bits of the category's code in the
// column of its sixteen, 0x80 in the others.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/forest/forest.h"
#include "slipway/score/engine.h"
#include "slipway/score/isa.h"
#include "slipway/score/rank.h"
#include "slipway/score/slot.h"

namespace slipway {

// A numerical node as a test of one column: it holds when code < bound, unsigned.
struct CodeTest {
  int32_t column = 0;
  uint8_t bound = 0;
};

// Room for as many as the rows of a call.
struct CoderScratch {
  double* values = nullptr;
  uint16_t* nan_rows = nullptr;
};

inline constexpr int kMaxRowColumns = 128;

class Coder {
 public:
  // Of all nodes of the forest. kInvalidArgument when the codes would need too much memory.
  static Result<Coder> Make(const Forest& forest);

  // The tests below are of nodes of the trees of Make's forest, after StartTree; columns are made
  // as tests ask for them.
  void StartTree(size_t index) { tree_ranks_ = node_ranks_.data() + tree_begin_[index]; }
  // Holds when the node goes left.
  CodeTest GoesLeft(const Tree& tree, size_t node) { return Test(tree, node, false, false); }
  // Holds when it goes right: a column of complements.
  CodeTest GoesRight(const Tree& tree, size_t node) { return Test(tree, node, true, false); }

  // The same as GoesLeft in the columns of EncodeRow, which has no complements.
  CodeTest GoesLeftInRow(const Tree& tree, size_t node) { return Test(tree, node, false, true); }
  int row_columns() const { return row_columns_; }

  // Codes of a categorical feature: 0 ... category_codes() - 1, the last two are `in no set` and
  // NaN.
  int CategoryCodes(int32_t feature) const;
  // Whether the categorical node sends each code right (1) or left (0).
  void CategoryGoesRight(const Tree& tree, size_t node, uint8_t* right) const;
  // The column that holds codes 16 * chunk ... 16 * chunk + 15.
  int32_t CategoryColumn(int32_t feature, int chunk);

  int columns() const { return columns_; }
  size_t memory_bytes() const;

  // Writes codes of `rows` rows from row `begin` on: codes[column * column_stride + row], as signed
  // bytes (code - 128) for numerical columns.
  void Encode(Isa isa, std::span<const FeatureColumn> columns, int64_t begin, int64_t rows,
              int64_t column_stride, uint8_t* codes, CoderScratch* scratch) const;
  // Call once when no more tests will be asked for; EncodeRow needs it.
  void Finish();
  // The numerical codes of one row, as signed bytes: codes[row column]. At most kMaxRowColumns.
  void EncodeRow(Isa isa, const double* features, uint8_t* codes) const;
  // Categorical features are numbered 0 ... category_slots() - 1.
  int category_slots() const { return static_cast<int>(categorical_.size()); }
  int CategorySlotOf(int32_t feature) const {
    return slot_of_[static_cast<size_t>(feature)].categorical;
  }
  int RowCategory(int slot, const double* features) const;

 private:
  struct NumericalColumn {
    View view = View::kNanRight;
    bool complement = false;
    size_t chunk = 0;
    int32_t column = 0;
  };
  struct NumericalSlot {
    int32_t feature = 0;
    std::vector<double> thresholds;                     // ascending, without repetition
    std::vector<RankTable> tables;                      // of each chunk
    std::vector<NumericalColumn> columns, row_columns;  // by chunk
  };
  struct CategoricalSlot {
    int32_t feature = 0;
    std::vector<uint16_t> code_of;    // by category; those behind the end are in no set
    std::vector<int64_t> categories;  // of each code but the last two
    std::vector<int32_t> columns;     // of each chunk; -1: nobody asks for it
  };

  Coder() = default;
  CodeTest Test(const Tree& tree, size_t node, bool complement, bool in_row);
  void KeepRanks(const Forest& forest, const std::vector<std::vector<uint32_t>>& ranks);
  int CategoryCode(const CategoricalSlot& slot, double value) const;
  void EncodeNumerical(Isa isa, const NumericalSlot& slot, const double* values, int64_t rows,
                       int64_t column_stride, uint8_t* codes, CoderScratch* scratch) const;
  void EncodeCategorical(const CategoricalSlot& slot, const double* values, int64_t rows,
                         int64_t column_stride, uint8_t* codes) const;

  // The row columns, flat: what to rank, then which rank each column shows.
  struct RowColumn {
    uint16_t rank = 0;
    uint16_t column = 0;
    int32_t feature = 0;
    uint8_t missing = 0;  // the code of missing values
    bool zero_is_missing = false;
  };
  std::vector<const RankTable*> row_tables_;
  std::vector<int32_t> row_features_;
  std::vector<RowColumn> row_codes_;

  ValueRule rule_ = ValueRule::kLightGbm;
  int columns_ = 0, row_columns_ = 0;
  std::vector<NumericalSlot> numerical_;
  std::vector<CategoricalSlot> categorical_;
  struct SlotIndex {
    int32_t numerical = -1, categorical = -1;
  };
  std::vector<SlotIndex> slot_of_;  // by feature
  // Until Finish: the ranks of all nodes' thresholds, and where each tree's begin.
  std::vector<uint32_t> node_ranks_, tree_begin_;
  const uint32_t* tree_ranks_ = nullptr;
};

// The threshold that decides raw values as `threshold` decides values after FlushZero.
double FoldZero(ValueRule rule, double threshold);

}  // namespace slipway
