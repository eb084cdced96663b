#include "slipway/table/stream.h"

#include <exception>
#include <map>
#include <new>
#include <optional>
#include <thread>

#include "slipway/base/mutex.h"

namespace slipway {
namespace {

// Errors of the worker threads' own making: the thread must never throw.
template <typename F>
Status NoThrow(F&& f) noexcept {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return Unavailable("out of memory while streaming rows");
  } catch (const std::exception& e) {
    return Internal(std::string("unexpected failure while streaming rows: ") + e.what());
  }
}

struct DoneChunk {
  EncodedChunk encoded;
  std::vector<BadRow> bad;
  int64_t rows = 0;
  Status status;
};

class OrderedRun {
 public:
  OrderedRun(ChunkSource& source, const std::function<BatchTransform()>& make_transform,
             TableWriter* writer, const StreamOptions& options)
      : source_(source),
        make_transform_(make_transform),
        writer_(writer),
        options_(options),
        window_(2 * std::max(1, options.threads) + 2) {}

  Result<StreamCounts> Run() {
    {
      std::vector<std::jthread> threads;
      for (int i = 1; i < options_.threads; ++i) threads.emplace_back([this] { Work(); });
      Work();
    }
    MutexLock lock(mutex_);
    if (error_) return *error_;
    if (cancelled()) return Cancelled("interrupted");
    if (writer_ != nullptr) RETURN_IF_ERROR(writer_->Finish());
    return counts_;
  }

 private:
  bool cancelled() const {
    return options_.cancel != nullptr && options_.cancel->load(std::memory_order_relaxed);
  }

  void Work() {
    std::unique_ptr<ChunkDecoder> decoder = source_.NewDecoder();
    std::unique_ptr<ChunkEncoder> encoder = writer_ != nullptr ? writer_->NewEncoder() : nullptr;
    BatchTransform transform = make_transform_();
    Chunk chunk;
    int64_t number = 0;
    while (Take(&chunk, &number)) {
      DoneChunk done;
      done.status =
          NoThrow([&] { return Process(chunk, *decoder, transform, encoder.get(), &done); });
      chunk.payload.reset();
      Deliver(number, std::move(done));
    }
  }

  Status Process(const Chunk& chunk, ChunkDecoder& decoder, BatchTransform& transform,
                 ChunkEncoder* encoder, DoneChunk* done) {
    const BatchConsumer emit = [&](const Batch& out) -> Status {
      if (encoder == nullptr) return {};
      return encoder->Encode(out, &done->encoded);
    };
    return decoder.Decode(
        chunk,
        [&](const Batch& batch) -> Status {
          if (cancelled()) return Cancelled("interrupted");
          done->rows += batch.rows;
          return transform(batch, emit);
        },
        &done->bad);
  }

  // Next() runs under its own lock, so that workers can deliver while one reads.
  bool Take(Chunk* chunk, int64_t* number) {
    MutexLock source_lock(source_mutex_);
    {
      MutexLock lock(mutex_);
      while (!error_ && taken_ - appended_ >= window_) space_.Wait(mutex_);
      if (error_ || at_end_ || cancelled()) return false;
    }
    Result<bool> next = true;
    const Status status = NoThrow([&]() -> Status {
      next = source_.Next(chunk);
      return {};
    });
    MutexLock lock(mutex_);
    if (!status.ok() || !next.ok()) {
      at_end_ = true;
      DoneChunk failed;
      failed.status = status.ok() ? Status(next.error()) : status;
      pending_.emplace(taken_++, std::move(failed));
      Drain();
      return false;
    }
    if (!*next) {
      at_end_ = true;
      return false;
    }
    *number = taken_++;
    return true;
  }

  void Deliver(int64_t number, DoneChunk done) {
    MutexLock lock(mutex_);
    pending_.emplace(number, std::move(done));
    Drain();
  }

  // Appends every chunk that is next in order; one thread at a time.
  void Drain() REQUIRES_LOCK(mutex_) {
    if (draining_) return;
    draining_ = true;
    for (auto it = pending_.find(appended_); it != pending_.end() && !error_;
         it = pending_.find(appended_)) {
      DoneChunk done = std::move(it->second);
      pending_.erase(it);
      mutex_.unlock();
      Status status = NoThrow([&] { return AppendOne(&done); });
      mutex_.lock();
      ++appended_;
      if (status.ok()) {
        counts_.rows += done.rows;
        counts_.bad_rows += static_cast<int64_t>(done.bad.size());
        if (options_.progress) options_.progress(source_.progress(), counts_.rows);
      } else {
        error_ = status.error();
        pending_.clear();
      }
      space_.NotifyAll();
    }
    draining_ = false;
  }

  Status AppendOne(DoneChunk* done) {
    RETURN_IF_ERROR(done->status);
    for (const BadRow& row : done->bad) {
      if (options_.on_bad_rows == OnBadRows::kFail) {
        return InvalidArgument(
            BadRowMessage(row),
            "mend the row, or say what to do with such rows: on_bad_rows: skip | quarantine");
      }
      if (options_.on_bad_rows == OnBadRows::kQuarantine && options_.quarantine) {
        RETURN_IF_ERROR(options_.quarantine(row));
      }
    }
    if (writer_ == nullptr) return {};
    return writer_->Append(std::move(done->encoded));
  }

  ChunkSource& source_;
  const std::function<BatchTransform()>& make_transform_;
  TableWriter* writer_;
  const StreamOptions& options_;
  const int64_t window_;
  Mutex source_mutex_;
  Mutex mutex_;
  CondVar space_;
  std::map<int64_t, DoneChunk> pending_ GUARDED_BY(mutex_);
  int64_t taken_ GUARDED_BY(mutex_) = 0;
  int64_t appended_ GUARDED_BY(mutex_) = 0;
  bool at_end_ GUARDED_BY(mutex_) = false;
  bool draining_ GUARDED_BY(mutex_) = false;
  std::optional<Error> error_ GUARDED_BY(mutex_);
  StreamCounts counts_ GUARDED_BY(mutex_);
};

}  // namespace

std::string BadRowMessage(const BadRow& row) {
  std::string out = row.file + ":" + std::to_string(row.line) + ": ";
  if (!row.column.empty()) out += "column '" + row.column + "': ";
  return out + row.reason;
}

Result<StreamCounts> RunOrdered(ChunkSource& source,
                                const std::function<BatchTransform()>& make_transform,
                                TableWriter* writer, const StreamOptions& options) {
  return OrderedRun(source, make_transform, writer, options).Run();
}

Result<StreamCounts> ForEachBatch(ChunkSource& source, const BatchConsumer& consume,
                                  const StreamOptions& options) {
  StreamOptions serial = options;
  serial.threads = 1;
  return RunOrdered(
      source,
      [&]() -> BatchTransform {
        return [&](const Batch& batch, const BatchConsumer&) { return consume(batch); };
      },
      nullptr, serial);
}

}  // namespace slipway
