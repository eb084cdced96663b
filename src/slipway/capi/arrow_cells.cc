// Foreign cells as values of our types: nothing is rounded, cut or guessed on the way.
#include <cmath>

#include <fmt/format.h>

#include "slipway/base/text.h"
#include "slipway/capi/arrow_column.h"

namespace slipway {
namespace {

using CellKind = ArrowCell::Kind;

constexpr int64_t kDayMicroseconds = 86'400'000'000;

// Whether the double is a whole number and no other one shares it: as of a text (docs/values.md).
bool IsWhole(double value) { return std::abs(value) < 0x1p53 && std::trunc(value) == value; }

bool ToDouble(const ArrowCell& cell, double* value) {
  switch (cell.kind) {
    case CellKind::kDouble:
      *value = cell.number;
      return true;
    case CellKind::kInt:
    case CellKind::kBoolean:
      *value = static_cast<double>(cell.integer);
      return true;
    case CellKind::kUint:
      *value = static_cast<double>(cell.large);
      return true;
    default:
      return false;
  }
}

bool ToInt(const ArrowCell& cell, int64_t* value) {
  if (cell.kind == CellKind::kInt || cell.kind == CellKind::kBoolean) {
    *value = cell.integer;
    return true;
  }
  if (cell.kind != CellKind::kDouble || !IsWhole(cell.number)) return false;
  *value = static_cast<int64_t>(cell.number);
  return true;
}

bool ToDay(const ArrowCell& cell, int32_t* value) {
  if (cell.kind == CellKind::kDate) {
    *value = static_cast<int32_t>(cell.integer);
    return true;
  }
  if (cell.kind != CellKind::kTime || cell.integer % kDayMicroseconds != 0) return false;
  *value = static_cast<int32_t>(cell.integer / kDayMicroseconds);
  return true;
}

bool ToTime(const ArrowCell& cell, int64_t* value) {
  if (cell.kind == CellKind::kTime) {
    *value = cell.integer;
    return true;
  }
  return cell.kind == CellKind::kDate &&
         !__builtin_mul_overflow(cell.integer, kDayMicroseconds, value);
}

bool ToText(const ArrowCell& cell, int row, Column* out) {
  if (cell.kind == CellKind::kText && IsValidUtf8(cell.text)) {
    out->strings()[row] = cell.text;  // lives as long as the foreign array
  } else if (cell.kind == CellKind::kInt) {
    out->strings()[row] = out->Intern(std::to_string(cell.integer));
  } else {
    return false;
  }
  return true;
}

bool Write(const ArrowCell& cell, int row, Type type, Column* out) {
  switch (type) {
    case Type::kBoolean: {
      int64_t value = 0;
      if (!ToInt(cell, &value) || value < 0 || value > 1) return false;
      out->booleans()[row] = static_cast<uint8_t>(value);
      return true;
    }
    case Type::kInt64:
      return ToInt(cell, &out->ints()[row]);
    case Type::kDouble:
      return ToDouble(cell, &out->doubles()[row]);
    case Type::kString:
      return ToText(cell, row, out);
    case Type::kDate:
      return ToDay(cell, &out->dates()[row]);
    case Type::kTimestamp:
      return ToTime(cell, &out->ints()[row]);
  }
  return false;
}

std::string CellText(const ArrowCell& cell) {
  switch (cell.kind) {
    case CellKind::kDouble:
      return FormatDouble(cell.number);
    case CellKind::kUint:
      return std::to_string(cell.large);
    case CellKind::kText:
      return fmt::format("'{}'", IsValidUtf8(cell.text) ? cell.text.substr(0, 60) : "not UTF-8");
    case CellKind::kBoolean:
      return cell.integer != 0 ? "true" : "false";
    case CellKind::kTime:
      return "a time of day";
    default:
      return std::to_string(cell.integer);
  }
}

}  // namespace

Status ReadCells(const ArrowColumn& column, int64_t begin, int rows, Type type, Column* out) {
  out->Reset(type);
  ArrowCell cell;
  for (int row = 0; row < rows; ++row) {
    const auto where = [&] { return fmt::format("row {}", begin + row); };
    if (Status status = ReadCell(column, begin + row, &cell); !status.ok())
      return status.error().Within(where());
    // As in every other input, the empty text is missing. NaN of a column of whole numbers or
    // booleans is how pandas says missing.
    if (cell.kind == CellKind::kNull || (cell.kind == CellKind::kText && cell.text.empty()) ||
        (cell.kind == CellKind::kDouble && std::isnan(cell.number) && type != Type::kDouble)) {
      continue;
    }
    if (!Write(cell, row, type, out)) {
      return InvalidArgument(fmt::format("row {}: {} is not of type {}", begin + row,
                                         CellText(cell), slipway::TypeName(type)));
    }
    out->SetValid(row);
  }
  return {};
}

}  // namespace slipway
