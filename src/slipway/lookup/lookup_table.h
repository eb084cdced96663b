// Key tables of lookup endpoints and enrichments: one immutable file, memory-mapped, with a hash
// index over its key columns. A million rows cost address space and page cache, no heap; a lookup
// touches a few cache lines. Format: docs/package-format.md. Foreign bytes: everything that a
// lookup follows is checked by Open, so that Find and Read cannot leave the mapping.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/table/batch.h"
#include "slipway/table/schema.h"

namespace slipway {

// Immutable and thread-safe.
class LookupTable {
 public:
  static Result<std::shared_ptr<const LookupTable>> Open(const std::string& path);
  virtual ~LookupTable() = default;

  virtual const Schema& schema() const = 0;  // every column, keys among them
  // The key columns as indices into schema(), in the order that Find takes values.
  virtual std::span<const int> keys() const = 0;
  virtual int64_t rows() const = 0;
  virtual int64_t file_bytes() const = 0;

  struct Match {
    int64_t row = -1;  // the first matching row in the table's order; -1: none
    bool several = false;
  };
  // `values[i]` row `at`, of the type of key i (schema().fields[keys()[i]].type); all present: a
  // missing value is in no key. Doubles compare by value, -0.0 equals 0.0.
  virtual Match Find(std::span<const ColumnView> values, int at) const = 0;

  // Copies cell (row, column) to `to_row` of `out`, whose type is the column's; a null becomes a
  // null. Texts point into the mapping and live as long as the table.
  virtual void Read(int64_t row, int column, int to_row, Column* out) const = 0;
};

// Writes a table file. Rows are kept in memory until Finish (bounded: kCorruption never, but
// kInvalidArgument above `max_bytes` of text and cells). Confined to one thread.
class LookupTableWriter {
 public:
  // `keys`: names of key columns, at least one, of any type; a row with a missing
  // key value is an error that names its number.
  static Result<std::unique_ptr<LookupTableWriter>> Make(const Schema& schema,
                                                         const std::vector<std::string>& keys,
                                                         int64_t max_bytes = int64_t{4} << 30);
  virtual ~LookupTableWriter() = default;
  virtual Status Add(const Batch& batch) = 0;
  // The same rows give the same bytes.
  virtual Status Finish(const std::string& path) = 0;
};

}  // namespace slipway
