// A foreign Arrow column (C Data Interface), checked once: after MakeArrowColumn its rows can be
// read without looking at the structs again. Borrowed: the array must outlive it. What Arrow does
// not tell (how long a buffer is) is believed; lengths, offsets, indices and counts are not.
#pragma once

#include <memory>
#include <string_view>

#include "slipway/base/result.h"
#include "slipway/capi/slipway.h"
#include "slipway/score/engine.h"
#include "slipway/table/batch.h"

namespace slipway {

struct ArrowColumn {
  enum class Kind : uint8_t {
    kNull,
    kNumber,  // of type `number`
    kHalf,
    kBoolean,
    kText32,  // offsets of 32 bits
    kText64,
    kTextView,
    kDate32,
    kDate64,
    kTimestamp,  // `unit`: s, m, u or n
  };
  Kind kind = Kind::kNull;
  ValueType number = ValueType::kFloat64;
  char unit = 'u';
  int64_t offset = 0;  // of the column's row 0 in the buffers
  int64_t length = 0;
  const uint8_t* validity = nullptr;
  const void* values = nullptr;  // or a text's offsets or views
  const char* text = nullptr;
  // Of kTextView: the data buffers and their sizes.
  const void* const* view_buffers = nullptr;
  const int64_t* view_sizes = nullptr;
  int64_t view_count = 0;
  // Of a dictionary column (kNumber: the indices): its values.
  std::shared_ptr<const ArrowColumn> dictionary;

  bool valid(int64_t row) const {
    const int64_t bit = offset + row;
    return validity == nullptr || (validity[bit >> 3] >> (bit & 7) & 1) != 0;
  }
  // What a person calls the type.
  std::string_view TypeName() const;
};

// The column's rows [first, first + rows). `parent_offset` belongs to the struct around it.
Result<ArrowColumn> MakeArrowColumn(const ArrowSchema& schema, const ArrowArray& array,
                                    int64_t first, int64_t rows);

// One value, dictionaries looked up.
struct ArrowCell {
  enum class Kind : uint8_t { kNull, kInt, kUint, kDouble, kBoolean, kText, kDate, kTime };
  Kind kind = Kind::kNull;
  int64_t integer = 0;  // kInt, kBoolean, kDate (days), kTime (microseconds)
  uint64_t large = 0;   // kUint: above INT64_MAX
  double number = 0;
  std::string_view text;
};
// Fails on an index outside of the dictionary, texts that end before they begin and times that
// microseconds cannot hold.
Status ReadCell(const ArrowColumn& column, int64_t row, ArrowCell* cell);

// Rows [begin, begin + rows) as numbers (booleans 0 and 1, null NaN). REQUIRES: IsNumeric.
bool IsNumeric(const ArrowColumn& column);
Status ReadNumbers(const ArrowColumn& column, int64_t begin, int64_t rows, double* out);
// Where the values lie, when they are plain numbers of 8 to 64 bits: no copy.
bool AsFeatureColumn(const ArrowColumn& column, FeatureColumn* feature);

// Rows as cells of `type`, into rows 0.. of `out`. Says which row cannot be one.
Status ReadCells(const ArrowColumn& column, int64_t begin, int rows, Type type, Column* out);

}  // namespace slipway
