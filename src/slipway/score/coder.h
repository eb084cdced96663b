// Values become codes: a value's rank among the thresholds that the model compares it with, in one
// byte. Comparing codes decides every node exactly as comparing values does, and 32 rows fit one
// AVX2 register. Internal to score.
//
// A numerical slot (slot.h) with n thresholds fills ceil(n / 254) columns: column c holds the rank
// among thresholds 254 c ... 254 c + 253, clamped to their number; 0 is what always goes left, 255
// what always goes right. A categorical feature fills ceil(codes / 16) columns for table lookups:
// the low four bits of the category's code in the column of its sixteen, 0x80 in the others.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/forest/forest.h"
#include "slipway/score/engine.h"
#include "slipway/score/isa.h"
#include "slipway/score/slot.h"

namespace slipway {

// A numerical node as a test of one column: it holds when code < bound, unsigned.
struct CodeTest {
  int32_t column = 0;
  uint8_t bound = 0;
};

class Coder {
 public:
  // Of all nodes of the forest. kInvalidArgument when the codes would need too much memory.
  static Result<Coder> Make(const Forest& forest);

  // Columns are made as tests ask for them.
  // Holds when the node goes left.
  CodeTest GoesLeft(const Tree& tree, size_t node);
  // Holds when it goes right: a column of complements.
  CodeTest GoesRight(const Tree& tree, size_t node);

  // Codes of a categorical feature: 0 ... category_codes() - 1, the last two are `in no set` and
  // NaN.
  int CategoryCodes(int32_t feature) const;
  // Whether the categorical node sends the code left.
  bool CategoryGoesLeft(const Tree& tree, size_t node, int code) const;
  // The column that holds codes 16 * chunk ... 16 * chunk + 15.
  int32_t CategoryColumn(int32_t feature, int chunk);

  int columns() const { return columns_; }
  size_t memory_bytes() const;

  // Writes codes of `rows` rows from row `begin` on: codes[column * column_stride + row], as signed
  // bytes (code - 128) for numerical columns. `values`: room for `rows` doubles.
  void Encode(Isa isa, std::span<const FeatureColumn> columns, int64_t begin, int64_t rows,
              int64_t column_stride, uint8_t* codes, double* values) const;
  // The same of one row: codes[column].
  void EncodeRow(Isa isa, const double* features, uint8_t* codes) const;

  static constexpr int kChunk = 254;  // thresholds in a column

 private:
  struct NumericalSlot {
    int32_t feature = 0;
    View view = View::kNanRight;
    std::vector<double> thresholds;             // ascending, without repetition
    std::vector<int32_t> columns, complements;  // of each chunk; -1: nobody asks for it
    // Per chunk: pivots (every 16th threshold) and thresholds, padded with infinity.
    std::vector<double> padded;
    std::vector<double> chunk_last;
  };
  struct CategoricalSlot {
    int32_t feature = 0;
    std::vector<uint16_t> code_of;    // by category; those behind the end are in no set
    std::vector<int64_t> categories;  // of each code but the last two
    std::vector<int32_t> columns;     // of each chunk; -1: nobody asks for it
  };

  Coder() = default;
  void Pad(NumericalSlot* slot) const;
  void EncodeNumerical(Isa isa, const NumericalSlot& slot, const double* values, int64_t rows,
                       int64_t column_stride, uint8_t* codes) const;
  void EncodeCategorical(const CategoricalSlot& slot, const double* values, int64_t rows,
                         int64_t column_stride, uint8_t* codes) const;
  std::pair<NumericalSlot*, size_t> Find(const Tree& tree, size_t node);

  ValueRule rule_ = ValueRule::kLightGbm;
  int columns_ = 0;
  std::vector<NumericalSlot> numerical_;
  std::vector<CategoricalSlot> categorical_;
  std::map<std::pair<int32_t, View>, size_t> numerical_of_;
  std::map<int32_t, size_t> categorical_of_;
};

// The threshold that decides raw values as `threshold` decides values after FlushZero.
double FoldZero(ValueRule rule, double threshold);

}  // namespace slipway
