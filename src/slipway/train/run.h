// One training: learn, encode, boost, score. A train recipe is one of them, or with k-fold
// validation one per fold and a last one on all rows.
#pragma once

#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/train/booster.h"
#include "slipway/train/passes.h"
#include "slipway/train/scores.h"

namespace slipway {

struct TrainingRun {
  Learned learned;
  Encoded encoded;
  TrainedBooster booster;
  LightGbmParameters parameters;  // actually used
  RowFile train_scores, holdout_scores;
  double read_seconds = 0, encode_seconds = 0, score_seconds = 0;
};

struct RunOptions {
  int early_stopping = 0;
  int num_iterations = 0;  // in place of the recipe's; 0: the recipe's
  bool score_training = true;
  std::string stage_prefix;  // "fold 2 of 5: "
};

// The weight of each class of training rows; empty when the spec has none. Unknown classes are
// errors.
Result<std::vector<double>> ClassWeights(const TrainSpec& spec, const TargetCoder& target);

Result<TrainingRun> RunTraining(const TrainPlan& plan, const SplitRule& rule,
                                const RunOptions& options);

}  // namespace slipway
