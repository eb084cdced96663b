// LightGBM on row files: bins found and rows pushed exactly as LightGBM's own
// LGBM_DatasetCreateFromMat would with the matrix in memory (src/c_api.cpp: the same sampled rows,
// zeros left out of the sample), so that the same rows and parameters give the same model through
// any of its interfaces. Memory: the binned data and the sampled rows. Not thread-safe: one
// training at a time in a process.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/train/parameters.h"
#include "slipway/train/row_file.h"

namespace slipway {

// A row of the file: the features, then the label, then the weight.
struct BoosterData {
  const RowFile* train = nullptr;
  const RowFile* holdout = nullptr;        // watched; may be null or empty
  std::vector<std::string> feature_names;  // any text; LightGBM gets a tame form of it
  bool weighted = false;
  std::vector<double> class_weights;  // times the weight of training rows, by label; may be empty
};

struct BoosterOptions {
  LightGbmParameters parameters;
  int early_stopping = 0;  // rounds without a better first metric on `holdout`; 0: off
  std::function<void(std::string_view stage, double part, std::string_view detail)> progress;
  const std::atomic<bool>* cancel = nullptr;
};

struct TrainedBooster {
  std::string text;        // the model file, cut at the best iteration
  int iterations = 0;      // rounds run
  int best_iteration = 0;  // rounds kept
  std::string metric;  // the first metric of the hold-out, and its value at the best round; empty
                       // when not watched
  double metric_value = 0;
  std::vector<double> gain, split;  // per feature, of the rounds kept
  std::vector<std::string> warnings;
  double bin_seconds = 0, boost_seconds = 0;
};

// Errors: LightGBM's own message, kCancelled.
Result<TrainedBooster> TrainBooster(const BoosterData& data, const BoosterOptions& options);

// Names that LightGBM accepts: no blanks, commas, colons, quotes, brackets or braces; distinct.
std::vector<std::string> TameFeatureNames(const std::vector<std::string>& names);

}  // namespace slipway
