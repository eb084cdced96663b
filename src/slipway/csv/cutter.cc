#include "slipway/csv/cutter.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "slipway/base/mutex.h"
#include "slipway/base/text.h"
#include "slipway/csv/scan.h"

namespace slipway {
namespace {

constexpr size_t kShelfBlocks = 64;
constexpr size_t kPrologueBytes = size_t{64} << 10;

Error RecordTooLong(const std::string& name, int64_t line, size_t limit) {
  return InvalidArgument(
      "'" + name + "' line " + std::to_string(line) + ": a record is longer than the limit of " +
          FormatBytes(static_cast<int64_t>(limit)),
      "look for a quote that is opened there and never closed, or state another `quote:`");
}

// Past `count` line feeds; npos when the text has fewer.
size_t SkipLines(std::string_view text, int count) {
  size_t at = 0;
  for (int i = 0; i < count; ++i) {
    const size_t feed = text.find('\n', at);
    if (feed == std::string_view::npos) return feed;
    at = feed + 1;
  }
  return at;
}

// False: the prologue does not end within `text` (which is not the whole file).
bool ParsePrologue(std::string_view text, bool whole, const CsvDialect& dialect, CsvPrologue* out) {
  std::string_view rest = SkipByteOrderMark(text);
  const size_t skipped = SkipLines(rest, dialect.skip_lines);
  if (skipped == std::string_view::npos && !whole) return false;
  rest.remove_prefix(std::min(skipped, rest.size()));
  Column arena(Type::kString);
  CsvTokeniser tokeniser(rest, dialect, 1, &arena);
  CsvRecord record;
  std::vector<std::string_view> cells;
  size_t data = 0;
  while (tokeniser.Next(nullptr, 0, &record)) {
    if (!record.terminated && !whole) return false;
    if (record.blank && dialect.header) continue;
    if (record.blank && tokeniser.position() < rest.size()) {
      out->columns = 1;  // unless a later line says more
      continue;
    }
    out->columns = record.cells;
    if (!dialect.header) break;
    out->problem = record.problem;
    cells.resize(static_cast<size_t>(record.cells));
    data = tokeniser.position();
    const size_t begin = static_cast<size_t>(record.text.data() - rest.data());
    CsvTokeniser again(rest.substr(begin, data - begin), dialect, 1, &arena);
    again.Next(cells.data(), record.cells, &record);
    out->header.assign(cells.begin(), cells.end());
    break;
  }
  out->bytes = text.size() - rest.size() + data;
  out->lines = CountLineFeeds(text.substr(0, out->bytes));
  return true;
}

}  // namespace

struct BlockPool::Shelf {
  Mutex mutex;
  std::vector<std::unique_ptr<char[]>> blocks GUARDED_BY(mutex);
};

BlockPool::BlockPool(size_t block_bytes)
    : block_bytes_(block_bytes), shelf_(std::make_shared<Shelf>()) {}

std::shared_ptr<char[]> BlockPool::Take(size_t bytes, size_t* capacity) {
  *capacity = std::max(bytes, block_bytes_);
  // Uninitialised on purpose: a read fills it.
  if (bytes > block_bytes_) return std::shared_ptr<char[]>(new char[bytes]);
  std::unique_ptr<char[]> block;
  {
    MutexLock lock(shelf_->mutex);
    if (!shelf_->blocks.empty()) {
      block = std::move(shelf_->blocks.back());
      shelf_->blocks.pop_back();
    }
  }
  if (block == nullptr) block.reset(new char[block_bytes_]);
  return {block.release(), [shelf = shelf_](char* memory) {
            std::unique_ptr<char[]> owned(memory);
            MutexLock lock(shelf->mutex);
            if (shelf->blocks.size() < kShelfBlocks) shelf->blocks.push_back(std::move(owned));
          }};
}

Result<CsvPrologue> PeekCsvPrologue(ByteSource* source, const CsvDialect& dialect,
                                    size_t max_record_bytes) {
  for (size_t size = kPrologueBytes;; size *= 4) {
    ASSIGN_OR_RETURN(std::string_view head, source->Peek(size));
    CsvPrologue prologue;
    if (ParsePrologue(head, head.size() < size, dialect, &prologue)) return prologue;
    if (size > max_record_bytes) return RecordTooLong(source->name(), 1, max_record_bytes);
  }
}

Result<CsvCutter> CsvCutter::Start(ByteSource* source, const CsvDialect& dialect,
                                   const CsvPrologue& prologue, size_t chunk_bytes,
                                   size_t max_record_bytes, BlockPool* pool) {
  std::string skipped(prologue.bytes, '\0');
  ASSIGN_OR_RETURN(size_t n, source->Read(skipped.data(), skipped.size()));
  if (n != skipped.size()) return Unavailable("'" + source->name() + "' changed while it was read");
  CsvCutter cutter;
  cutter.source_ = source;
  cutter.dialect_ = dialect;
  cutter.chunk_bytes_ = std::max<size_t>(chunk_bytes, 1);
  cutter.max_record_bytes_ = max_record_bytes;
  cutter.pool_ = pool;
  cutter.line_ = 1 + prologue.lines;
  return cutter;
}

Result<bool> CsvCutter::Next(CsvBlock* block) {
  if (done_) return false;
  size_t target = std::max(chunk_bytes_, tail_.size() + 1);
  size_t capacity = 0;
  std::shared_ptr<char[]> memory = pool_->Take(target + 1, &capacity);
  size_t size = tail_.size();
  std::memcpy(memory.get(), tail_.data(), size);
  size_t cut = 0;
  for (;;) {
    ASSIGN_OR_RETURN(size_t n, source_->Read(memory.get() + size, target + 1 - size));
    size += n;
    if (size <= target) {
      done_ = true;
      cut = size;
      break;
    }
    // A byte stays behind, so that the block that ends the file is known when it is cut.
    cut = LastRecordEnd({memory.get(), size - 1}, dialect_);
    if (cut > 0) break;
    if (target >= max_record_bytes_) {
      return RecordTooLong(source_->name(), line_, max_record_bytes_);
    }
    target = std::min(target * 2, max_record_bytes_);
    std::shared_ptr<char[]> larger = pool_->Take(target + 1, &capacity);
    std::memcpy(larger.get(), memory.get(), size);
    memory = std::move(larger);
  }
  tail_.assign(memory.get() + cut, size - cut);
  if (cut == 0) return false;
  block->memory = std::move(memory);
  block->size = cut;
  block->line = line_;
  block->ends_file = done_;
  line_ += CountLineFeeds(block->text());
  return true;
}

}  // namespace slipway
