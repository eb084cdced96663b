#include "slipway/capi/arrow_column.h"

#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include <fmt/format.h>

namespace slipway {
namespace {

using ColumnKind = ArrowColumn::Kind;

// Far above any array, far below what multiplying by a value's size could overflow.
constexpr int64_t kMaxArrayRows = int64_t{1} << 48;
constexpr int64_t kMaxViewBuffers = 1 << 20;

struct Format {
  ColumnKind kind = ColumnKind::kNull;
  ValueType number = ValueType::kFloat64;
  char unit = 'u';
};

std::optional<Format> ParseFormat(std::string_view format) {
  if (format.size() == 1) {
    switch (format[0]) {
      case 'n':
        return Format{ColumnKind::kNull};
      case 'b':
        return Format{ColumnKind::kBoolean};
      case 'c':
        return Format{ColumnKind::kNumber, ValueType::kInt8};
      case 'C':
        return Format{ColumnKind::kNumber, ValueType::kUint8};
      case 's':
        return Format{ColumnKind::kNumber, ValueType::kInt16};
      case 'S':
        return Format{ColumnKind::kNumber, ValueType::kUint16};
      case 'i':
        return Format{ColumnKind::kNumber, ValueType::kInt32};
      case 'I':
        return Format{ColumnKind::kNumber, ValueType::kUint32};
      case 'l':
        return Format{ColumnKind::kNumber, ValueType::kInt64};
      case 'L':
        return Format{ColumnKind::kNumber, ValueType::kUint64};
      case 'e':
        return Format{ColumnKind::kHalf};
      case 'f':
        return Format{ColumnKind::kNumber, ValueType::kFloat32};
      case 'g':
        return Format{ColumnKind::kNumber, ValueType::kFloat64};
      case 'u':
        return Format{ColumnKind::kText32};
      case 'U':
        return Format{ColumnKind::kText64};
      default:
        return std::nullopt;
    }
  }
  if (format == "vu") return Format{ColumnKind::kTextView};
  if (format == "tdD") return Format{ColumnKind::kDate32};
  if (format == "tdm") return Format{ColumnKind::kDate64};
  if (format.size() >= 4 && format.starts_with("ts") && format[3] == ':' &&
      std::string_view("smun").find(format[2]) != std::string_view::npos) {
    return Format{ColumnKind::kTimestamp, ValueType::kInt64, format[2]};
  }
  return std::nullopt;
}

int64_t BufferCount(ColumnKind kind) {
  switch (kind) {
    case ColumnKind::kNull:
      return 0;
    case ColumnKind::kText32:
    case ColumnKind::kText64:
      return 3;
    default:
      return 2;
  }
}

std::string Shown(const char* text) { return std::string(text).substr(0, 40); }

Status TakeViewBuffers(const ArrowArray& array, ArrowColumn* column) {
  column->view_count = array.n_buffers - 3;
  column->view_buffers = array.buffers + 2;
  column->view_sizes = static_cast<const int64_t*>(array.buffers[array.n_buffers - 1]);
  if (column->view_count > 0 && column->view_sizes == nullptr)
    return InvalidArgument("the sizes of its text buffers are missing");
  return {};
}

Result<ArrowColumn> MakeColumn(const ArrowSchema& schema, const ArrowArray& array, int64_t first,
                               int64_t rows, bool in_dictionary) {
  if (schema.format == nullptr) return InvalidArgument("the schema has no format");
  const std::optional<Format> format = ParseFormat(schema.format);
  if (!format) {
    return InvalidArgument(fmt::format("Arrow type '{}' cannot be scored", Shown(schema.format)),
                           "cast it to a number, a boolean, a text, a date or a timestamp");
  }
  if (array.length < 0 || array.offset < 0 || array.length > kMaxArrayRows ||
      array.offset > kMaxArrayRows) {
    return InvalidArgument(fmt::format("length {} and offset {}", array.length, array.offset));
  }
  if (first < 0 || rows < 0 || first > array.length || rows > array.length - first) {
    return InvalidArgument(
        fmt::format("{} values for rows {} to {}", array.length, first, first + rows));
  }
  ArrowColumn column;
  column.kind = format->kind;
  column.number = format->number;
  column.unit = format->unit;
  column.length = rows;
  column.offset = array.offset + first;
  if (column.kind != ColumnKind::kNull) {
    const bool view = column.kind == ColumnKind::kTextView;
    if (view ? array.n_buffers < 3 || array.n_buffers > kMaxViewBuffers
             : array.n_buffers != BufferCount(column.kind)) {
      return InvalidArgument(
          fmt::format("{} buffers for Arrow type '{}'", array.n_buffers, Shown(schema.format)));
    }
    if (array.buffers == nullptr) return InvalidArgument("its buffers are NULL");
    if (array.null_count != 0) column.validity = static_cast<const uint8_t*>(array.buffers[0]);
    column.values = array.buffers[1];
    if (column.values == nullptr && rows > 0) return InvalidArgument("its values are NULL");
    if (view) {
      RETURN_IF_ERROR(TakeViewBuffers(array, &column));
    } else if (array.n_buffers == 3) {
      column.text = static_cast<const char*>(array.buffers[2]);
    }
  }
  if ((schema.dictionary == nullptr) != (array.dictionary == nullptr))
    return InvalidArgument("schema and array do not agree on a dictionary");
  if (schema.dictionary == nullptr) return column;
  if (in_dictionary) return InvalidArgument("its dictionary has a dictionary");
  if (column.kind != ColumnKind::kNumber || column.number == ValueType::kFloat64 ||
      column.number == ValueType::kFloat32) {
    return InvalidArgument("the indices of its dictionary are not integers");
  }
  Result<ArrowColumn> values =
      MakeColumn(*schema.dictionary, *array.dictionary, 0, array.dictionary->length, true);
  if (!values.ok()) return values.error().Within("dictionary");
  column.dictionary = std::make_shared<const ArrowColumn>(std::move(*values));
  return column;
}

template <typename T>
T At(const void* values, int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(values) + index * static_cast<int64_t>(sizeof value),
              sizeof value);
  return value;
}

double HalfToDouble(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const double mantissa = bits & 1023;
  double value = 0;
  if (exponent == 31) {
    value = mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                          : std::numeric_limits<double>::infinity();
  } else if (exponent == 0) {
    value = mantissa * 0x1p-24;
  } else {
    value = (1024 + mantissa) * std::bit_cast<double>(static_cast<uint64_t>(exponent + 998) << 52);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

void ReadNumber(const ArrowColumn& column, int64_t at, ArrowCell* cell) {
  const auto integer = [&](int64_t value) {
    cell->kind = ArrowCell::Kind::kInt;
    cell->integer = value;
  };
  switch (column.number) {
    case ValueType::kFloat64:
      cell->kind = ArrowCell::Kind::kDouble;
      cell->number = At<double>(column.values, at);
      return;
    case ValueType::kFloat32:
      cell->kind = ArrowCell::Kind::kDouble;
      cell->number = static_cast<double>(At<float>(column.values, at));
      return;
    case ValueType::kInt8:
      return integer(At<int8_t>(column.values, at));
    case ValueType::kInt16:
      return integer(At<int16_t>(column.values, at));
    case ValueType::kInt32:
      return integer(At<int32_t>(column.values, at));
    case ValueType::kInt64:
      return integer(At<int64_t>(column.values, at));
    case ValueType::kUint8:
      return integer(At<uint8_t>(column.values, at));
    case ValueType::kUint16:
      return integer(At<uint16_t>(column.values, at));
    case ValueType::kUint32:
      return integer(At<uint32_t>(column.values, at));
    case ValueType::kUint64: {
      const uint64_t value = At<uint64_t>(column.values, at);
      if (value <= static_cast<uint64_t>(INT64_MAX)) return integer(static_cast<int64_t>(value));
      cell->kind = ArrowCell::Kind::kUint;
      cell->large = value;
      return;
    }
  }
}

Status ReadView(const ArrowColumn& column, int64_t at, ArrowCell* cell) {
  const char* view = static_cast<const char*>(column.values) + at * 16;
  const int32_t size = At<int32_t>(view, 0);
  if (size < 0) return InvalidArgument(fmt::format("a text of {} bytes", size));
  if (size <= 12) {
    cell->text = {view + 4, static_cast<size_t>(size)};
    return {};
  }
  const int32_t buffer = At<int32_t>(view, 2), begin = At<int32_t>(view, 3);
  if (buffer < 0 || buffer >= column.view_count || begin < 0 ||
      column.view_buffers[buffer] == nullptr || size > column.view_sizes[buffer] ||
      begin > column.view_sizes[buffer] - size) {
    return InvalidArgument("a text lies outside of its buffer");
  }
  cell->text = {static_cast<const char*>(column.view_buffers[buffer]) + begin,
                static_cast<size_t>(size)};
  return {};
}

Status ReadText(const ArrowColumn& column, int64_t at, ArrowCell* cell) {
  cell->kind = ArrowCell::Kind::kText;
  if (column.kind == ColumnKind::kTextView) return ReadView(column, at, cell);
  int64_t begin = 0, end = 0;
  if (column.kind == ColumnKind::kText32) {
    begin = At<int32_t>(column.values, at);
    end = At<int32_t>(column.values, at + 1);
  } else {
    begin = At<int64_t>(column.values, at);
    end = At<int64_t>(column.values, at + 1);
  }
  if (begin < 0 || end < begin || (column.text == nullptr && end > begin))
    return InvalidArgument(fmt::format("a text from byte {} to {}", begin, end));
  if (end > begin) cell->text = {column.text + begin, static_cast<size_t>(end - begin)};
  return {};
}

int64_t FloorDivide(int64_t value, int64_t by) { return value / by - (value % by < 0 ? 1 : 0); }

Status ReadTime(const ArrowColumn& column, int64_t at, ArrowCell* cell) {
  cell->kind = ArrowCell::Kind::kTime;
  const int64_t value = At<int64_t>(column.values, at);
  const int64_t scale = column.unit == 's' ? 1'000'000 : column.unit == 'm' ? 1'000 : 1;
  cell->integer = column.unit == 'n' ? FloorDivide(value, 1'000) : 0;
  if (column.unit != 'n' && __builtin_mul_overflow(value, scale, &cell->integer))
    return InvalidArgument(fmt::format("the time {} is beyond what microseconds hold", value));
  return {};
}

constexpr int64_t kDayMilliseconds = 86'400'000;

}  // namespace

std::string_view ArrowColumn::TypeName() const {
  if (dictionary != nullptr) return dictionary->TypeName();
  switch (kind) {
    case ColumnKind::kNull:
      return "null";
    case ColumnKind::kNumber:
      return number == ValueType::kFloat64 || number == ValueType::kFloat32 ? "floating-point"
                                                                            : "integer";
    case ColumnKind::kHalf:
      return "floating-point";
    case ColumnKind::kBoolean:
      return "boolean";
    case ColumnKind::kText32:
    case ColumnKind::kText64:
    case ColumnKind::kTextView:
      return "text";
    case ColumnKind::kDate32:
    case ColumnKind::kDate64:
      return "date";
    case ColumnKind::kTimestamp:
      return "timestamp";
  }
  return "unknown";
}

Result<ArrowColumn> MakeArrowColumn(const ArrowSchema& schema, const ArrowArray& array,
                                    int64_t first, int64_t rows) {
  return MakeColumn(schema, array, first, rows, false);
}

Status ReadCell(const ArrowColumn& column, int64_t row, ArrowCell* cell) {
  cell->kind = ArrowCell::Kind::kNull;
  cell->text = {};
  if (column.kind == ColumnKind::kNull || !column.valid(row)) return {};
  const int64_t at = column.offset + row;
  switch (column.kind) {
    case ColumnKind::kNull:
      return {};
    case ColumnKind::kNumber:
      ReadNumber(column, at, cell);
      break;
    case ColumnKind::kHalf:
      cell->kind = ArrowCell::Kind::kDouble;
      cell->number = HalfToDouble(At<uint16_t>(column.values, at));
      break;
    case ColumnKind::kBoolean:
      cell->kind = ArrowCell::Kind::kBoolean;
      cell->integer = static_cast<const uint8_t*>(column.values)[at >> 3] >> (at & 7) & 1;
      break;
    case ColumnKind::kText32:
    case ColumnKind::kText64:
    case ColumnKind::kTextView:
      return ReadText(column, at, cell);
    case ColumnKind::kDate32:
      cell->kind = ArrowCell::Kind::kDate;
      cell->integer = At<int32_t>(column.values, at);
      break;
    case ColumnKind::kDate64:
      cell->kind = ArrowCell::Kind::kDate;
      cell->integer = FloorDivide(At<int64_t>(column.values, at), kDayMilliseconds);
      if (cell->integer != static_cast<int32_t>(cell->integer))
        return InvalidArgument("a date beyond the calendar");
      break;
    case ColumnKind::kTimestamp:
      return ReadTime(column, at, cell);
  }
  if (column.dictionary == nullptr) return {};
  if (cell->kind != ArrowCell::Kind::kInt || cell->integer < 0 ||
      cell->integer >= column.dictionary->length) {
    return InvalidArgument(
        fmt::format("index {} of a dictionary of {}", cell->integer, column.dictionary->length));
  }
  return ReadCell(*column.dictionary, cell->integer, cell);
}

bool IsNumeric(const ArrowColumn& column) {
  if (column.dictionary != nullptr) return IsNumeric(*column.dictionary);
  return column.kind == ColumnKind::kNull || column.kind == ColumnKind::kNumber ||
         column.kind == ColumnKind::kHalf || column.kind == ColumnKind::kBoolean;
}

bool AsFeatureColumn(const ArrowColumn& column, FeatureColumn* feature) {
  if (column.dictionary != nullptr) return false;
  if (column.kind == ColumnKind::kNull || column.length == 0) {
    *feature = FeatureColumn{};
    return true;
  }
  if (column.kind != ColumnKind::kNumber) return false;
  static constexpr int64_t kWidth[] = {8, 4, 1, 2, 4, 8, 1, 2, 4, 8};
  feature->type = column.number;
  feature->stride = kWidth[static_cast<size_t>(column.number)];
  feature->data = static_cast<const char*>(column.values) + column.offset * feature->stride;
  feature->validity = column.validity;
  feature->validity_offset = column.offset;
  return true;
}

Status ReadNumbers(const ArrowColumn& column, int64_t begin, int64_t rows, double* out) {
  FeatureColumn feature;
  if (AsFeatureColumn(column, &feature)) {
    ReadValues(feature, begin, rows, out);
    return {};
  }
  ArrowCell cell;
  for (int64_t row = 0; row < rows; ++row) {
    RETURN_IF_ERROR(ReadCell(column, begin + row, &cell));
    switch (cell.kind) {
      case ArrowCell::Kind::kDouble:
        out[row] = cell.number;
        break;
      case ArrowCell::Kind::kInt:
      case ArrowCell::Kind::kBoolean:
        out[row] = static_cast<double>(cell.integer);
        break;
      case ArrowCell::Kind::kUint:
        out[row] = static_cast<double>(cell.large);
        break;
      default:
        out[row] = std::numeric_limits<double>::quiet_NaN();
    }
  }
  return {};
}

}  // namespace slipway
