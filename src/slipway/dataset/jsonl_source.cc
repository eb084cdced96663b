#include "slipway/dataset/jsonl_source.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "slipway/base/text.h"
#include "slipway/dataset/engine_source.h"
#include "slipway/dataset/json_line.h"
#include "slipway/table/batch.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Whole lines of one file; Padding() readable bytes follow `size`.
struct JsonText {
  std::string file;
  int64_t first_line = 1;
  std::unique_ptr<char[]> bytes;
  size_t size = 0;
};

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// Takes the next line, without its end, from the front of *rest.
std::string_view TakeLine(std::string_view* rest) {
  const size_t end = rest->find('\n');
  std::string_view line = rest->substr(0, end);
  rest->remove_prefix(end == std::string_view::npos ? rest->size() : end + 1);
  return line;
}

// Cuts one file into texts of whole lines. Confined to one thread.
class LineCutter {
 public:
  LineCutter(std::shared_ptr<ByteSource> input, size_t chunk_bytes, size_t max_line_bytes)
      : input_(std::move(input)), chunk_bytes_(chunk_bytes), max_line_bytes_(max_line_bytes) {}

  // False at the end of the file.
  Result<bool> Next(JsonText* out) {
    size_t capacity = std::max(chunk_bytes_, 2 * rest_.size());
    auto bytes = std::make_unique_for_overwrite<char[]>(capacity + JsonLineParser::Padding());
    std::memcpy(bytes.get(), rest_.data(), rest_.size());
    size_t size = rest_.size();
    size_t cut = 0;
    while (true) {
      if (!at_end_) {
        ASSIGN_OR_RETURN(const size_t got, input_->Read(bytes.get() + size, capacity - size));
        at_end_ = got < capacity - size;
        size += got;
      }
      const void* newline = memrchr(bytes.get(), '\n', size);
      cut = newline != nullptr
                ? static_cast<size_t>(static_cast<const char*>(newline) - bytes.get()) + 1
                : 0;
      if (at_end_) cut = size;
      if (at_end_ || cut > 0) break;
      if (size >= max_line_bytes_) {
        return InvalidArgument(input_->name() + ":" + std::to_string(line_) +
                                   ": the line is longer than " +
                                   FormatBytes(static_cast<int64_t>(max_line_bytes_)),
                               "JSON lines hold one object per line");
      }
      capacity *= 2;
      auto larger = std::make_unique_for_overwrite<char[]>(capacity + JsonLineParser::Padding());
      std::memcpy(larger.get(), bytes.get(), size);
      bytes = std::move(larger);
    }
    rest_.assign(bytes.get() + cut, size - cut);
    if (cut == 0) return false;
    std::memset(bytes.get() + cut, 0, JsonLineParser::Padding());
    out->file = input_->name();
    out->first_line = line_;
    out->size = cut;
    line_ += std::count(bytes.get(), bytes.get() + cut, '\n');
    out->bytes = std::move(bytes);
    return true;
  }
  const ByteSource& input() const { return *input_; }

 private:
  std::shared_ptr<ByteSource> input_;
  const size_t chunk_bytes_;
  const size_t max_line_bytes_;
  std::string rest_;  // the beginning of a line whose end is not read yet
  int64_t line_ = 1;
  bool at_end_ = false;
};

class JsonLinesSource : public ChunkSource {
 public:
  JsonLinesSource(JsonLinesReadOptions options, std::vector<int> wanted)
      : options_(std::move(options)), wanted_(std::move(wanted)) {}

  const Schema& schema() const override { return options_.schema; }
  const std::vector<int>& wanted() const { return wanted_; }
  std::unique_ptr<ChunkDecoder> NewDecoder() override;
  double progress() const override { return progress_.load(std::memory_order_relaxed); }

  Result<bool> Next(Chunk* chunk) override {
    while (true) {
      if (!cutter_) {
        if (file_ == options_.files.size()) return false;
        RETURN_IF_ERROR(OpenNext());
      }
      auto text = std::make_shared<JsonText>();
      ASSIGN_OR_RETURN(const bool more, cutter_->Next(text.get()));
      const double part = cutter_->input().progress();
      const auto files = static_cast<double>(options_.files.size());
      progress_.store(part < 0 ? -1 : (static_cast<double>(file_ - 1) + part) / files,
                      std::memory_order_relaxed);
      if (!more) {
        cutter_.reset();
        continue;
      }
      chunk->number = number_++;
      chunk->bytes = static_cast<int64_t>(text->size);
      chunk->payload = std::move(text);
      return true;
    }
  }

 private:
  Status OpenNext() {
    const std::string& path = options_.files[file_++];
    std::shared_ptr<ByteSource> input;
    if (path == "-" && options_.standard_input) {
      input = std::move(options_.standard_input);
    } else {
      ASSIGN_OR_RETURN(input, ByteSource::Open(path));
    }
    cutter_ = std::make_unique<LineCutter>(std::move(input), options_.chunk_bytes,
                                           options_.max_line_bytes);
    return {};
  }

  JsonLinesReadOptions options_;
  const std::vector<int> wanted_;
  std::unique_ptr<LineCutter> cutter_;
  size_t file_ = 0;
  int64_t number_ = 0;
  std::atomic<double> progress_{0};
};

class JsonLinesDecoder : public ChunkDecoder {
 public:
  explicit JsonLinesDecoder(const JsonLinesSource& source)
      : schema_(source.schema()),
        columns_(static_cast<size_t>(schema_.size())),
        views_(columns_.size()),
        seen_(columns_.size(), 0) {
    for (int i : source.wanted()) wanted_.push_back(static_cast<size_t>(i));
    for (size_t i = 0; i < columns_.size(); ++i) {
      index_.emplace(schema_.fields[i].name, i);
      views_[i].type = schema_.fields[i].type;
    }
    is_wanted_.resize(columns_.size());
    for (size_t i : wanted_) is_wanted_[i] = true;
  }

  Status Decode(const Chunk& chunk, const BatchConsumer& consume,
                std::vector<BadRow>* bad) override {
    const auto& text = *static_cast<const JsonText*>(chunk.payload.get());
    std::string_view rest(text.bytes.get(), text.size);
    int64_t line_number = text.first_line;
    Start();
    for (; !rest.empty(); ++line_number) {
      std::string_view line = TakeLine(&rest);
      if (line_number == 1 && line.starts_with(kByteOrderMark))
        line.remove_prefix(kByteOrderMark.size());
      if (IsBlank(line)) continue;
      BadRow found;
      if (ReadRow(line, &found)) {
        if (++rows_ == kBatchRows) RETURN_IF_ERROR(Flush(consume));
        continue;
      }
      for (size_t i : wanted_) columns_[i].SetNull(rows_);
      found.file = text.file;
      found.line = line_number;
      found.text = line.substr(0, kMaxBadText);
      bad->push_back(std::move(found));
    }
    return Flush(consume);
  }

 private:
  void Start() {
    for (size_t i : wanted_) columns_[i].Reset(schema_.fields[i].type);
    rows_ = 0;
  }
  Status Flush(const BatchConsumer& consume) {
    if (rows_ == 0) return {};
    for (size_t i : wanted_) views_[i] = columns_[i].View();
    const Batch batch{&schema_, rows_, -1, views_, {}, 0};
    RETURN_IF_ERROR(consume(batch));
    Start();
    return {};
  }

  // Lines of one writer have their keys in one order: the next key is mostly the next column.
  size_t FindColumn(std::string_view key, size_t expected) const {
    if (expected < columns_.size() && schema_.fields[expected].name == key) return expected;
    const auto found = index_.find(key);
    return found == index_.end() ? columns_.size() : found->second;
  }

  bool ReadRow(std::string_view line, BadRow* found) {
    if (!parser_.Parse(line, &found->reason)) return false;
    ++stamp_;
    size_t expected = 0;
    for (const JsonMember& member : parser_.members()) {
      const size_t at = FindColumn(member.key, expected);
      if (at == columns_.size()) continue;
      expected = at + 1;
      if (seen_[at] == stamp_) {
        found->column = schema_.fields[at].name;
        found->reason = "the key stands twice";
        return false;
      }
      seen_[at] = stamp_;
      if (!is_wanted_[at] || member.kind == JsonMember::Kind::kNull) continue;
      if (!ReadCell(member, &columns_[at], &found->reason)) {
        found->column = schema_.fields[at].name;
        return false;
      }
    }
    return true;
  }

  bool ReadCell(const JsonMember& member, Column* column, std::string* reason) const {
    const bool is_string = column->type() == Type::kString;
    if (member.kind == JsonMember::Kind::kNested && !is_string) {
      *reason = "an object or array is not a " + std::string(TypeName(column->type()));
      return false;
    }
    const std::string_view text =
        is_string && !member.in_line ? column->Intern(member.text) : member.text;
    if (ParseCellInto(text, rows_, column)) return true;
    *reason = "'" + std::string(text.substr(0, 100)) + "' is not a " +
              std::string(TypeName(column->type()));
    return false;
  }

  const Schema& schema_;
  JsonLineParser parser_;
  std::vector<Column> columns_;
  std::vector<ColumnView> views_;
  std::vector<size_t> wanted_;
  std::vector<bool> is_wanted_;
  std::unordered_map<std::string_view, size_t> index_;
  std::vector<uint64_t> seen_;  // per column: the stamp of the last row that had its key
  uint64_t stamp_ = 0;
  int rows_ = 0;
};

std::unique_ptr<ChunkDecoder> JsonLinesSource::NewDecoder() {
  return std::make_unique<JsonLinesDecoder>(*this);
}

}  // namespace

Result<std::unique_ptr<ChunkSource>> OpenJsonLines(JsonLinesReadOptions options) {
  ASSIGN_OR_RETURN(std::vector<int> wanted, WantedColumns(options.schema, options.columns));
  options.chunk_bytes = std::max<size_t>(options.chunk_bytes, 16);
  return std::unique_ptr<ChunkSource>(new JsonLinesSource(std::move(options), std::move(wanted)));
}

Result<int64_t> CountJsonLines(const std::vector<std::string>& files) {
  int64_t count = 0;
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(std::shared_ptr<ByteSource> input, ByteSource::Open(file));
    LineCutter cutter(std::move(input), size_t{1} << 20, size_t{64} << 20);
    JsonText text;
    while (true) {
      ASSIGN_OR_RETURN(const bool more, cutter.Next(&text));
      if (!more) break;
      std::string_view rest(text.bytes.get(), text.size);
      if (text.first_line == 1 && rest.starts_with(kByteOrderMark))
        rest.remove_prefix(kByteOrderMark.size());
      while (!rest.empty()) count += IsBlank(TakeLine(&rest)) ? 0 : 1;
    }
  }
  return count;
}

}  // namespace slipway
