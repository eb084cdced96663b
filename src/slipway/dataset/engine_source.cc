#include "slipway/dataset/engine_source.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <utility>

#include "slipway/base/text.h"
#include "slipway/dataset/jsonl_writer.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

// Rows that DuckDB decoded, from one file.
struct EngineRows {
  size_t file = 0;
  int64_t first_in_file = 0;
  int64_t first_in_source = 0;
  std::vector<DuckChunk> chunks;
};

class EngineSource : public ChunkSource {
 public:
  EngineSource(std::shared_ptr<DuckConnection> connection, EngineScan scan)
      : connection_(std::move(connection)), scan_(std::move(scan)) {
    for (const EngineFile& file : scan_.files) total_ += std::max<int64_t>(file.rows, 0);
    int64_t width = 0;
    for (int i : scan_.wanted)
      width += scan_.schema.fields[static_cast<size_t>(i)].type == Type::kString ? 32 : 8;
    // About 1 MiB a chunk, so that wide tables do not hold more memory than narrow ones.
    chunks_at_once_ =
        std::clamp<int64_t>((1 << 20) / std::max<int64_t>(1, width * kBatchRows), 1, 16);
  }

  const Schema& schema() const override { return scan_.schema; }
  const EngineScan& scan() const { return scan_; }
  Result<bool> Next(Chunk* chunk) override;
  std::unique_ptr<ChunkDecoder> NewDecoder() override;
  double progress() const override {
    return total_ <= 0 ? -1
                       : static_cast<double>(rows_.load(std::memory_order_relaxed)) /
                             static_cast<double>(total_);
  }

 private:
  std::shared_ptr<DuckConnection> connection_;
  EngineScan scan_;
  int64_t total_ = 0;
  int64_t chunks_at_once_ = 1;
  size_t file_ = 0;
  int64_t row_in_file_ = 0;
  int64_t number_ = 0;
  std::optional<DuckResult> result_;
  std::atomic<int64_t> rows_{0};
};

Result<bool> EngineSource::Next(Chunk* chunk) {
  auto rows = std::make_shared<EngineRows>();
  while (file_ < scan_.files.size()) {
    const EngineFile& file = scan_.files[file_];
    if (!result_) {
      Result<DuckResult> result = connection_->Stream(file.sql);
      if (!result.ok()) return result.error().Within(file.path);
      result_ = std::move(result).value();
      row_in_file_ = 0;
    }
    rows->file = file_;
    rows->first_in_file = row_in_file_;
    rows->first_in_source = rows_.load(std::memory_order_relaxed);
    bool at_end = false;
    while (static_cast<int64_t>(rows->chunks.size()) < chunks_at_once_ && !at_end) {
      Result<DuckChunk> fetched = connection_->Fetch(&*result_);
      if (!fetched.ok()) return fetched.error().Within(file.path);
      at_end = !*fetched || fetched->size() == 0;
      if (at_end) break;
      row_in_file_ += fetched->size();
      rows_.fetch_add(fetched->size(), std::memory_order_relaxed);
      rows->chunks.push_back(std::move(fetched).value());
    }
    if (at_end) {
      result_.reset();
      ++file_;
    }
    if (rows->chunks.empty()) continue;
    chunk->number = number_++;
    chunk->bytes = 0;
    chunk->payload = std::move(rows);
    return true;
  }
  return false;
}

class EngineDecoder : public ChunkDecoder {
 public:
  explicit EngineDecoder(const EngineSource& source)
      : scan_(source.scan()),
        views_(static_cast<size_t>(scan_.schema.size())),
        scratch_(scan_.wanted.size()) {
    for (size_t i = 0; i < views_.size(); ++i) views_[i].type = scan_.schema.fields[i].type;
  }

  Status Decode(const Chunk& chunk, const BatchConsumer& consume,
                std::vector<BadRow>* bad) override {
    const auto& rows = *static_cast<const EngineRows*>(chunk.payload.get());
    int64_t before = 0;
    for (const DuckChunk& piece : rows.chunks) {
      RETURN_IF_ERROR(DecodeOne(rows, piece, before, consume, bad));
      before += piece.size();
    }
    return {};
  }

 private:
  struct Scratch {
    std::vector<std::string_view> strings;
    std::vector<uint64_t> validity;
    Column converted;
  };

  Status DecodeOne(const EngineRows& rows, const DuckChunk& piece, int64_t before,
                   const BatchConsumer& consume, std::vector<BadRow>* bad);
  // What DuckDB's vector is as a column of the native type.
  ColumnView NativeView(duckdb_vector vector, const TypeMapping& mapping, int count,
                        Scratch* scratch);
  void FlagTooLarge(const ColumnView& view, int count, const std::string& column);
  void FlagUnconverted(const ColumnView& in, int count, const Column& out,
                       const std::string& column);
  void Flag(int row, int count, const std::string& column, std::string reason);

  const EngineScan& scan_;
  std::vector<ColumnView> views_;
  std::vector<ColumnView> native_;
  std::vector<Scratch> scratch_;
  std::vector<bool> bad_rows_;  // empty: none in this batch
  std::vector<std::pair<int, BadRow>> found_;
  std::optional<OwnedBatch> good_;
};

void EngineDecoder::Flag(int row, int count, const std::string& column, std::string reason) {
  if (bad_rows_.empty()) bad_rows_.resize(static_cast<size_t>(count));
  if (bad_rows_[static_cast<size_t>(row)]) return;
  bad_rows_[static_cast<size_t>(row)] = true;
  BadRow found;
  found.column = column;
  found.reason = std::move(reason);
  found_.emplace_back(row, std::move(found));
}

ColumnView EngineDecoder::NativeView(duckdb_vector vector, const TypeMapping& mapping, int count,
                                     Scratch* scratch) {
  ColumnView view{mapping.type, Duck().vector_get_data(vector), Duck().vector_get_validity(vector)};
  if (mapping.type != Type::kString) return view;
  const auto* texts = static_cast<const duckdb_string_t*>(view.data);
  scratch->strings.resize(kBatchRows);
  bool empties = false;
  for (int row = 0; row < count; ++row) {
    std::string_view text;
    if (view.valid(row)) {
      text = DuckText(texts[row]);
      empties |= text.empty();
    }
    scratch->strings[static_cast<size_t>(row)] = text;
  }
  if (empties) {
    scratch->validity.assign(kBatchRows / 64, 0);
    for (int row = 0; row < count; ++row) {
      if (!scratch->strings[static_cast<size_t>(row)].empty()) {
        scratch->validity[static_cast<size_t>(row) / 64] |= uint64_t{1} << (row & 63);
      }
    }
    view.validity = scratch->validity.data();
  }
  view.data = scratch->strings.data();
  return view;
}

void EngineDecoder::FlagTooLarge(const ColumnView& view, int count, const std::string& column) {
  for (int row = 0; row < count; ++row) {
    if (!view.valid(row) || view.ints()[row] >= 0) continue;
    const std::string value = std::to_string(static_cast<uint64_t>(view.ints()[row]));
    Flag(row, count, column, value + " is too large for int64");
  }
}

void EngineDecoder::FlagUnconverted(const ColumnView& in, int count, const Column& out,
                                    const std::string& column) {
  Column probe(out.type());
  std::string text;
  for (int row = 0; row < count; ++row) {
    if (!in.valid(row) || out.valid(row)) continue;
    if (in.type == Type::kDouble && std::isnan(in.doubles()[row])) continue;
    if (in.type == Type::kString && ParseCellInto(in.strings()[row], 0, &probe))
      continue;  // a missing text
    text.clear();
    AppendCell(in, row, &text);
    Flag(row, count, column,
         "'" + text.substr(0, 100) + "' is not a " + std::string(TypeName(out.type())));
  }
}

Status EngineDecoder::DecodeOne(const EngineRows& rows, const DuckChunk& piece, int64_t before,
                                const BatchConsumer& consume, std::vector<BadRow>* bad) {
  const EngineFile& file = scan_.files[rows.file];
  const int count = static_cast<int>(piece.size());
  if (count > kBatchRows)
    return Internal("the data engine gave " + std::to_string(count) + " rows at once");
  bad_rows_.clear();
  found_.clear();
  native_ = views_;
  std::vector<ColumnView> out = views_;
  for (size_t i = 0; i < scan_.wanted.size(); ++i) {
    const auto field = static_cast<size_t>(scan_.wanted[i]);
    const TypeMapping& mapping = file.native[i];
    ColumnView view =
        NativeView(Duck().data_chunk_get_vector(piece.get(), i), mapping, count, &scratch_[i]);
    native_[field] = view;
    const std::string& name = scan_.schema.fields[field].name;
    if (mapping.unsigned_int) FlagTooLarge(view, count, name);
    const Type target = scan_.schema.fields[field].type;
    if (view.type != target) {
      Column& converted = scratch_[i].converted;
      if (!ConvertColumn(view, count, target, &converted, nullptr))
        FlagUnconverted(view, count, converted, name);
      view = converted.View();
    }
    out[field] = view;
  }
  Batch batch{&scan_.schema, count, rows.first_in_source + before, out, {}, 0};
  if (bad_rows_.empty()) return consume(batch);

  Schema native_schema = scan_.schema;
  for (size_t i = 0; i < native_.size(); ++i) native_schema.fields[i].type = native_[i].type;
  const Batch as_read{&native_schema, count, 0, native_, {}, 0};
  std::sort(found_.begin(), found_.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [row, found] : found_) {
    found.file = file.path;
    found.line = rows.first_in_file + before + row + 1;
    AppendJsonRow(as_read, row, &found.text);
    found.text.resize(std::min(found.text.size(), kMaxBadText));
    bad->push_back(std::move(found));
  }
  if (!good_) good_.emplace(scan_.schema);
  CopyGoodRows(batch, bad_rows_, &*good_);
  if (good_->rows == 0) return {};
  Batch good = good_->View();
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i].data != nullptr) out[i] = good.columns[i];
  }
  good.columns = out;
  good.first_row = -1;
  return consume(good);
}

std::unique_ptr<ChunkDecoder> EngineSource::NewDecoder() {
  return std::make_unique<EngineDecoder>(*this);
}

}  // namespace

std::unique_ptr<ChunkSource> MakeEngineSource(std::shared_ptr<DuckConnection> connection,
                                              EngineScan scan) {
  return std::make_unique<EngineSource>(std::move(connection), std::move(scan));
}

Result<std::vector<int>> WantedColumns(const Schema& schema,
                                       const std::vector<std::string>& columns) {
  std::vector<bool> wanted(static_cast<size_t>(schema.size()), columns.empty());
  for (const std::string& name : columns) {
    const int at = schema.Find(name);
    if (at < 0) return NoSuchColumn(name, schema, "the data");
    wanted[static_cast<size_t>(at)] = true;
  }
  std::vector<int> out;
  for (int i = 0; i < schema.size(); ++i) {
    if (wanted[static_cast<size_t>(i)]) out.push_back(i);
  }
  return out;
}

void CopyGoodRows(const Batch& batch, const std::vector<bool>& bad, OwnedBatch* out) {
  static constexpr size_t kWidth[] = {1, 8, 8, 16, 4, 8};
  out->Reset();
  int kept = 0;
  for (int row = 0; row < batch.rows; ++row) kept += bad[static_cast<size_t>(row)] ? 0 : 1;
  for (size_t i = 0; i < batch.columns.size(); ++i) {
    const ColumnView& in = batch.columns[i];
    if (in.data == nullptr) continue;
    Column& column = out->column(static_cast<int>(i));
    const size_t width = kWidth[static_cast<size_t>(in.type)];
    int to = 0;
    for (int row = 0; row < batch.rows; ++row) {
      if (bad[static_cast<size_t>(row)]) continue;
      if (in.valid(row)) {
        if (in.type == Type::kString) {
          column.strings()[to] = column.Intern(in.strings()[row]);
        } else {
          std::memcpy(column.booleans() + width * static_cast<size_t>(to),
                      in.booleans() + width * static_cast<size_t>(row), width);
        }
        column.SetValid(to);
      }
      ++to;
    }
  }
  out->rows = kept;
}

Result<Schema> WithTypes(const Schema& pinned, const Schema& types, std::string_view where) {
  Schema out = pinned;
  for (const Field& field : types.fields) {
    const int at = pinned.Find(field.name);
    if (at < 0) return NoSuchColumn(field.name, pinned, where);
    Field& target = out.fields[static_cast<size_t>(at)];
    if (!CanConvert(target.type, field.type)) {
      return InvalidArgument("column '" + field.name + "' of " + std::string(where) + " is " +
                             std::string(TypeName(target.type)) + ", which cannot be read as " +
                             std::string(TypeName(field.type)));
    }
    target.type = field.type;
  }
  return out;
}

}  // namespace slipway
