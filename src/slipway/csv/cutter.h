// Cuts a source into blocks that end at record ends, and reads what stands before the records.
// Serial and cheap: the heavy work is the decoders'. Internal to module csv. Blocks' memory is
// pooled. Confined to one thread, except that blocks may be let go anywhere.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/csv/byte_source.h"
#include "slipway/csv/dialect.h"
#include "slipway/csv/scan.h"

namespace slipway {

// Whole records of one file.
struct CsvBlock {
  std::shared_ptr<char[]> memory;
  size_t size = 0;
  int64_t line = 1;        // of its first byte
  bool ends_file = false;  // nothing follows
  std::string_view text() const { return {memory.get(), size}; }
};

// Reuses the memory of blocks that nobody holds any more. Thread-safe.
class BlockPool {
 public:
  explicit BlockPool(size_t block_bytes);
  // At least `bytes` bytes; `capacity` says how many.
  std::shared_ptr<char[]> Take(size_t bytes, size_t* capacity);

 private:
  struct Shelf;
  size_t block_bytes_;
  std::shared_ptr<Shelf> shelf_;
};

// What stands before the data records: byte order mark, skipped lines, blank lines, header.
struct CsvPrologue {
  std::vector<std::string> header;  // the header's cells; empty without one
  size_t bytes = 0;                 // length of the prologue
  int64_t lines = 0;                // its line feeds
  int columns = 0;  // cells of the header, or of the first record; 0 in an empty file
  RecordProblem problem = RecordProblem::kNone;  // of the header
};

// Looks, without consuming. Errors name the source.
Result<CsvPrologue> PeekCsvPrologue(ByteSource* source, const CsvDialect& dialect,
                                    size_t max_record_bytes);

class CsvCutter {
 public:
  // Consumes the prologue. The source must outlive the cutter.
  static Result<CsvCutter> Start(ByteSource* source, const CsvDialect& dialect,
                                 const CsvPrologue& prologue, size_t chunk_bytes,
                                 size_t max_record_bytes, BlockPool* pool);
  // False at the end.
  Result<bool> Next(CsvBlock* block);

 private:
  ByteSource* source_ = nullptr;
  CsvDialect dialect_;
  size_t chunk_bytes_ = 0;
  size_t max_record_bytes_ = 0;
  BlockPool* pool_ = nullptr;
  std::string tail_;  // read, but behind the last cut
  int64_t line_ = 1;
  bool done_ = false;
};

}  // namespace slipway
