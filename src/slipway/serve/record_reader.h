// Records of requests into typed columns: from the bytes of a JSON object (or a query string)
// straight into rows that a model takes. What a value means is what a CSV cell of the same text
// means (table/cell.h, docs/values.md):
//   - number, true, false: their own text; a string: its content. null, NaN, Infinity, -Infinity,
//     "" and an absent feature are missing. Features that no column asks for are passed over.
//   - an object or array is its JSON text in a string column, else a bad value.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/serve/request_scan.h"
#include "slipway/table/batch.h"
#include "slipway/table/cell.h"

namespace slipway {

inline constexpr size_t kTypeWidths[] = {1, 8, 8, 16, 4, 8};  // bytes of a value, by Type

// The columns that records are read into. Immutable and thread-safe.
class RecordLayout {
 public:
  // A name may stand several times with different types: its value is read into each.
  explicit RecordLayout(std::vector<Field> columns);
  RecordLayout(const RecordLayout&) = delete;
  RecordLayout& operator=(const RecordLayout&) = delete;

  int size() const { return static_cast<int>(columns_.size()); }
  const Field& field(int column) const { return columns_[static_cast<size_t>(column)].field; }
  // The first column of the name, -1: none.
  int Find(std::string_view name) const;
  // The next column of the same name, -1: none.
  int Next(int column) const { return columns_[static_cast<size_t>(column)].next; }
  // What finding a likely key and reading a number need, close together.
  struct Likely {
    // "\"name\"" as JSON has it without escapes, 8 readable bytes behind; nullptr when it needs
    // some.
    const char* quoted = nullptr;
    uint32_t size = 0;
    bool plain_double = false;  // a double and the only column of the name
  };
  const Likely& likely(int column) const { return likely_[static_cast<size_t>(column)]; }

 private:
  struct Place {
    Field field;
    std::string quoted;  // with 8 bytes behind
    int next = -1;
  };
  std::vector<Place> columns_;
  std::vector<Likely> likely_;
  std::unordered_map<std::string_view, int> index_;
};

// Rows of a layout: storage for 1 or kBatchRows of them. Texts lie elsewhere (the body, an arena,
// a table). Confined to one thread.
class RecordRows {
 public:
  RecordRows(const RecordLayout& layout, int capacity);

  int capacity() const { return capacity_; }
  // Makes the row's values missing. REQUIRES: rows are begun in order, 0 first.
  void Begin(int row);
  // A column's storage at a row, of its type's element (table/batch.h).
  void* Cell(int column, int row) {
    const Place& place = places_[static_cast<size_t>(column)];
    return place.cells + static_cast<size_t>(row) * place.width;
  }
  void SetValid(int column, int row) {
    validity_[static_cast<size_t>(column) * words_ + static_cast<size_t>(row >> 6)] |=
        uint64_t{1} << (row & 63);
  }
  bool valid(int column, int row) const {
    return (validity_[static_cast<size_t>(column) * words_ + static_cast<size_t>(row >> 6)] >>
                (row & 63) &
            1) != 0;
  }
  // All columns; good until the object goes.
  std::span<const ColumnView> views() const { return views_; }

 private:
  struct Place {
    char* cells = nullptr;
    size_t width = 0;
  };
  int capacity_;
  size_t words_;
  std::unique_ptr<uint64_t[]> cells_;
  size_t cell_bytes_ = 0;
  std::vector<uint64_t> validity_;  // words_ per column
  std::vector<Place> places_;
  std::vector<ColumnView> views_;
};

// Reads `text` as a cell of the type into `cell`; a string is not copied.
// What a value of the type is, for people: "a whole number".
std::string_view ValueOfType(Type type);
CellState ParseRecordCell(Type type, std::string_view text, void* cell);

// Remembers the order of the last record's keys, so that the next one's are found by comparing.
// Confined to one thread.
class RecordReader {
 public:
  explicit RecordReader(const RecordLayout* layout, std::string_view noun = "feature");

  // Reads the object that the scanner stands before into row `row`, which was begun. False: the
  // body is no JSON. A value that does not fit its column, or a key that stands twice, is told by
  // *bad (the first of them); the rest of the record is read all the same.
  bool Read(RequestScanner* scanner, RecordRows* rows, int row, std::optional<Error>* bad);
  // The same from a query string: percent-decoded, '+' is a blank.
  void ReadQuery(std::string_view query, TextArena* arena, RecordRows* rows, int row,
                 std::optional<Error>* bad);

 private:
  bool Value(RequestScanner* scanner, int column, RecordRows* rows, int row,
             std::optional<Error>* bad);
  void Text(std::string_view text, bool nested, int column, RecordRows* rows, int row,
            std::optional<Error>* bad);
  void Start();
  bool See(int column, std::optional<Error>* bad);

  const RecordLayout* layout_;
  const std::string noun_;
  std::vector<int> order_;  // per place in the record: its column, -1: none
  std::vector<uint8_t> seen_;
};

}  // namespace slipway
