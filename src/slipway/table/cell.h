// The text form of cells: ONE definition of what a text means, used by CSV, JSON, pipes and (later)
// requests, in training and in scoring. Blanks around a value are ignored for every type but
// string.
//   boolean    true/false, t/f, yes/no, y/n, 1/0, in any case
//   int64      digits with an optional sign; also a double that is whole and below 2^53 ("1e3",
//   "5.0") double     as strtod, with "nan", "inf", "infinity" in any case string     the bytes as
//   they stand date       YYYY-MM-DD; also a timestamp whose time is midnight UTC timestamp
//   YYYY-MM-DD[T or blank]HH:MM[:SS[.ffffff]], then nothing, Z, " UTC" or +HH:MM / +HHMM / +HH;
//   also a date.
//              Without a zone: UTC.
// Missing: the empty text (after trimming, for every type; a string of blanks is kept) and, for
// double, NaN. docs/values.md is the user's page.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "slipway/table/batch.h"

namespace slipway {

enum class CellState { kValue, kMissing, kBad };

CellState ParseBooleanCell(std::string_view text, uint8_t* out);
CellState ParseInt64Cell(std::string_view text, int64_t* out);
CellState ParseDoubleCell(std::string_view text, double* out);
CellState ParseDateCell(std::string_view text, int32_t* out);
CellState ParseTimestampCell(std::string_view text, int64_t* out);

// Parses `text` as the column's type into row `row` and sets validity; false for kBad (the row is
// then null). Strings are not copied: `text` must outlive the column's use.
bool ParseCellInto(std::string_view text, int row, Column* column);

// Appends the value at `row`: doubles to the same bits, booleans true/false, dates and timestamps
// ISO
// ("2015-05-07T19:52:06Z"). Appends nothing for a null. NaN is written "nan".
void AppendCell(const ColumnView& column, int row, std::string* out);

// The types that a column of texts can have, narrowed as texts are seen. Missing texts say nothing.
// A column of only 0 and 1 is int64; a number with a leading zero ("007") or more than 18 digits is
// a string.
class TypeGuesser {
 public:
  void See(std::string_view text);
  // string when nothing but missing was seen.
  Type type() const;

 private:
  unsigned possible_ = 0x1F;  // bit per non-string Type
  bool seen_ = false;
};

// Converts a value of one type to another where no information is lost to misreading: int64 ->
// double, boolean -> int64/double (0/1), date -> timestamp, anything <- string by ParseCellInto,
// anything -> string by AppendCell, double -> int64 when whole. `out` gets type `to`. False for a
// row that does not convert (it becomes null); `bad_row` is the first such row.
bool ConvertColumn(const ColumnView& in, int rows, Type to, Column* out, int* bad_row);
// Whether ConvertColumn can ever succeed between the types.
bool CanConvert(Type from, Type to);

}  // namespace slipway
