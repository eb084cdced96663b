// Metrics on held-out rows, as scikit-learn defines them (checked against it in tests). Pure
// functions. `weight` may be empty (all 1). Rows with NaN prediction are the caller's to leave out.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"

namespace slipway {

// Ordered name -> value. NaN where a metric is not defined for the rows (one class only, ...): null
// in JSON.
using Metrics = std::vector<std::pair<std::string, double>>;
inline constexpr double kUndefinedMetric = std::numeric_limits<double>::quiet_NaN();

// mean_error: the mean of prediction - label. median_absolute_error with weights: the lower
// weighted median. rmse, mae, mape, r2, explained_variance, median_absolute_error, max_error,
// mean_error
Metrics RegressionMetrics(std::span<const double> label, std::span<const double> prediction,
                          std::span<const double> weight);
// One class only: auc is NaN; no positives: average_precision is NaN. Nothing predicted positive:
// precision is 0. auc, log_loss, accuracy, precision, recall, f1, average_precision, brier, mcc;
// class 1 iff p > threshold
Metrics BinaryMetrics(std::span<const uint8_t> label, std::span<const double> probability,
                      std::span<const double> weight, double threshold = 0.5);
// The predicted class is the most probable, the first of equals. Macro means are over the classes
// that occur; auc is over the classes with rows of their own and of others. log_loss, accuracy,
// precision/recall/f1 (macro), *_weighted, auc (one-vs-rest macro), auc_weighted. probability: rows
// x classes.
Metrics MulticlassMetrics(std::span<const int32_t> label, std::span<const double> probability,
                          int classes, std::span<const double> weight);
// rows: actual class, columns: predicted class; weighted counts.
std::vector<std::vector<double>> ConfusionMatrix(std::span<const int32_t> label,
                                                 std::span<const int32_t> predicted, int classes,
                                                 std::span<const double> weight);
// Up to `bins` bins of about equal weight, by rising probability; equal probabilities share one:
// mean predicted, observed rate, weight.
struct CalibrationBin {
  double mean_predicted = 0, observed = 0, weight = 0;
};
std::vector<CalibrationBin> Calibration(std::span<const uint8_t> label,
                                        std::span<const double> probability,
                                        std::span<const double> weight, int bins = 10);

// Whether a larger value is better; error for an unknown metric name (with a suggestion).
Result<bool> LargerIsBetter(const std::string& metric);
Json MetricsToJson(const Metrics& metrics);

}  // namespace slipway
