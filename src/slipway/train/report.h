// The files of a finished training: info.json's content, held-out rows as Parquet, importance by
// source column.
#pragma once

#include <string>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"
#include "slipway/train/run.h"

namespace slipway {

// Held-out predictions gathered over the run, or over the folds.
struct HoldoutReport {
  LabelledScores scores;
  std::vector<std::unique_ptr<OwnedBatch>> rows;  // what holdout.parquet gets
  int64_t kept = 0;
};

// The columns of holdout.parquet: the raw inputs, the label, and the outputs of a scoring.
struct HoldoutColumns {
  Schema schema;
  int inputs = 0;
  std::string label;  // column names, changed where an input has the same
  std::vector<std::string> outputs;
};
HoldoutColumns MakeHoldoutColumns(const Schema& inputs, const std::string& target,
                                  const TargetCoder& coder);
// Adds the kept held-out rows of a run, up to kHoldoutSample in all.
Status AddHoldoutRows(const TrainingRun& run, const HoldoutColumns& columns, HoldoutReport* report);
Status WriteHoldout(const std::string& path, const HoldoutColumns& columns,
                    const HoldoutReport& report);

// [{"feature":, "gain":, "split":}, ...], the largest gain first; and the same summed by source
// column.
Json ImportanceToJson(const Pipeline& pipeline, const TrainedBooster& booster, bool by_source);
Json MetricsOrNull(const Metrics& metrics);
// Mean and standard deviation (over folds) per metric, in the first fold's order.
std::pair<Json, Json> MeanOfFolds(const std::vector<Metrics>& folds);

}  // namespace slipway
