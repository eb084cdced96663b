// Feature values in whatever form they come.
#include <algorithm>
#include <cstring>
#include <limits>

#include "slipway/score/engine.h"

namespace slipway {
namespace {

template <typename T>
void Read(const FeatureColumn& column, int64_t begin, int64_t rows, double* values) {
  const char* from = static_cast<const char*>(column.data) + begin * column.stride;
  for (int64_t row = 0; row < rows; ++row) {
    T value;
    std::memcpy(&value, from, sizeof value);
    values[row] = static_cast<double>(value);
    from += column.stride;
  }
}

}  // namespace

void ReadValues(const FeatureColumn& column, int64_t begin, int64_t rows, double* values) {
  if (column.data == nullptr) {
    std::fill(values, values + rows, std::numeric_limits<double>::quiet_NaN());
    return;
  }
  switch (column.type) {
    case ValueType::kFloat64:
      Read<double>(column, begin, rows, values);
      break;
    case ValueType::kFloat32:
      Read<float>(column, begin, rows, values);
      break;
    case ValueType::kInt8:
      Read<int8_t>(column, begin, rows, values);
      break;
    case ValueType::kInt16:
      Read<int16_t>(column, begin, rows, values);
      break;
    case ValueType::kInt32:
      Read<int32_t>(column, begin, rows, values);
      break;
    case ValueType::kInt64:
      Read<int64_t>(column, begin, rows, values);
      break;
    case ValueType::kUint8:
      Read<uint8_t>(column, begin, rows, values);
      break;
    case ValueType::kUint16:
      Read<uint16_t>(column, begin, rows, values);
      break;
    case ValueType::kUint32:
      Read<uint32_t>(column, begin, rows, values);
      break;
    case ValueType::kUint64:
      Read<uint64_t>(column, begin, rows, values);
      break;
  }
  if (column.validity == nullptr) return;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t bit = column.validity_offset + begin + row;
    if ((column.validity[bit >> 3] >> (bit & 7) & 1) == 0)
      values[row] = std::numeric_limits<double>::quiet_NaN();
  }
}

double ReadValue(const FeatureColumn& column, int64_t row) {
  double value = 0;
  ReadValues(column, row, 1, &value);
  return value;
}

std::vector<FeatureColumn> RowMajorColumns(const double* features, int feature_count,
                                           int64_t stride) {
  std::vector<FeatureColumn> columns(static_cast<size_t>(feature_count));
  for (size_t i = 0; i < columns.size(); ++i) {
    columns[i].data = features + i;
    columns[i].stride = stride * static_cast<int64_t>(sizeof(double));
  }
  return columns;
}

}  // namespace slipway
