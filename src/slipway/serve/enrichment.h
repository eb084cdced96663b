// Tables that records meet before they are scored, or that lookup endpoints answer from: key fields
// of the record are looked up, and the row's columns fill further fields (docs/user-api.md).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/lookup/lookup_table.h"
#include "slipway/package/package.h"
#include "slipway/serve/endpoint.h"
#include "slipway/serve/record_reader.h"
#include "slipway/table/batch.h"

namespace slipway {

// What became of one record at one table.
struct EnrichmentOutcome {
  std::string_view ignore_reason;  // not empty: the record is not scored
  std::optional<Error> error;      // of policy `error`, or a value that does not fit
};

// One table of a package and where its keys and columns lie in a layout. Immutable and thread-safe
// with one scratch per thread.
class TableJoin {
 public:
  // Working memory: one cell per key and looked-up column.
  struct Scratch {
    std::vector<Column> cells;  // what the table gives, one per use.columns
    std::vector<ColumnView> keys;
    std::string text;
  };

  static Result<TableJoin> Open(const TableUse& use, const std::string& folder);
  const TableUse& use() const { return use_; }
  const LookupTable& table() const { return *table_; }
  // The fields that it reads from a record, with the table's types.
  std::vector<Field> key_fields() const;
  // The fields that it fills, with the table's types.
  std::vector<Field> looked_up_fields() const;
  // Says where both lie; `columns` has one entry per looked-up field, -1: nobody reads it.
  void Bind(std::vector<int> keys, std::vector<int> columns);

  std::unique_ptr<Scratch> MakeScratch() const;
  // The row of the record's key values, or -1 with *outcome as the policies say (empty under
  // `continue`).
  int64_t Find(const RecordRows& rows, int row, Scratch* scratch, EnrichmentOutcome* outcome) const;
  // Copies the table's row into scratch->cells[..] row 0.
  void Read(int64_t table_row, Scratch* scratch) const;
  // Fills the bound columns of the record that have no value yet from scratch->cells (after Read).
  // Texts lie in the table or the arena.
  void Give(const RecordLayout& layout, RecordRows* rows, int row, TextArena* arena,
            Scratch* scratch, EnrichmentOutcome* outcome) const;
  // Find, Read and Give, unless the record lacks nothing.
  void Fill(const RecordLayout& layout, RecordRows* rows, int row, TextArena* arena,
            Scratch* scratch, EnrichmentOutcome* outcome) const;

 private:
  TableJoin() = default;
  TableUse use_;
  std::shared_ptr<const LookupTable> table_;
  std::vector<int> sources_;  // per use.columns: the table's column
  std::vector<int> keys_, columns_;
};

}  // namespace slipway
