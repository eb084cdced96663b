#include "slipway/csv/reader.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "slipway/base/text.h"
#include "slipway/csv/cutter.h"
#include "slipway/csv/decoder.h"
#include "slipway/csv/scan.h"
#include "slipway/csv/sniff.h"

namespace slipway {
namespace {

Status CheckPrologue(const CsvPrologue& prologue, const std::string& name,
                     const CsvDialect& dialect) {
  if (prologue.problem != RecordProblem::kNone) {
    return InvalidArgument("the header of '" + name + "' cannot be read: " +
                               (prologue.problem == RecordProblem::kTextAfterQuote
                                    ? "text follows a closing quote"
                                    : "a quote is opened and never closed"),
                           "put the header right, or state another `quote:`");
  }
  if (dialect.header && prologue.header.empty()) {
    return InvalidArgument("'" + name + "' is empty: it has no header line",
                           "leave the file out, or write the header into it");
  }
  return {};
}

// Where each cell of a file goes; the file must have the schema's columns, all and no others.
Result<std::shared_ptr<const CsvFileMap>> MapFile(const CsvPrologue& prologue,
                                                  const std::string& name, const CsvPlan& plan) {
  RETURN_IF_ERROR(CheckPrologue(prologue, name, plan.dialect));
  auto map = std::make_shared<CsvFileMap>();
  map->name = name;
  if (!plan.dialect.header) {
    for (int i = 0; i < plan.schema.size(); ++i) map->fields.push_back(i);
    return std::shared_ptr<const CsvFileMap>(std::move(map));
  }
  auto names = CsvHeaderNames(prologue.header);
  if (!names.ok()) return names.error().Within("'" + name + "'");
  std::vector<std::string> lacking;
  std::vector<std::string> unknown;
  for (const Field& field : plan.schema.fields) {
    if (std::find(names->begin(), names->end(), field.name) == names->end()) {
      lacking.push_back(field.name);
    }
  }
  for (const std::string& column : *names) {
    const int field = plan.schema.Find(column);
    if (field < 0) unknown.push_back(column);
    if (field != static_cast<int>(map->fields.size())) map->in_order = false;
    map->fields.push_back(field);
  }
  if (lacking.empty() && unknown.empty()) return std::shared_ptr<const CsvFileMap>(std::move(map));
  std::string message = "'" + name + "'";
  if (!lacking.empty()) {
    message +=
        (lacking.size() == 1 ? " lacks the column " : " lacks the columns ") + QuotedList(lacking);
  }
  if (!unknown.empty()) {
    if (!lacking.empty()) message += " and";
    message +=
        (unknown.size() == 1 ? " has the unexpected column " : " has the unexpected columns ") +
        QuotedList(unknown);
  }
  return InvalidArgument(std::move(message),
                         "every file must have the columns " + QuotedList(plan.schema.Names(), 20));
}

class CsvSource final : public ChunkSource {
 public:
  CsvSource(CsvReadOptions options, CsvPlan plan)
      : options_(std::move(options)), plan_(std::move(plan)), pool_(options_.chunk_bytes + 1) {}

  // Looks at every file's header and size.
  Status CheckFiles() {
    for (const std::string& file : options_.files) {
      ASSIGN_OR_RETURN(auto source, OpenFile(file));
      ASSIGN_OR_RETURN(CsvPrologue prologue,
                       PeekCsvPrologue(source.get(), plan_.dialect, options_.max_record_bytes));
      RETURN_IF_ERROR(MapFile(prologue, source->name(), plan_));
      if (source->compressed_size() < 0) {
        total_bytes_ = -1;
      } else if (total_bytes_ >= 0) {
        total_bytes_ += source->compressed_size();
      }
    }
    return {};
  }

  const Schema& schema() const override { return plan_.schema; }
  std::unique_ptr<ChunkDecoder> NewDecoder() override {
    return std::make_unique<CsvDecoder>(&plan_);
  }

  double progress() const override {
    if (total_bytes_ < 0) return -1;
    if (total_bytes_ == 0) return 1;
    const auto done = static_cast<double>(done_bytes_.load(std::memory_order_relaxed));
    return std::min(1.0, done / static_cast<double>(total_bytes_));
  }

  Result<bool> Next(Chunk* chunk) override {
    for (;;) {
      if (!cutter_) {
        if (next_file_ == options_.files.size()) return false;
        RETURN_IF_ERROR(StartFile(options_.files[next_file_]));
        ++next_file_;
      }
      auto payload = std::make_shared<CsvPayload>();
      ASSIGN_OR_RETURN(const bool more, cutter_->Next(&payload->block));
      done_bytes_.store(finished_bytes_ + current_->compressed_bytes(), std::memory_order_relaxed);
      if (!more) {
        finished_bytes_ += current_->compressed_bytes();
        cutter_.reset();
        current_.reset();
        continue;
      }
      payload->file = map_;
      chunk->number = number_++;
      chunk->bytes = static_cast<int64_t>(payload->block.size);
      chunk->payload = std::move(payload);
      return true;
    }
  }

 private:
  Result<std::shared_ptr<ByteSource>> OpenFile(const std::string& file) {
    if (file == "-" && options_.standard_input) return options_.standard_input;
    ASSIGN_OR_RETURN(auto opened, ByteSource::Open(file));
    std::shared_ptr<ByteSource> source(std::move(opened));
    // What was looked at of a pipe must not be lost.
    if (file == "-") options_.standard_input = source;
    return source;
  }

  Status StartFile(const std::string& file) {
    ASSIGN_OR_RETURN(current_, OpenFile(file));
    ASSIGN_OR_RETURN(CsvPrologue prologue,
                     PeekCsvPrologue(current_.get(), plan_.dialect, options_.max_record_bytes));
    ASSIGN_OR_RETURN(map_, MapFile(prologue, current_->name(), plan_));
    ASSIGN_OR_RETURN(cutter_,
                     CsvCutter::Start(current_.get(), plan_.dialect, prologue, options_.chunk_bytes,
                                      options_.max_record_bytes, &pool_));
    return {};
  }

  CsvReadOptions options_;
  const CsvPlan plan_;
  BlockPool pool_;
  int64_t total_bytes_ = 0;  // -1: not known
  std::atomic<int64_t> done_bytes_{0};
  int64_t finished_bytes_ = 0;
  size_t next_file_ = 0;
  int64_t number_ = 0;
  std::shared_ptr<ByteSource> current_;
  std::shared_ptr<const CsvFileMap> map_;
  std::optional<CsvCutter> cutter_;
};

// Data records of a block, cheaply where it holds no quote.
int64_t CountRecords(const CsvBlock& block, const CsvDialect& dialect, int columns) {
  const std::string_view text = block.text();
  int64_t count = 0;
  if (dialect.quote == '\0' || text.find(dialect.quote) == std::string_view::npos) {
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      CsvRecord record;
      record.blank = end == begin || (end == begin + 1 && text[begin] == '\r');
      const bool last = block.ends_file && end + 1 >= text.size();
      count += !(record.blank && IsSkippedBlank(record, columns, last));
      begin = end + 1;
    }
    return count;
  }
  Column arena(Type::kString);
  CsvTokeniser tokeniser(text, dialect, 1, &arena);
  CsvRecord record;
  while (tokeniser.Next(nullptr, 0, &record)) {
    const bool last = block.ends_file && tokeniser.position() == text.size();
    count += !(record.blank && IsSkippedBlank(record, columns, last));
  }
  return count;
}

}  // namespace

Status CheckCsvDialect(const CsvDialect& dialect) {
  if (!dialect.IsPlain()) {
    return InvalidArgument("not a plain CSV dialect: encoding '" + dialect.encoding +
                               "' or an escape that is not the quote",
                           "such files are read by the data engine");
  }
  const auto refuse = [](const std::string& what) {
    return InvalidArgument("the CSV " + what, "choose a printable character or tab");
  };
  for (const char c : {dialect.delimiter, dialect.quote}) {
    if (c == '\n' || c == '\r' || static_cast<unsigned char>(c) >= 0x80) {
      return refuse("delimiter and quote must be one ASCII character that is no line end");
    }
  }
  if (dialect.delimiter == '\0') return refuse("delimiter is missing");
  if (dialect.delimiter == dialect.quote) return refuse("delimiter and quote are the same");
  if (dialect.skip_lines < 0) return InvalidArgument("skip_lines must not be negative");
  return {};
}

Result<std::unique_ptr<ChunkSource>> OpenCsv(CsvReadOptions options) {
  RETURN_IF_ERROR(CheckCsvDialect(options.dialect));
  if (options.files.empty()) return InvalidArgument("no CSV file to read");
  if (options.schema.fields.empty()) return InvalidArgument("a CSV file needs at least one column");
  if (std::count(options.files.begin(), options.files.end(), "-") > 1) {
    return InvalidArgument("standard input can be read once only");
  }
  CsvPlan plan{options.dialect, options.schema,
               std::vector<bool>(options.schema.fields.size(), options.columns.empty())};
  for (const std::string& column : options.columns) {
    const int field = options.schema.Find(column);
    if (field < 0) return NoSuchColumn(column, options.schema, "'" + options.files[0] + "'");
    plan.wanted[static_cast<size_t>(field)] = true;
  }
  auto source = std::make_unique<CsvSource>(std::move(options), std::move(plan));
  RETURN_IF_ERROR(source->CheckFiles());
  return std::unique_ptr<ChunkSource>(std::move(source));
}

void AppendRecordCells(std::string_view record, const CsvDialect& dialect,
                       const std::vector<int>& cells, std::string* out) {
  thread_local std::vector<size_t> begins;
  begins.assign(1, 0);
  bool quoted = false;
  for (size_t at = 0; at < record.size(); ++at) {
    const char c = record[at];
    if (quoted) {
      quoted = c != dialect.quote;  // a doubled quote ends it and opens it again
    } else if (c == dialect.delimiter) {
      begins.push_back(at + 1);
    } else if (dialect.quote != '\0' && c == dialect.quote) {
      const bool doubled = at > begins.back() && record[at - 1] == dialect.quote &&
                           record[begins.back()] == dialect.quote;
      quoted = at == begins.back() || doubled;
    }
  }
  begins.push_back(record.size() + 1);
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) out->push_back(dialect.delimiter);
    const auto cell = static_cast<size_t>(cells[i]);
    if (cell + 1 >= begins.size()) continue;
    out->append(record.substr(begins[cell], begins[cell + 1] - 1 - begins[cell]));
  }
}

Result<int64_t> CountCsvRecords(const std::vector<std::string>& files, const CsvDialect& dialect) {
  RETURN_IF_ERROR(CheckCsvDialect(dialect));
  const CsvReadOptions defaults;
  BlockPool pool(defaults.chunk_bytes + 1);
  int64_t count = 0;
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(auto source, ByteSource::Open(file));
    ASSIGN_OR_RETURN(CsvPrologue prologue,
                     PeekCsvPrologue(source.get(), dialect, defaults.max_record_bytes));
    RETURN_IF_ERROR(CheckPrologue(prologue, source->name(), dialect));
    ASSIGN_OR_RETURN(CsvCutter cutter,
                     CsvCutter::Start(source.get(), dialect, prologue, defaults.chunk_bytes,
                                      defaults.max_record_bytes, &pool));
    for (;;) {
      CsvBlock block;
      ASSIGN_OR_RETURN(const bool more, cutter.Next(&block));
      if (!more) break;
      count += CountRecords(block, dialect, prologue.columns);
    }
  }
  return count;
}

}  // namespace slipway
