// How tables move: a source of numbered chunks -> workers that decode, change and encode -> a
// writer that takes the encoded chunks in the source's order. Memory is bounded by the number of
// chunks in flight.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/table/batch.h"

namespace slipway {

// A row that could not be read: where and why, and its text for the quarantine file.
struct BadRow {
  std::string file;
  int64_t line = 0;    // 1-based line of the file (CSV, JSON lines) or row (Parquet)
  std::string column;  // name, or empty when the row as a whole is bad
  std::string reason;
  std::string text;  // the row as it stands, cut at 64 KiB
};
inline constexpr size_t kMaxBadText = 64 << 10;
// "trips.csv:17: column 'fare': 'abc' is not a double"
std::string BadRowMessage(const BadRow& row);

// A piece of a source, cut but not yet decoded (CSV bytes, or rows that a library decoded already).
struct Chunk {
  int64_t number = 0;  // 0, 1, 2, ... in the source's order
  int64_t bytes = 0;
  std::shared_ptr<const void> payload;
};

using BatchConsumer = std::function<Status(const Batch&)>;

// Turns chunks into batches. Confined to one thread; one per worker.
class ChunkDecoder {
 public:
  virtual ~ChunkDecoder() = default;
  // Calls `consume` once per batch, in order. Rows that cannot be read are left out and appended to
  // *bad. Stops at the first error of `consume` and returns it.
  virtual Status Decode(const Chunk& chunk, const BatchConsumer& consume,
                        std::vector<BadRow>* bad) = 0;
};

class ChunkSource {
 public:
  virtual ~ChunkSource() = default;
  // Columns that the batches have; those not asked for have data == nullptr.
  virtual const Schema& schema() const = 0;
  // The next chunk; false at the end. One caller at a time.
  virtual Result<bool> Next(Chunk* chunk) = 0;
  // Thread-safe. The decoder must not outlive the source.
  virtual std::unique_ptr<ChunkDecoder> NewDecoder() = 0;
  // Part read so far, 0 to 1; negative when not known. Thread-safe.
  virtual double progress() const { return -1; }
};

// What an encoder made of a chunk: text for text formats, rows for Parquet.
struct EncodedChunk {
  std::string bytes;
  std::vector<std::unique_ptr<OwnedBatch>> batches;
  int64_t rows = 0;
};

// Turns batches into what the writer appends. Confined to one thread; one per worker.
class ChunkEncoder {
 public:
  virtual ~ChunkEncoder() = default;
  virtual Status Encode(const Batch& batch, EncodedChunk* out) = 0;
};

// Writes a table to a file, standard output or a folder. Nothing counts until Finish() returned ok;
// a writer destroyed before leaves no file (except what went to standard output).
class TableWriter {
 public:
  virtual ~TableWriter() = default;
  virtual std::unique_ptr<ChunkEncoder> NewEncoder() = 0;  // thread-safe
  virtual Status Append(EncodedChunk chunk) = 0;           // in order, one caller at a time
  virtual Status Finish() = 0;
};

enum class OnBadRows { kFail, kSkip, kQuarantine };

struct StreamOptions {
  int threads = 1;
  OnBadRows on_bad_rows = OnBadRows::kFail;
  // Called in order with each bad row under kQuarantine.
  std::function<Status(const BadRow&)> quarantine;
  // Called from time to time by one thread at a time with (part done or -1, rows so far).
  std::function<void(double, int64_t)> progress;
  const std::atomic<bool>* cancel = nullptr;
};

struct StreamCounts {
  int64_t rows = 0;
  int64_t bad_rows = 0;
};

// What a worker does to each batch: it may hand `emit` any number of batches.
using BatchTransform = std::function<Status(const Batch&, const BatchConsumer& emit)>;

// source -> `threads` workers (each with its own transform from `make_transform`) -> writer, in
// order. On an error everything stops and the first error in source order is returned. writer ==
// nullptr: rows are only transformed and counted. Calls writer->Finish() at the end.
Result<StreamCounts> RunOrdered(ChunkSource& source,
                                const std::function<BatchTransform()>& make_transform,
                                TableWriter* writer, const StreamOptions& options);

// One thread, in order: `consume` sees every batch. For fitting and training.
Result<StreamCounts> ForEachBatch(ChunkSource& source, const BatchConsumer& consume,
                                  const StreamOptions& options);

}  // namespace slipway
