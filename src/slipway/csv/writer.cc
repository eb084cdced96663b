#include "slipway/csv/writer.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "slipway/base/early_sync.h"
#include "slipway/base/file.h"
#include "slipway/csv/reader.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

constexpr int kGzipLevel = 4;  // twice as fast as 6 for a few per cent of size
constexpr int kZstdLevel = 3;

enum class Compression { kNone, kGzip, kZstd };

Compression CompressionOf(std::string_view path) {
  if (path.ends_with(".gz")) return Compression::kGzip;
  if (path.ends_with(".zst")) return Compression::kZstd;
  return Compression::kNone;
}

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// Appends `text` as a cell; false when it would need quotes and the dialect has none.
bool AppendText(std::string_view text, const CsvDialect& dialect, std::string* out) {
  if (text.empty()) return true;
  bool quoted = IsBlank(text.front()) || IsBlank(text.back());
  for (const char c : text) {
    quoted |= c == dialect.delimiter || c == dialect.quote || c == '\n' || c == '\r';
  }
  if (!quoted) {
    out->append(text);
    return true;
  }
  if (dialect.quote == '\0') {
    // Blanks at the ends survive without quotes in our own reader.
    if (text.find_first_of("\r\n") != std::string_view::npos ||
        text.find(dialect.delimiter) != std::string_view::npos) {
      return false;
    }
    out->append(text);
    return true;
  }
  out->push_back(dialect.quote);
  for (size_t at = 0;;) {
    const size_t quote = text.find(dialect.quote, at);
    out->append(text.substr(at, quote - at));
    if (quote == std::string_view::npos) break;
    out->append(2, dialect.quote);
    at = quote + 1;
  }
  out->push_back(dialect.quote);
  return true;
}

Error NeedsQuotes(std::string_view column) {
  return InvalidArgument(
      "column '" + std::string(column) +
          "' holds a delimiter or line end, which CSV without quotes cannot hold",
      "state a `quote:` for the output");
}

// A line that would be blank would be skipped when it is read back.
void EndLine(size_t line_begin, const CsvDialect& dialect, std::string* out) {
  if (out->size() == line_begin && dialect.quote != '\0') out->append(2, dialect.quote);
  out->push_back('\n');
}

Status AppendGzip(std::string_view text, std::string* out) {
  z_stream stream{};
  if (deflateInit2(&stream, kGzipLevel, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return Internal("cannot start zlib");
  }
  const size_t before = out->size();
  out->resize(before + deflateBound(&stream, text.size()));
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out->data() + before);
  stream.avail_out = static_cast<uInt>(out->size() - before);
  const int rc = deflate(&stream, Z_FINISH);
  out->resize(before + stream.total_out);
  deflateEnd(&stream);
  if (rc != Z_STREAM_END) return Internal("zlib could not compress a block");
  return {};
}

Status AppendZstd(std::string_view text, std::string* out) {
  const size_t before = out->size();
  out->resize(before + ZSTD_compressBound(text.size()));
  const size_t n = ZSTD_compress(out->data() + before, out->size() - before, text.data(),
                                 text.size(), kZstdLevel);
  if (ZSTD_isError(n) != 0) {
    return Internal(std::string("zstd could not compress a block: ") + ZSTD_getErrorName(n));
  }
  out->resize(before + n);
  return {};
}

Status AppendCompressed(std::string_view text, Compression compression, std::string* out) {
  if (text.empty()) return {};
  // zlib counts in 32 bits.
  constexpr size_t kPart = size_t{1} << 30;
  for (; !text.empty(); text.remove_prefix(std::min(kPart, text.size()))) {
    const std::string_view part = text.substr(0, kPart);
    if (compression == Compression::kGzip) {
      RETURN_IF_ERROR(AppendGzip(part, out));
    } else {
      RETURN_IF_ERROR(AppendZstd(part, out));
    }
  }
  return {};
}

// What writer and encoders share.
struct Plan {
  CsvDialect dialect;
  Schema schema;
  Compression compression = Compression::kNone;
  bool pass_row_text = false;
  // The delimiter or quote may stand in a number or a time: every cell is looked at, not only
  // strings.
  bool check_all = false;
};

class CsvEncoder final : public ChunkEncoder {
 public:
  explicit CsvEncoder(const Plan* plan) : plan_(plan) {}

  Status Encode(const Batch& batch, EncodedChunk* out) override {
    std::string* text = &out->bytes;
    if (plan_->compression != Compression::kNone) {
      text_.clear();
      text = &text_;
    }
    RETURN_IF_ERROR(AppendRows(batch, text));
    out->rows += batch.rows;
    if (plan_->compression == Compression::kNone) return {};
    return AppendCompressed(text_, plan_->compression, &out->bytes);
  }

 private:
  Status AppendRows(const Batch& batch, std::string* out) {
    const int columns = plan_->schema.size();
    const bool pass = plan_->pass_row_text && batch.row_text_columns > 0 &&
                      batch.row_text.size() >= static_cast<size_t>(batch.rows);
    const int first = pass ? batch.row_text_columns : 0;
    if (static_cast<int>(batch.columns.size()) != columns) {
      return Internal("a CSV writer of " + std::to_string(columns) + " columns was given " +
                      std::to_string(batch.columns.size()));
    }
    for (int c = first; c < columns; ++c) {
      if (batch.columns[static_cast<size_t>(c)].data == nullptr) {
        return Internal("column '" + plan_->schema.fields[static_cast<size_t>(c)].name +
                        "' is to be written but was not read");
      }
    }
    for (int row = 0; row < batch.rows; ++row) {
      const size_t begin = out->size();
      if (pass) out->append(batch.row_text[static_cast<size_t>(row)]);
      for (int c = first; c < columns; ++c) {
        if (c > 0) out->push_back(plan_->dialect.delimiter);
        RETURN_IF_ERROR(AppendValue(batch.columns[static_cast<size_t>(c)], row, c, out));
      }
      EndLine(begin, plan_->dialect, out);
    }
    return {};
  }

  Status AppendValue(const ColumnView& column, int row, int index, std::string* out) {
    if (!column.valid(row)) return {};
    bool ok = true;
    if (column.type == Type::kString) {
      ok = AppendText(column.strings()[row], plan_->dialect, out);
    } else if (plan_->check_all) {
      cell_.clear();
      AppendCell(column, row, &cell_);
      ok = AppendText(cell_, plan_->dialect, out);
    } else {
      AppendCell(column, row, out);
    }
    if (!ok) return NeedsQuotes(plan_->schema.fields[static_cast<size_t>(index)].name);
    return {};
  }

  const Plan* plan_;
  std::string text_;
  std::string cell_;
};

class CsvWriter final : public TableWriter {
 public:
  CsvWriter(std::string path, Plan plan) : path_(std::move(path)), plan_(std::move(plan)) {}

  ~CsvWriter() override {
    (void)sync_.End();
    if (fd_ > STDERR_FILENO) ::close(fd_);
    if (!temp_.empty()) ::unlink(temp_.c_str());
  }

  Status Start() {
    RETURN_IF_ERROR(OpenTarget());
    if (!plan_.dialect.header) return {};
    std::string header;
    for (const Field& field : plan_.schema.fields) {
      if (!header.empty()) header.push_back(plan_.dialect.delimiter);
      if (!AppendText(field.name, plan_.dialect, &header)) return NeedsQuotes(field.name);
    }
    header.push_back('\n');
    if (plan_.compression == Compression::kNone) return Write(header);
    std::string bytes;
    RETURN_IF_ERROR(AppendCompressed(header, plan_.compression, &bytes));
    return Write(bytes);
  }

  std::unique_ptr<ChunkEncoder> NewEncoder() override {
    return std::make_unique<CsvEncoder>(&plan_);
  }

  Status Append(EncodedChunk chunk) override { return Write(chunk.bytes); }

  Status Finish() override {
    if (fd_ < 0) return Internal("the CSV writer of '" + path_ + "' was finished twice");
    // An empty .gz or .zst is one member of nothing.
    if (!wrote_ && plan_.compression != Compression::kNone) {
      std::string bytes;
      RETURN_IF_ERROR(plan_.compression == Compression::kGzip ? AppendGzip("", &bytes)
                                                              : AppendZstd("", &bytes));
      RETURN_IF_ERROR(Write(bytes));
    }
    if (const int error = sync_.End(); error != 0) return FileError("fsync", path_, error);
    if (!temp_.empty() && ::fsync(fd_) != 0) return FileError("fsync", path_, errno);
    const int fd = std::exchange(fd_, -1);
    if (fd > STDERR_FILENO && ::close(fd) != 0) return FileError("close", path_, errno);
    if (temp_.empty()) return {};
    RETURN_IF_ERROR(RenameDurably(temp_, path_));
    temp_.clear();
    return {};
  }

 private:
  Status OpenTarget() {
    if (path_ == "-") {
      fd_ = STDOUT_FILENO;
      path_ = "standard output";
      return {};
    }
    struct stat info{};
    const bool exists = ::stat(path_.c_str(), &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) {
      return InvalidArgument("'" + path_ + "' is a folder: CSV is written to a file",
                             "give the name of a file in it");
    }
    if (exists && !S_ISREG(info.st_mode)) {
      fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
      if (fd_ < 0) return FileError("open", path_, errno);
      return {};
    }
    static std::atomic<int> counter{0};
    std::string temp =
        path_ + ".tmp" + std::to_string(::getpid()) + "." + std::to_string(counter++);
    fd_ = ::open(temp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd_ < 0) return FileError("write", path_, errno);
    temp_ = std::move(temp);
    return {};
  }

  Status Write(std::string_view bytes) {
    if (fd_ < 0) return Internal("the CSV writer of '" + path_ + "' is finished");
    wrote_ |= !bytes.empty();
    const auto size = static_cast<int64_t>(bytes.size());
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FileError("write", path_, errno);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    if (!temp_.empty()) sync_.Grew(fd_, size);
    return {};
  }

  std::string path_;
  const Plan plan_;
  std::string temp_;  // empty: nothing to rename or remove
  int fd_ = -1;
  EarlySync sync_;
  bool wrote_ = false;
};

// Whether `c` may stand in the text of a value that is no string.
bool MayStandInValue(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' ||
         c == '-' || c == '.' || c == ':' || c == ' ';
}

}  // namespace

Result<std::unique_ptr<TableWriter>> CreateCsvWriter(
    const std::string& path, const CsvDialect& dialect, Schema schema,
    const std::optional<CsvDialect>& row_text_dialect) {
  RETURN_IF_ERROR(CheckCsvDialect(dialect));
  if (schema.fields.empty()) return InvalidArgument("a CSV file needs at least one column");
  Plan plan;
  plan.dialect = dialect;
  plan.schema = std::move(schema);
  plan.compression = CompressionOf(path);
  plan.pass_row_text = row_text_dialect && row_text_dialect->delimiter == dialect.delimiter &&
                       row_text_dialect->quote == dialect.quote;
  plan.check_all = MayStandInValue(dialect.delimiter) || MayStandInValue(dialect.quote);
  auto writer = std::make_unique<CsvWriter>(path, std::move(plan));
  RETURN_IF_ERROR(writer->Start());
  return std::unique_ptr<TableWriter>(std::move(writer));
}

void AppendCsvRecord(const std::vector<std::string>& cells, const CsvDialect& dialect,
                     std::string* out) {
  const size_t begin = out->size();
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) out->push_back(dialect.delimiter);
    (void)AppendText(cells[i], dialect, out);
  }
  EndLine(begin, dialect, out);
}

}  // namespace slipway
