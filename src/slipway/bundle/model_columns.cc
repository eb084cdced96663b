// Scores from feature columns, in parts over threads.
#include <algorithm>
#include <vector>

#include "slipway/bundle/model.h"
#include "slipway/score/parallel.h"

namespace slipway {
namespace {

// Rows that are worth a thread, and rows whose scores stay in the cache until they are transformed.
constexpr int64_t kPartRows = 4096;
// Engines have a way of their own for few rows, which takes them as a matrix.
constexpr int64_t kFewRows = 8;
constexpr size_t kStackValues = 512;

void PredictFew(const Engine& engine, std::span<const FeatureColumn> columns, int64_t rows,
                double* out) {
  const size_t width = static_cast<size_t>(engine.feature_count());
  const size_t size = width * static_cast<size_t>(rows);
  double on_stack[kStackValues];
  std::vector<double> on_heap;
  if (size > kStackValues) on_heap.resize(size);
  double* const values = size > kStackValues ? on_heap.data() : on_stack;
  if (size <= kStackValues) std::fill_n(values, size, 0.0);
  for (const int32_t feature : engine.used_features()) {
    const FeatureColumn& column = columns[static_cast<size_t>(feature)];
    for (int64_t row = 0; row < rows; ++row)
      values[static_cast<size_t>(row) * width + static_cast<size_t>(feature)] =
          ReadValue(column, row);
  }
  engine.PredictRaw(values, rows, static_cast<int64_t>(width), out);
}

}  // namespace

void Model::PredictColumns(std::span<const FeatureColumn> columns, int64_t rows, bool raw,
                           int threads, double* out) const {
  if (rows <= kFewRows) {
    PredictFew(*engine_, columns, rows, out);
    if (!raw) ApplyOutputTransform(*head_, rows, out);
    return;
  }
  const auto score = [&](int64_t begin, int64_t end) {
    std::vector<FeatureColumn> here(columns.begin(), columns.end());
    for (; begin < end; begin += kPartRows) {
      const int64_t count = std::min(kPartRows, end - begin);
      for (size_t i = 0; i < here.size(); ++i) {
        if (here[i].data == nullptr) continue;
        here[i].data = static_cast<const char*>(columns[i].data) + begin * columns[i].stride;
        here[i].validity_offset = columns[i].validity_offset + begin;
      }
      double* scores = out + begin * engine_->outputs();
      engine_->PredictColumns(here, count, scores);
      if (!raw) ApplyOutputTransform(*head_, count, scores);
    }
  };
  ForRowRanges(rows, kPartRows, threads, score);
}

}  // namespace slipway
