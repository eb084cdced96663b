// Scores of foreign rows, over threads.
#pragma once

#include <functional>

#include "slipway/bundle/model.h"
#include "slipway/capi/input_rows.h"

namespace slipway {

// rows x engine().outputs() numbers: transformed scores, or raw ones. NaN where a filter drops the
// row.
Status PredictScores(const Model& model, const InputRows& rows, bool raw, int threads, double* out);

// As Model::Score has them, into Arrow structs that own what they hold.
Status ScoreArrow(const Model& model, const InputRows& rows, int threads, ArrowSchema* out_schema,
                  ArrowArray* out_batch);

// Runs `work(begin, count, worker)` for rows [begin, begin + count) of at most kBatchRows each,
// over up to `threads` threads (0: as many as the machine has). The first error in order of rows.
Status ForBatches(int64_t rows, int threads,
                  const std::function<Status(int64_t begin, int count, int worker)>& work);
// Workers that ForBatches may use: worker < this.
int BatchWorkers(int64_t rows, int threads);

}  // namespace slipway
