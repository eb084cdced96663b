#include "slipway/csv/decoder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "slipway/base/text.h"
#include "slipway/csv/fast_cell.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

constexpr size_t kBadTextBytes = size_t{64} << 10;
constexpr size_t kShownBytes = 60;

// At most `limit` bytes, not cut within a character.
std::string Shortened(std::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

std::string WithArticle(Type type) {
  return (type == Type::kInt64 ? "an " : "a ") + std::string(TypeName(type));
}

CellState ParseInt(std::string_view text, int64_t* out) {
  return FastInt64(text, out) ? CellState::kValue : ParseInt64Cell(text, out);
}

CellState ParseNumber(std::string_view text, double* out) {
  return FastDouble(text, out) ? CellState::kValue : ParseDoubleCell(text, out);
}

// The cells of one column: every `stride`th. Rows that are kBad get `index` in bad_cell unless an
// earlier cell has.
template <typename T, typename Parse>
bool ConvertCells(const std::string_view* cells, int rows, int stride, T* out, int first,
                  Column* column, int index, int* bad_cell, Parse parse) {
  bool any_bad = false;
  uint64_t* const validity = column->validity();
  for (int r = 0; r < rows; ++r, cells += stride) {
    const int row = first + r;
    if (cells->empty()) continue;
    const CellState state = parse(*cells, out + row);
    if (state == CellState::kValue) {
      validity[row >> 6] |= uint64_t{1} << (row & 63);
    } else if (state == CellState::kBad) {
      any_bad = true;
      if (bad_cell[r] < 0 || index < bad_cell[r]) bad_cell[r] = index;
    }
  }
  return any_bad;
}

void ConvertStrings(const std::string_view* cells, int rows, int stride, int first,
                    Column* column) {
  std::string_view* const out = column->strings() + first;
  uint64_t* const validity = column->validity();
  for (int r = 0; r < rows; ++r, cells += stride) {
    out[r] = *cells;
    const int row = first + r;
    validity[row >> 6] |= uint64_t{!cells->empty()} << (row & 63);
  }
}

// All ASCII without NUL: nothing more to check row by row.
bool IsPlainAscii(std::string_view text) {
  uint64_t high = 0;
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + i, 8);
    high |= word;
  }
  for (; i < text.size(); ++i) high |= static_cast<unsigned char>(text[i]);
  return (high & 0x8080808080808080ULL) == 0;
}

bool HasNul(std::string_view text) {
  return !text.empty() && std::memchr(text.data(), '\0', text.size()) != nullptr;
}

}  // namespace

CsvDecoder::CsvDecoder(const CsvPlan* plan)
    : plan_(plan),
      width_(plan->schema.size()),
      tile_rows_(std::clamp(kTileCells / std::max(1, width_), 1, kBatchRows)),
      cells_(static_cast<size_t>(tile_rows_) * static_cast<size_t>(width_)),
      records_(static_cast<size_t>(tile_rows_)),
      bad_cell_(static_cast<size_t>(tile_rows_), -1),
      columns_(static_cast<size_t>(width_)),
      row_text_(static_cast<size_t>(kBatchRows)),
      arena_(Type::kString) {
  for (int i = 0; i < width_; ++i) {
    const Type type = plan->schema.fields[static_cast<size_t>(i)].type;
    Column& column = columns_[static_cast<size_t>(i)];
    if (plan->wanted[static_cast<size_t>(i)]) {
      column.Reset(type);
      views_.push_back(column.View());
    } else {
      views_.push_back({type, nullptr, nullptr});
    }
  }
}

// Reads records until the tile or the batch is full, leaving out what is bad as a record. False
// when none was read.
bool CsvDecoder::FillTile(CsvTokeniser* tokeniser, const CsvPayload& payload, bool clean_text,
                          std::vector<BadRow>* bad) {
  const int capacity = std::min(tile_rows_, kBatchRows - batch_rows_);
  const size_t size = payload.block.size;
  rows_in_tile_ = 0;
  bool any = false;
  while (rows_in_tile_ < capacity) {
    const auto row = static_cast<size_t>(rows_in_tile_);
    CsvRecord& record = records_[row];
    if (!tokeniser->Next(cells_.data() + row * static_cast<size_t>(width_), width_, &record)) break;
    any = true;
    if (record.blank &&
        IsSkippedBlank(record, width_, payload.block.ends_file && tokeniser->position() == size)) {
      continue;
    }
    std::string reason;
    std::string column;
    if (record.problem != RecordProblem::kNone) {
      reason = record.problem == RecordProblem::kUnterminatedQuote
                   ? "a quote is opened and never closed"
                   : "text follows a closing quote";
      if (record.problem_cell < width_) {
        const int field = payload.file->fields[static_cast<size_t>(record.problem_cell)];
        column = plan_->schema.fields[static_cast<size_t>(field)].name;
      }
    } else if (!clean_text && HasNul(record.text)) {
      reason = "the row holds a NUL byte";
    } else if (!clean_text && !IsValidUtf8(record.text)) {
      reason = "the row holds bytes that are not UTF-8";
    } else if (record.cells != width_) {
      reason = std::to_string(record.cells) + (record.cells == 1 ? " cell" : " cells") + " where " +
               std::to_string(width_) + (width_ == 1 ? " is" : " are") + " expected";
    } else {
      ++rows_in_tile_;
      continue;
    }
    bad->push_back({payload.file->name, record.line, std::move(column), std::move(reason),
                    std::string(record.text.substr(0, kBadTextBytes))});
  }
  return any;
}

void CsvDecoder::ConvertTile() {
  any_bad_ = false;
  const int rows = rows_in_tile_;
  const int first = batch_rows_;
  int* const bad = bad_cell_.data();
  for (const int index : wanted_cells_) {
    Column& column = columns_[static_cast<size_t>(mapped_->fields[static_cast<size_t>(index)])];
    const std::string_view* const cells = cells_.data() + index;
    const auto convert = [&](auto* out, auto parse) {
      any_bad_ |= ConvertCells(cells, rows, width_, out, first, &column, index, bad, parse);
    };
    switch (column.type()) {
      case Type::kBoolean:
        convert(column.booleans(), ParseBooleanCell);
        break;
      case Type::kInt64:
        convert(column.ints(), ParseInt);
        break;
      case Type::kDouble:
        convert(column.doubles(), ParseNumber);
        break;
      case Type::kString:
        ConvertStrings(cells, rows, width_, first, &column);
        break;
      case Type::kDate:
        convert(column.dates(), ParseDateCell);
        break;
      case Type::kTimestamp:
        convert(column.ints(), ParseTimestampCell);
        break;
    }
  }
}

// Reports the tile's rows that have a cell not of its type, closes the gaps and converts the rest
// again.
void CsvDecoder::DropBadRows(const CsvPayload& payload, std::vector<BadRow>* bad) {
  const auto width = static_cast<size_t>(width_);
  size_t kept = 0;
  for (size_t r = 0; r < static_cast<size_t>(rows_in_tile_); ++r) {
    const int cell = std::exchange(bad_cell_[r], -1);
    if (cell < 0) {
      if (kept != r) {
        std::copy_n(cells_.begin() + static_cast<ptrdiff_t>(r * width), width,
                    cells_.begin() + static_cast<ptrdiff_t>(kept * width));
        records_[kept] = records_[r];
      }
      ++kept;
      continue;
    }
    const Field& field =
        plan_->schema.fields[static_cast<size_t>(payload.file->fields[static_cast<size_t>(cell)])];
    const std::string_view text = cells_[r * width + static_cast<size_t>(cell)];
    bad->push_back({payload.file->name, records_[r].line, field.name,
                    "'" + Shortened(text, kShownBytes) + "' is not " + WithArticle(field.type),
                    std::string(records_[r].text.substr(0, kBadTextBytes))});
  }
  // The converted part of the batch before this tile stays; its validity bits behind that are
  // cleared.
  for (const int index : wanted_cells_) {
    Column& column = columns_[static_cast<size_t>(mapped_->fields[static_cast<size_t>(index)])];
    for (int r = batch_rows_; r < batch_rows_ + rows_in_tile_; ++r) column.SetNull(r);
  }
  rows_in_tile_ = static_cast<int>(kept);
  ConvertTile();
}

Status CsvDecoder::Emit(const CsvPayload& payload, const BatchConsumer& consume) {
  if (batch_rows_ == 0) return {};
  Batch batch{&plan_->schema, batch_rows_, -1, views_, {}, 0};
  if (payload.file->in_order) {
    batch.row_text = {row_text_.data(), static_cast<size_t>(batch_rows_)};
    batch.row_text_columns = width_;
  }
  Status status = consume(batch);
  batch_rows_ = 0;
  arena_.Reset(Type::kString);
  for (const int index : wanted_cells_) {
    Column& column = columns_[static_cast<size_t>(mapped_->fields[static_cast<size_t>(index)])];
    std::memset(column.validity(), 0, kBatchRows / 8);
  }
  return status;
}

Status CsvDecoder::Decode(const Chunk& chunk, const BatchConsumer& consume,
                          std::vector<BadRow>* bad) {
  const auto& payload = *static_cast<const CsvPayload*>(chunk.payload.get());
  if (mapped_ != payload.file.get()) {
    mapped_ = payload.file.get();
    wanted_cells_.clear();
    for (int i = 0; i < width_; ++i) {
      if (plan_->wanted[static_cast<size_t>(mapped_->fields[static_cast<size_t>(i)])])
        wanted_cells_.push_back(i);
    }
  }
  const size_t first_bad = bad->size();
  const std::string_view text = payload.block.text();
  const bool clean = !HasNul(text) && (IsPlainAscii(text) || IsValidUtf8(text));
  CsvTokeniser tokeniser(text, plan_->dialect, payload.block.line, &arena_);
  Status status;
  while (status.ok() && FillTile(&tokeniser, payload, clean, bad)) {
    ConvertTile();
    if (any_bad_) DropBadRows(payload, bad);
    for (int r = 0; r < rows_in_tile_; ++r) {
      row_text_[static_cast<size_t>(batch_rows_ + r)] = records_[static_cast<size_t>(r)].text;
    }
    batch_rows_ += rows_in_tile_;
    if (batch_rows_ == kBatchRows) status = Emit(payload, consume);
  }
  if (status.ok()) status = Emit(payload, consume);
  batch_rows_ = 0;
  std::sort(bad->begin() + static_cast<ptrdiff_t>(first_bad), bad->end(),
            [](const BadRow& a, const BadRow& b) { return a.line < b.line; });
  return status;
}

}  // namespace slipway
