// The tokeniser of plain CSV: records and cells of a text in memory, and the cutting of a text at
// record ends. Both see quotes alike: a quote opens a quoted cell only as the cell's first byte.
// Internal to module csv. Views point into the text, or into the arena for cells with doubled
// quotes. Confined to one thread.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "slipway/csv/dialect.h"
#include "slipway/table/batch.h"

namespace slipway {

// Positions of delimiters, line feeds and quotes in order, found 64 bytes at a time.
class SpecialScanner {
 public:
  SpecialScanner(std::string_view text, const CsvDialect& dialect);

  // The next position, or text.size() at the end.
  size_t Next() {
    while (mask_ == 0) {
      base_ += 64;
      if (base_ >= text_.size()) {
        base_ = text_.size();
        return base_;
      }
      mask_ = Load();
    }
    const size_t at = base_ + static_cast<size_t>(std::countr_zero(mask_));
    mask_ &= mask_ - 1;
    return at;
  }

 private:
  uint64_t Load() const;

  std::string_view text_;
  char delimiter_;
  char quote_;
  size_t base_ = 0;
  uint64_t mask_ = 0;
};

enum class RecordProblem : uint8_t { kNone, kTextAfterQuote, kUnterminatedQuote };

struct CsvRecord {
  std::string_view text;  // without its line end
  int64_t line = 0;       // 1-based, where it begins
  int cells = 0;
  RecordProblem problem = RecordProblem::kNone;
  int problem_cell = 0;
  bool blank = false;       // an empty line
  bool terminated = false;  // a line feed ended it, not the end of the text
};

class CsvTokeniser {
 public:
  // `text` begins at a record, on line `line`. Unescaped cells go to `arena`.
  CsvTokeniser(std::string_view text, const CsvDialect& dialect, int64_t line, Column* arena);

  // The next record; its first `capacity` cells are written to `cells`. False at the end of the
  // text.
  bool Next(std::string_view* cells, int capacity, CsvRecord* record);

  size_t position() const { return position_; }
  int64_t line() const { return line_; }

 private:
  enum class After { kDelimiter, kRecordEnd, kText };
  After TakeQuoted(size_t open, std::string_view* cell, CsvRecord* record);
  void EndRecord(size_t begin, size_t at, CsvRecord* record);

  std::string_view text_;
  char delimiter_;
  char quote_;
  SpecialScanner scanner_;
  size_t position_ = 0;
  size_t special_ = 0;  // where TakeQuoted stopped
  int64_t line_;
  Column* arena_;
};

// The end (after the line feed) of the last record that ends in `text`, which begins at a record; 0
// when none does.
size_t LastRecordEnd(std::string_view text, const CsvDialect& dialect);

int64_t CountLineFeeds(std::string_view text);

// The text without a leading UTF-8 byte order mark.
std::string_view SkipByteOrderMark(std::string_view text);

// Blank lines count in files of one column only, and there not as the last line of the file.
inline bool IsSkippedBlank(const CsvRecord& record, int columns, bool ends_file) {
  return record.blank && (columns > 1 || ends_file);
}

}  // namespace slipway
