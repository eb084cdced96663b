// Predictions of row files by our own engine, and what is made of them: metrics, confusion,
// calibration and reference statistics. Predictions live in a row file too.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/score/engine.h"
#include "slipway/stats/metrics.h"
#include "slipway/train/row_file.h"
#include "slipway/train/target.h"

namespace slipway {

// The model text compiled for scoring. Immutable; thread-safe.
class Scorer {
 public:
  static Result<Scorer> FromText(const std::string& model_text);
  // Transformed scores: the value, the probability of the second class, or one per class.
  int outputs() const { return engine_->outputs(); }
  int trees() const { return trees_; }
  // Features of all rows -> outputs() scores a row, on `threads` threads.
  Result<RowFile> Score(const RowFile& rows, const std::string& temp_dir, int threads) const;

 private:
  std::unique_ptr<Engine> engine_;
  Forest head_;  // without trees: the output transform
  int trees_ = 0;
};

// Labels, weights and scores in memory; empty `weight`: all 1.
struct LabelledScores {
  int outputs = 1;
  std::vector<double> label, weight, score;
  int64_t rows_in_all = 0;  // more than label.size(): an even sample of them
};
// At most `max_values` scores; beyond, every n-th row. `rows`: features, label, weight. Appends to
// *out.
Status AppendScores(const RowFile& rows, const RowFile& scores, bool weighted, int64_t max_values,
                    LabelledScores* out);

struct EvaluatedScores {
  Metrics metrics;
  Json confusion;    // null for regression: {"classes": [...], "counts": [[...], ...]}
  Json calibration;  // binary: [{"mean_predicted":, "observed":, "weight":}, ...]; else null
};
EvaluatedScores EvaluateScores(const TargetCoder& target, const LabelledScores& scores);

// {"target": {...}, "predictions": {"prediction": {...}, "proba_<class>": {...}}} as reference
// statistics. Training sets the bounds, the hold-out is counted on them.
struct ScoreReferences {
  Json training_target, training_predictions;
  Json holdout_target, holdout_predictions;
};
Result<ScoreReferences> MakeScoreReferences(const TargetCoder& target, const RowFile& train,
                                            const RowFile& train_scores, const RowFile& holdout,
                                            const RowFile& holdout_scores);

// The class that a row of scores predicts: p > 0.5, or the first of the largest.
int PredictedClass(PredictionKind kind, const double* scores, int outputs);

}  // namespace slipway
