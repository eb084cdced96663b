// The train recipe's work: rows in, a version's files out. Runs inside a worker process, which
// alone loads the trainer.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"
#include "slipway/dataset/dataset.h"
#include "slipway/features/spec.h"
#include "slipway/forest/forest.h"

namespace slipway {

// What a train recipe says, as values (project parses the YAML into this).
struct TrainSpec {
  std::string target;
  PredictionKind prediction = PredictionKind::kRegression;
  std::vector<PrepareStep> prepare;
  std::map<std::string, FeatureSpec> features;
  std::string algorithm = "lightgbm";
  std::map<std::string, std::string>
      parameters;  // passed through to the library; unknown names are errors
  // validation: {holdout: 0.2, seed: 42} | {holdout: 0.2, time_column: C} | {k_fold: 5, seed: 42};
  // none: metrics are null
  double holdout = 0.2;
  int64_t seed = 42;
  std::string time_column;  // the latest rows are held out
  int k_fold = 0;
  int early_stopping = 0;  // rounds; 0: off
  std::string weight;      // sample weight column
  std::map<std::string, double> class_weights;
  bool balanced = false;  // class_weights: balanced
};
// The `train` recipe's own keys as JSON (target, prediction, prepare, features, algorithm,
// validation, weight, class_weights, early_stopping). Unknown keys are errors with a suggestion.
Result<TrainSpec> TrainSpecFromJson(const Json& json);
Json TrainSpecToJson(const TrainSpec& spec);

struct TrainTask {
  TrainSpec spec;
  FilesSpec input;         // pinned
  std::string output_dir;  // gets model.bundle, info.json, reference.json, holdout.parquet
  std::string temp_dir;
  int threads = 2;
  // Added to info.json as it stands: recipe text, dataset name and fingerprint, who, job.
  std::string lineage_json;
  std::function<void(std::string_view stage, double part, std::string_view detail)> progress;
  // Under `on_bad_rows: quarantine`: gets each row that cannot be read, in order; again in every
  // pass that reads (one, or one per fold and one more).
  std::function<Status(const BadRow&)> quarantine;
  const std::atomic<bool>* cancel = nullptr;
};

// The content of info.json: algorithm, rows, metrics (held-out), metrics_training, importance,
// parameters, schema, confusion, calibration, train_seconds, library versions, warnings.
Result<Json> TrainModel(const TrainTask& task);

// Scores a labelled dataset with an opened model again (activation policy `if_better`, compare):
// the metrics on the rows that the spec's hold-out rule selects.
Result<Json> EvaluateOnHoldout(const std::string& bundle_path, const TrainTask& task);

}  // namespace slipway
