#include "slipway/dataset/parquet_writer.h"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "slipway/base/early_sync.h"
#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/mutex.h"
#include "slipway/dataset/duckdb_connection.h"
#include "slipway/dataset/stream_function.h"

namespace slipway {
namespace {

constexpr int64_t kRowGroupRows = 61440;
// A column with more distinct values in a row group than these is written without a dictionary.
constexpr int64_t kDictionaryValues = 4096;

// A row group is held in memory while it is built: about 64 MB at most, in whole vectors.
int64_t RowGroupRows(const Schema& schema) {
  const int64_t fits = (int64_t{64} << 20) / (std::max(1, schema.size()) * 16);
  return std::clamp<int64_t>(fits / kBatchRows * kBatchRows, kBatchRows, kRowGroupRows);
}

// Batches on their way from Append() to the engine's thread, and used ones on their way back to the
// encoders. Thread-safe.
class BatchQueue : public BatchFeed {
 public:
  explicit BatchQueue(size_t capacity) : capacity_(capacity) {}
  // Waits for room. False: the reading side has ended.
  bool Push(std::unique_ptr<OwnedBatch> batch) {
    MutexLock lock(mutex_);
    while (batches_.size() >= capacity_ && !closed_) changed_.Wait(mutex_);
    if (closed_) return false;
    batches_.push_back(std::move(batch));
    changed_.NotifyAll();
    return true;
  }
  // No more batches will come.
  void End() {
    MutexLock lock(mutex_);
    ended_ = true;
    changed_.NotifyAll();
  }
  // The writing side gives up: Next() fails.
  void Abort() {
    MutexLock lock(mutex_);
    aborted_ = true;
    changed_.NotifyAll();
  }
  // The reading side has ended: Push() no longer waits.
  void Close() {
    MutexLock lock(mutex_);
    closed_ = true;
    changed_.NotifyAll();
  }
  Result<bool> Next(Batch* batch) override {
    MutexLock lock(mutex_);
    if (current_ && spare_.size() < 2 * capacity_) spare_.push_back(std::move(current_));
    while (batches_.empty() && !ended_ && !aborted_) changed_.Wait(mutex_);
    if (aborted_) return Cancelled("interrupted");
    if (batches_.empty()) return false;
    current_ = std::move(batches_.front());
    batches_.pop_front();
    changed_.NotifyAll();
    *batch = current_->View();
    return true;
  }
  std::unique_ptr<OwnedBatch> Spare() {
    MutexLock lock(mutex_);
    if (spare_.empty()) return nullptr;
    std::unique_ptr<OwnedBatch> out = std::move(spare_.back());
    spare_.pop_back();
    return out;
  }

 private:
  const size_t capacity_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::unique_ptr<OwnedBatch>> batches_ GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<OwnedBatch>> spare_ GUARDED_BY(mutex_);
  std::unique_ptr<OwnedBatch> current_ GUARDED_BY(mutex_);
  bool ended_ GUARDED_BY(mutex_) = false;
  bool aborted_ GUARDED_BY(mutex_) = false;
  bool closed_ GUARDED_BY(mutex_) = false;
};

// What DuckDB's scan owns; the queue itself belongs to the writer.
class QueueFeed : public BatchFeed {
 public:
  explicit QueueFeed(BatchQueue* queue) : queue_(queue) {}
  Result<bool> Next(Batch* batch) override { return queue_->Next(batch); }

 private:
  BatchQueue* queue_;
};

class ParquetEncoder : public ChunkEncoder {
 public:
  ParquetEncoder(const Schema& schema, BatchQueue* queue) : schema_(schema), queue_(queue) {}
  Status Encode(const Batch& batch, EncodedChunk* out) override {
    if (batch.rows == 0) return {};
    std::unique_ptr<OwnedBatch> copy = queue_->Spare();
    if (!copy) copy = std::make_unique<OwnedBatch>(schema_);
    copy->CopyFrom(batch);
    out->rows += batch.rows;
    out->batches.push_back(std::move(copy));
    return {};
  }

 private:
  const Schema& schema_;
  BatchQueue* queue_;
};

class ParquetWriter : public TableWriter {
 public:
  ParquetWriter(std::string path, std::string temporary, Schema schema)
      : path_(std::move(path)),
        temporary_(std::move(temporary)),
        schema_(std::move(schema)),
        // A row group's worth: while the engine encodes one, the workers make the next.
        queue_(static_cast<size_t>(RowGroupRows(schema_) / kBatchRows)) {}
  ~ParquetWriter() override {
    queue_.Abort();
    if (thread_.joinable()) thread_.join();
    (void)sync_.End();
    if (fd_ >= 0) close(fd_);
    if (!finished_) unlink(temporary_.c_str());
  }

  void Start();
  std::unique_ptr<ChunkEncoder> NewEncoder() override {
    return std::make_unique<ParquetEncoder>(schema_, &queue_);
  }
  Status Append(EncodedChunk chunk) override;
  Status Finish() override;

 private:
  void Copy() noexcept;
  Status OpenAndCopy();
  // What the engine's thread ended with. REQUIRES: it has ended.
  Status Outcome();

  const std::string path_;
  const std::string temporary_;
  const Schema schema_;
  BatchQueue queue_;
  std::unique_ptr<FeedTables> tables_;
  std::unique_ptr<DuckConnection> connection_;
  std::thread thread_;
  Status copied_;  // written by the thread, read after join
  EarlySync sync_;
  int64_t row_bytes_ = 0;
  int fd_ = -1;  // for the early sync alone
  bool finished_ = false;
};

// The engine opens in its thread, while the first rows are being made.
void ParquetWriter::Start() {
  row_bytes_ = int64_t{8} * schema_.size();
  fd_ = open(temporary_.c_str(), O_RDONLY | O_CLOEXEC);
  thread_ = std::thread([this] { Copy(); });
}

Status ParquetWriter::OpenAndCopy() {
  // One engine thread, ours: a second one would make the first spin on a core while it waits.
  EngineOptions options;
  options.files = {temporary_};
  options.memory_limit = 256 << 20;
  ASSIGN_OR_RETURN(connection_, DuckConnection::Open(options));
  FeedTable table;
  table.schema = schema_;
  table.open = [this](const std::vector<int>&) -> Result<std::unique_ptr<BatchFeed>> {
    return std::unique_ptr<BatchFeed>(new QueueFeed(&queue_));
  };
  tables_ = std::make_unique<FeedTables>(std::vector<FeedTable>{std::move(table)});
  RETURN_IF_ERROR(tables_->Register(connection_.get()));
  const Result<DuckResult> result =
      connection_->Query("COPY (SELECT * FROM slipway_rows(0)) TO " + QuotedSqlText(temporary_) +
                         " " + ParquetCopyOptions(schema_));
  if (!result.ok()) return result.error();
  return {};
}

void ParquetWriter::Copy() noexcept {
  try {
    copied_ = OpenAndCopy();
  } catch (const std::exception& e) {
    copied_ = Unavailable(std::string("cannot write Parquet: ") + e.what());
  }
  queue_.Close();
}

Status ParquetWriter::Outcome() {
  if (thread_.joinable()) thread_.join();
  if (copied_.ok()) return {};
  if (tables_) {
    if (Status failed = tables_->error(); !failed.ok()) return failed;
  }
  return copied_.error().Within("cannot write '" + path_ + "'");
}

Status ParquetWriter::Append(EncodedChunk chunk) {
  for (std::unique_ptr<OwnedBatch>& batch : chunk.batches) {
    if (fd_ >= 0) sync_.Grew(fd_, batch->rows * row_bytes_);
    if (queue_.Push(std::move(batch))) continue;
    RETURN_IF_ERROR(Outcome());
    return Internal("the Parquet writer ended early on '" + path_ + "'");
  }
  return {};
}

Status ParquetWriter::Finish() {
  queue_.End();
  RETURN_IF_ERROR(Outcome());
  connection_.reset();
  if (const int error = sync_.End(); error != 0) return FileError("fsync", path_, error);
  RETURN_IF_ERROR(FsyncFile(temporary_));
  RETURN_IF_ERROR(RenameDurably(temporary_, path_));
  finished_ = true;
  return {};
}

}  // namespace

std::string ParquetCopyOptions(const Schema& schema) {
  return "(FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE " +
         std::to_string(RowGroupRows(schema)) + ", DICTIONARY_SIZE_LIMIT " +
         std::to_string(kDictionaryValues) + ", USE_TMP_FILE false)";
}

Result<std::string> CreateFileBeside(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return InvalidArgument("'" + path +
                           "' is not a regular file, so a table cannot be written there");
  }
  const std::string name = "." + BaseName(path) + "." + RandomId().substr(0, 8) + ".tmp";
  std::string temporary = JoinPath(DirName(path), name);
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return FileError("create", path, errno);
  close(fd);
  return temporary;
}

Result<std::unique_ptr<TableWriter>> CreateParquetWriter(const std::string& path,
                                                         const Schema& schema) {
  if (path == "-") {
    return InvalidArgument("Parquet cannot be written to standard output",
                           "name a file, or choose csv or jsonl");
  }
  if (schema.fields.empty())
    return InvalidArgument("a table without columns cannot be written as Parquet");
  const std::string absolute = AbsolutePath(path);
  ASSIGN_OR_RETURN(std::string temporary, CreateFileBeside(absolute));
  auto writer = std::make_unique<ParquetWriter>(absolute, std::move(temporary), schema);
  writer->Start();
  return std::unique_ptr<TableWriter>(std::move(writer));
}

}  // namespace slipway
