#include "slipway/capi/predict.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <new>
#include <system_error>
#include <thread>

#include "slipway/base/mutex.h"
#include "slipway/capi/arrow_output.h"

namespace slipway {
namespace {

// The first error in the order of rows, from whichever thread.
class FirstError {
 public:
  void Set(int64_t row, const Error& error) {
    const MutexLock lock(mutex_);
    if (row >= row_) return;
    row_ = row;
    error_ = error;
    failed_.store(true, std::memory_order_relaxed);
  }
  bool failed() const { return failed_.load(std::memory_order_relaxed); }
  Status Take() {
    const MutexLock lock(mutex_);
    if (!failed()) return {};
    return error_;
  }

 private:
  Mutex mutex_;
  int64_t row_ GUARDED_BY(mutex_) = std::numeric_limits<int64_t>::max();
  Error error_ GUARDED_BY(mutex_);
  std::atomic<bool> failed_ = false;
};

struct Worker {
  explicit Worker(const Schema& schema) : batch(schema) {}
  OwnedBatch batch;
  ModelScratch scratch;
};

// Of a bundle: prepares the rows, then scores their features.
void PredictBatch(const Model& model, bool raw, int rows, Worker* worker, double* out) {
  ModelScratch& scratch = worker->scratch;
  const size_t outputs = static_cast<size_t>(model.engine().outputs());
  scratch.matrix.resize(static_cast<size_t>(rows) * static_cast<size_t>(model.feature_count()));
  scratch.keep.resize(static_cast<size_t>(rows));
  model.pipeline()->Transform(worker->batch.View(), &scratch.pipeline, scratch.matrix.data(),
                              scratch.keep.data());
  if (raw) {
    model.engine().PredictRaw(scratch.matrix.data(), rows, model.feature_count(), out);
  } else {
    model.PredictMatrix(scratch.matrix.data(), rows, out);
  }
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    if (scratch.keep[row] == 0)
      std::fill_n(out + row * outputs, outputs, std::numeric_limits<double>::quiet_NaN());
  }
}

// One per thread, made by the thread that first needs it.
using Workers = std::vector<std::unique_ptr<Worker>>;

Worker* WorkerOf(const Model& model, int number, Workers* workers) {
  std::unique_ptr<Worker>& worker = (*workers)[static_cast<size_t>(number)];
  if (worker == nullptr) worker = std::make_unique<Worker>(model.inputs());
  return worker.get();
}

}  // namespace

int BatchWorkers(int64_t rows, int threads) {
  const int64_t batches = (rows + kBatchRows - 1) / kBatchRows;
  if (batches <= 1) return 1;
  if (threads <= 0) threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  return static_cast<int>(std::clamp<int64_t>(batches, 1, threads));
}

Status ForBatches(int64_t rows, int threads,
                  const std::function<Status(int64_t begin, int count, int worker)>& work) {
  FirstError first;
  std::atomic<int64_t> next = 0;
  const auto run = [&](int worker) {
    for (;;) {
      const int64_t begin = next.fetch_add(kBatchRows, std::memory_order_relaxed);
      if (begin >= rows || first.failed()) return;
      try {
        const int count = static_cast<int>(std::min<int64_t>(kBatchRows, rows - begin));
        if (Status status = work(begin, count, worker); !status.ok())
          first.Set(begin, status.error());
      } catch (const std::bad_alloc&) {
        first.Set(begin, Unavailable("not enough memory"));
      }
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < BatchWorkers(rows, threads); ++i) {
    try {
      others.emplace_back(run, i);
    } catch (const std::system_error&) {
      break;  // no more threads to be had: those that run do the rest
    }
  }
  run(0);
  for (std::thread& other : others) other.join();
  return first.Take();
}

Status PredictScores(const Model& model, const InputRows& rows, bool raw, int threads,
                     double* out) {
  if (model.pipeline() == nullptr) {
    model.PredictColumns(rows.features(), rows.rows(), raw, threads, out);
    return {};
  }
  Workers workers(static_cast<size_t>(BatchWorkers(rows.rows(), threads)));
  return ForBatches(rows.rows(), threads, [&](int64_t begin, int count, int number) -> Status {
    Worker* worker = WorkerOf(model, number, &workers);
    RETURN_IF_ERROR(rows.Fill(begin, count, &worker->batch));
    PredictBatch(model, raw, count, worker, out + begin * model.engine().outputs());
    return {};
  });
}

Status ScoreArrow(const Model& model, const InputRows& rows, int threads, ArrowSchema* out_schema,
                  ArrowArray* out_batch) {
  ArrowOutput output(model.outputs(), rows.rows());
  Workers workers(static_cast<size_t>(BatchWorkers(rows.rows(), threads)));
  const size_t outputs = static_cast<size_t>(model.engine().outputs());
  Status status =
      ForBatches(rows.rows(), threads, [&](int64_t begin, int count, int number) -> Status {
        Worker* worker = WorkerOf(model, number, &workers);
        ModelScratch& scratch = worker->scratch;
        if (model.pipeline() != nullptr) {
          RETURN_IF_ERROR(rows.Fill(begin, count, &worker->batch));
          output.Write(begin, count, model.Score(worker->batch.View(), &scratch));
          return {};
        }
        std::vector<FeatureColumn> columns(rows.features().begin(), rows.features().end());
        for (FeatureColumn& column : columns) {
          if (column.data != nullptr)
            column.data = static_cast<const char*>(column.data) + begin * column.stride;
          column.validity_offset += begin;
        }
        scratch.scores.resize(static_cast<size_t>(count) * outputs);
        scratch.keep.assign(static_cast<size_t>(count), 1);
        model.PredictColumns(columns, count, false, 1, scratch.scores.data());
        output.Write(begin, count, model.WriteOutputs(count, &scratch));
        return {};
      });
  if (!status.ok()) return status;
  return std::move(output).Export(out_schema, out_batch);
}

}  // namespace slipway
