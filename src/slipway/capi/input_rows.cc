#include "slipway/capi/input_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr int64_t kMaxColumns = 10'000'000;
constexpr int64_t kMaxBatchRows = int64_t{1} << 40;

Error InColumn(const Error& error, std::string_view name) {
  return error.Within(fmt::format("column '{}'", name.substr(0, 60)));
}

// Name -> place among the children; -1: the name stands twice.
Result<std::map<std::string_view, int64_t>> Places(const ArrowSchema& schema) {
  if (schema.n_children < 0 || schema.n_children > kMaxColumns)
    return InvalidArgument(fmt::format("the record batch has {} columns", schema.n_children));
  if (schema.n_children > 0 && schema.children == nullptr)
    return InvalidArgument("the record batch's columns are NULL");
  std::map<std::string_view, int64_t> places;
  for (int64_t i = 0; i < schema.n_children; ++i) {
    const ArrowSchema* child = schema.children[i];
    if (child == nullptr || child->release == nullptr)
      return InvalidArgument(fmt::format("column {} of the record batch is NULL or released", i));
    const auto [found, added] = places.try_emplace(child->name == nullptr ? "" : child->name, i);
    if (!added) found->second = -1;
  }
  return places;
}

Status CheckStruct(const ArrowSchema* schema, const ArrowArray* batch) {
  if (schema == nullptr || batch == nullptr || schema->release == nullptr ||
      batch->release == nullptr) {
    return InvalidArgument("the record batch or its schema is NULL or released");
  }
  if (schema->format == nullptr || std::string_view(schema->format) != "+s")
    return InvalidArgument("not a record batch: its Arrow type is not a struct ('+s')");
  if (batch->n_children != schema->n_children ||
      (batch->n_children > 0 && batch->children == nullptr)) {
    return InvalidArgument(fmt::format("the record batch has {} columns and its schema {}",
                                       batch->n_children, schema->n_children));
  }
  if (batch->length < 0 || batch->offset < 0 || batch->length > kMaxBatchRows ||
      batch->offset > kMaxBatchRows) {
    return InvalidArgument(
        fmt::format("the record batch has length {} and offset {}", batch->length, batch->offset));
  }
  if (batch->null_count == 0 || batch->n_buffers < 1 || batch->buffers == nullptr ||
      batch->buffers[0] == nullptr) {
    return {};
  }
  const uint8_t* validity = static_cast<const uint8_t*>(batch->buffers[0]);
  for (int64_t bit = batch->offset; bit < batch->offset + batch->length; ++bit) {
    if ((validity[bit >> 3] >> (bit & 7) & 1) == 0) {
      return InvalidArgument(
          fmt::format("row {} of the record batch is null as a whole", bit - batch->offset),
          "let its columns be null instead");
    }
  }
  return {};
}

Error MissingColumns(const std::vector<std::string>& missing,
                     const std::map<std::string_view, int64_t>& places) {
  std::vector<std::string> given;
  for (const auto& [name, place] : places) given.emplace_back(name.substr(0, 60));
  std::string hint = missing.size() == 1 ? DidYouMean(missing[0], given) : "";
  if (hint.empty()) {
    hint = given.empty() ? "the data has no columns"
                         : fmt::format("the data has {}", QuotedList(given));
  }
  return InvalidArgument(
      fmt::format("{} the model needs {} missing: {}",
                  missing.size() == 1 ? "a column that" : "columns that",
                  missing.size() == 1 ? "is" : "are", QuotedList(missing, missing.size())),
      hint);
}

// A category's text as pandas_categorical has it: 1.0 and 1 are different there, and a column of
// floats holds whole numbers as 1.0.
std::string CategoryText(const ArrowCell& cell) {
  switch (cell.kind) {
    case ArrowCell::Kind::kText:
      return std::string(cell.text);
    case ArrowCell::Kind::kBoolean:
      return cell.integer != 0 ? "true" : "false";
    case ArrowCell::Kind::kUint:
      return std::to_string(cell.large);
    case ArrowCell::Kind::kDouble: {
      const std::string text = FormatDouble(cell.number);
      return text.find_first_not_of("-0123456789") == std::string::npos ? text + ".0" : text;
    }
    default:
      return std::to_string(cell.integer);
  }
}

Error WrongType(const ArrowColumn& column, const Field& input) {
  return InvalidArgument(
      fmt::format("it is of type {} and the model takes {}", column.TypeName(),
                  input.type == Type::kString ? "categories" : TypeName(input.type)));
}

// Which foreign types can be values of ours; single cells may still not be.
bool Suits(const ArrowColumn& column, Type type) {
  if (column.dictionary != nullptr) return Suits(*column.dictionary, type);
  using Kind = ArrowColumn::Kind;
  switch (column.kind) {
    case Kind::kNull:
      return true;
    case Kind::kNumber:
    case Kind::kHalf:
      return type == Type::kDouble || type == Type::kInt64 || type == Type::kBoolean ||
             (type == Type::kString && column.TypeName() == "integer");
    case Kind::kBoolean:
      return type == Type::kDouble || type == Type::kInt64 || type == Type::kBoolean;
    case Kind::kText32:
    case Kind::kText64:
    case Kind::kTextView:
      return type == Type::kString;
    case Kind::kDate32:
    case Kind::kDate64:
    case Kind::kTimestamp:
      return type == Type::kDate || type == Type::kTimestamp;
  }
  return false;
}

}  // namespace

Status InputRows::AddFeature(const Model& model, int feature, const ArrowColumn& column) {
  FeatureColumn& to = features_[static_cast<size_t>(feature)];
  const auto* codes = model.category_codes(feature);
  if (codes == nullptr) {
    if (!IsNumeric(column))
      return WrongType(column, model.inputs().fields[static_cast<size_t>(feature)]);
    if (AsFeatureColumn(column, &to)) return {};
    std::vector<double>& values = converted_.emplace_back(static_cast<size_t>(rows_));
    RETURN_IF_ERROR(ReadNumbers(column, 0, rows_, values.data()));
    to = {values.data(), sizeof(double)};
    return {};
  }
  std::vector<double>& values =
      converted_.emplace_back(static_cast<size_t>(rows_), std::numeric_limits<double>::quiet_NaN());
  const auto code_of = [&](const ArrowCell& cell) {
    if (cell.kind == ArrowCell::Kind::kNull) return std::numeric_limits<double>::quiet_NaN();
    return codes->Find(CategoryText(cell));
  };
  ArrowCell cell;
  for (int64_t row = 0; row < rows_; ++row) {
    if (Status status = ReadCell(column, row, &cell); !status.ok())
      return status.error().Within(fmt::format("row {}", row));
    values[static_cast<size_t>(row)] = code_of(cell);
  }
  to = {values.data(), sizeof(double)};
  return {};
}

Result<InputRows> InputRows::FromArrow(const Model& model, const ArrowSchema* schema,
                                       const ArrowArray* batch) {
  RETURN_IF_ERROR(CheckStruct(schema, batch));
  ASSIGN_OR_RETURN(const auto places, Places(*schema));
  const std::vector<Field>& inputs = model.inputs().fields;
  std::vector<std::string> missing;
  for (const Field& input : inputs) {
    if (!places.contains(input.name)) missing.push_back(input.name);
  }
  if (!missing.empty()) return MissingColumns(missing, places);
  InputRows rows;
  rows.rows_ = batch->length;
  const bool bare = model.pipeline() == nullptr;
  if (bare) rows.features_.resize(inputs.size());
  std::vector<uint8_t> used(inputs.size(), bare ? 0 : 1);
  if (bare) {
    for (const int32_t feature : model.engine().used_features())
      used[static_cast<size_t>(feature)] = 1;
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string& name = inputs[i].name;
    const int64_t place = places.find(name)->second;
    if (place < 0) return InColumn(InvalidArgument("the name stands twice"), name);
    const ArrowArray* array = batch->children[place];
    if (array == nullptr || array->release == nullptr)
      return InColumn(InvalidArgument("it is NULL or released"), name);
    Result<ArrowColumn> column =
        MakeArrowColumn(*schema->children[place], *array, batch->offset, batch->length);
    if (!column.ok()) return InColumn(column.error(), name);
    if (!bare) {
      if (!Suits(*column, inputs[i].type)) return InColumn(WrongType(*column, inputs[i]), name);
      rows.columns_.push_back(std::move(*column));
      continue;
    }
    if (used[i] == 0) continue;
    if (Status status = rows.AddFeature(model, static_cast<int>(i), *column); !status.ok())
      return InColumn(status.error(), name);
  }
  return rows;
}

Result<InputRows> InputRows::FromColumns(const Model& model,
                                         std::span<const slipway_column> columns, int64_t rows) {
  const std::vector<Field>& inputs = model.inputs().fields;
  if (columns.size() != inputs.size()) {
    return InvalidArgument(
        fmt::format("{} columns were given and the model takes {}", columns.size(), inputs.size()));
  }
  if (rows < 0 || rows > kMaxBatchRows) return InvalidArgument(fmt::format("{} rows", rows));
  InputRows taken;
  taken.rows_ = rows;
  for (size_t i = 0; i < columns.size(); ++i) {
    const slipway_column& column = columns[i];
    if (column.type < SLIPWAY_FLOAT64 || column.type > SLIPWAY_UINT64)
      return InvalidArgument(fmt::format("column {} is of the unknown type {}", i, column.type));
    if (column.validity != nullptr && column.validity_offset < 0)
      return InvalidArgument(fmt::format("column {}'s validity begins at a negative bit", i));
    if (model.pipeline() != nullptr &&
        (inputs[i].type == Type::kString || inputs[i].type == Type::kDate ||
         inputs[i].type == Type::kTimestamp)) {
      return InvalidArgument(fmt::format("input '{}' is of type {}, which plain numbers cannot be",
                                         inputs[i].name, TypeName(inputs[i].type)),
                             "give the rows as Arrow or as a data frame");
    }
    taken.features_.push_back({column.data, column.stride, static_cast<ValueType>(column.type),
                               column.validity, column.validity_offset});
  }
  return taken;
}

Result<InputRows> InputRows::FromMatrix(const Model& model, const slipway_matrix& matrix) {
  const size_t inputs = model.inputs().fields.size();
  if (matrix.columns < 0 || static_cast<uint64_t>(matrix.columns) != inputs) {
    return InvalidArgument(
        fmt::format("the matrix has {} columns and the model takes {}", matrix.columns, inputs));
  }
  if (matrix.data == nullptr && matrix.rows > 0 && inputs > 0)
    return InvalidArgument("the matrix is NULL");
  std::vector<slipway_column> columns(inputs);
  for (size_t i = 0; i < inputs; ++i) {
    columns[i].type = matrix.type;
    columns[i].stride = matrix.row_stride;
    if (matrix.data != nullptr) {
      columns[i].data =
          static_cast<const char*>(matrix.data) + static_cast<int64_t>(i) * matrix.column_stride;
    }
  }
  return FromColumns(model, columns, matrix.rows);
}

Status InputRows::Fill(int64_t begin, int rows, OwnedBatch* batch) const {
  const std::vector<Field>& inputs = batch->schema().fields;
  batch->rows = rows;
  batch->first_row = begin;
  std::vector<double> values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Column* out = &batch->column(static_cast<int>(i));
    if (!columns_.empty()) {
      if (Status status = ReadCells(columns_[i], begin, rows, inputs[i].type, out); !status.ok())
        return InColumn(status.error(), inputs[i].name);
      continue;
    }
    // Plain numbers take the same way: as a column of doubles.
    values.resize(static_cast<size_t>(rows));
    ReadValues(features_[i], begin, rows, values.data());
    ArrowColumn column;
    column.kind = ArrowColumn::Kind::kNumber;
    column.length = rows;
    column.values = values.data();
    if (Status status = ReadCells(column, 0, rows, inputs[i].type, out); !status.ok())
      return InColumn(status.error(), inputs[i].name);
  }
  return {};
}

}  // namespace slipway
