// The data path's unit: at most kBatchRows rows as borrowed column spans with validity bits.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "slipway/table/schema.h"

namespace slipway {

inline constexpr int kBatchRows = 2048;

// A borrowed column of `rows` values (the count is the batch's). Element types:
//   boolean uint8_t (0 or 1), int64 int64_t, double double, string std::string_view (UTF-8),
//   date int32_t (days since 1970-01-01), timestamp int64_t (microseconds since 1970-01-01 UTC).
// Bit i%64 of validity[i/64] set: row i is present; validity == nullptr: all are. What stands in
// `data` at a null is arbitrary but initialised (a string_view there may be empty). data ==
// nullptr: the column was not asked for. Doubles may be NaN, which means missing everywhere
// downstream.
struct ColumnView {
  Type type = Type::kString;
  const void* data = nullptr;
  const uint64_t* validity = nullptr;

  bool valid(int row) const {
    return validity == nullptr || (validity[row >> 6] >> (row & 63) & 1) != 0;
  }
  template <typename T>
  const T* as() const {
    return static_cast<const T*>(data);
  }
  const uint8_t* booleans() const { return as<uint8_t>(); }
  const int64_t* ints() const { return as<int64_t>(); }  // int64 and timestamp
  const double* doubles() const { return as<double>(); }
  const std::string_view* strings() const { return as<std::string_view>(); }
  const int32_t* dates() const { return as<int32_t>(); }
};

// Borrowed rows, valid for the call that receives it.
struct Batch {
  const Schema* schema = nullptr;
  int rows = 0;
  int64_t first_row = -1;  // 0-based number of the first row in its source; -1: not known
  std::span<const ColumnView> columns;  // one per field of *schema
  // When the rows came from CSV: their own text without the line end, which is the leading
  // `row_text_columns` columns in the source's dialect; else empty. A CSV writer of the same
  // dialect copies it through.
  std::span<const std::string_view> row_text;
  int row_text_columns = 0;
};

// An owned column of up to kBatchRows rows, refilled batch after batch without allocating once
// warm. Confined to one thread.
class Column {
 public:
  Column() = default;
  explicit Column(Type type) { Reset(type); }
  Column(Column&&) = default;
  Column& operator=(Column&&) = default;

  // All rows null, strings forgotten.
  void Reset(Type type);
  // The same for who writes every row: the storage keeps what it holds. Texts in it are dead.
  void Forget();
  Type type() const { return type_; }

  // Mutable storage of the type's element (see ColumnView); writing does not set validity.
  uint8_t* booleans() { return As<uint8_t>(); }
  int64_t* ints() { return As<int64_t>(); }
  double* doubles() { return As<double>(); }
  std::string_view* strings() { return As<std::string_view>(); }
  int32_t* dates() { return As<int32_t>(); }

  uint64_t* validity() { return validity_; }
  bool valid(int row) const { return (validity_[row >> 6] >> (row & 63) & 1) != 0; }
  void SetValid(int row) { validity_[row >> 6] |= uint64_t{1} << (row & 63); }
  void SetNull(int row) { validity_[row >> 6] &= ~(uint64_t{1} << (row & 63)); }
  void SetAllValid() { std::memset(validity_, 0xFF, sizeof validity_); }

  // Copies the text into the column's own arena; lives until Reset.
  std::string_view Intern(std::string_view text);

  ColumnView View() const { return {type_, storage_.get(), validity_}; }

 private:
  template <typename T>
  T* As() {
    return reinterpret_cast<T*>(storage_.get());
  }
  struct Block {
    std::unique_ptr<char[]> bytes;
    size_t size = 0;
  };

  Type type_ = Type::kString;
  std::unique_ptr<uint64_t[]> storage_;  // kBatchRows * 16 bytes: room for any element type
  uint64_t validity_[kBatchRows / 64] = {};
  std::vector<Block> blocks_;
  size_t block_ = 0;  // the block being filled
  size_t used_ = 0;
};

// Owned rows: a Schema and its Columns. `View()` is valid until the next change.
class OwnedBatch {
 public:
  explicit OwnedBatch(Schema schema);
  OwnedBatch(const OwnedBatch&) = delete;
  OwnedBatch& operator=(const OwnedBatch&) = delete;
  void Reset();
  // Deep copy of borrowed rows (the schemas must be equal; columns not asked for become null).
  void CopyFrom(const Batch& batch);
  const Schema& schema() const { return schema_; }
  Column& column(int i) { return columns_[static_cast<size_t>(i)]; }
  int rows = 0;
  int64_t first_row = 0;
  Batch View();

 private:
  Schema schema_;
  std::vector<Column> columns_;
  std::vector<ColumnView> views_;
};

}  // namespace slipway
