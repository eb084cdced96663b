#include "slipway/dataset/jsonl_writer.h"

#include <utility>
#include <vector>

#include "slipway/csv/writer.h"

namespace slipway {
namespace {

// The lines go through a CSV writer of one column that copies row texts as they stand: so files,
// compression, standard output and their errors have one implementation.
CsvDialect LineDialect() {
  CsvDialect dialect;
  dialect.header = false;
  return dialect;
}

Schema LineSchema() { return {{{"line", Type::kString}}}; }

class JsonLinesEncoder : public ChunkEncoder {
 public:
  explicit JsonLinesEncoder(std::unique_ptr<ChunkEncoder> lines) : lines_(std::move(lines)) {}

  Status Encode(const Batch& batch, EncodedChunk* out) override {
    text_.clear();
    ends_.clear();
    for (int row = 0; row < batch.rows; ++row) {
      AppendJsonRow(batch, row, &text_);
      ends_.push_back(text_.size());
    }
    views_.clear();
    size_t begin = 0;
    for (const size_t end : ends_) {
      views_.emplace_back(text_.data() + begin, end - begin);
      begin = end;
    }
    const ColumnView column{Type::kString, views_.data(), nullptr};
    return lines_->Encode({&schema_, batch.rows, -1, {&column, 1}, views_, 1}, out);
  }

 private:
  std::unique_ptr<ChunkEncoder> lines_;
  const Schema schema_ = LineSchema();
  std::string text_;
  std::vector<size_t> ends_;
  std::vector<std::string_view> views_;
};

class JsonLinesWriter : public TableWriter {
 public:
  explicit JsonLinesWriter(std::unique_ptr<TableWriter> lines) : lines_(std::move(lines)) {}
  std::unique_ptr<ChunkEncoder> NewEncoder() override {
    return std::make_unique<JsonLinesEncoder>(lines_->NewEncoder());
  }
  Status Append(EncodedChunk chunk) override { return lines_->Append(std::move(chunk)); }
  Status Finish() override { return lines_->Finish(); }

 private:
  std::unique_ptr<TableWriter> lines_;
};

}  // namespace

Result<std::unique_ptr<TableWriter>> CreateJsonLinesWriter(const std::string& path,
                                                           const Schema& schema) {
  if (schema.fields.empty()) return InvalidArgument("JSON lines need at least one column");
  ASSIGN_OR_RETURN(std::unique_ptr<TableWriter> lines,
                   CreateCsvWriter(path, LineDialect(), LineSchema(), LineDialect()));
  return std::unique_ptr<TableWriter>(new JsonLinesWriter(std::move(lines)));
}

}  // namespace slipway
