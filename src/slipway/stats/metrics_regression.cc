#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "slipway/stats/metrics.h"
#include "slipway/stats/sum.h"

namespace slipway {

namespace {

// scikit-learn's two: without weights the mean of the middle two, with weights the lower weighted
// median.
double MedianOf(std::vector<double> values, std::span<const double> weight) {
  const size_t n = values.size();
  if (weight.empty()) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(n / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (n % 2 != 0) return *middle;
    return (*std::max_element(values.begin(), middle) + *middle) / 2;
  }
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return values[a] != values[b] ? values[a] < values[b] : a < b;
  });
  std::vector<double> cumulative(n);
  double sum = 0;
  for (size_t i = 0; i < n; ++i) cumulative[i] = sum += weight[order[i]];
  const auto at =
      std::lower_bound(cumulative.begin(), cumulative.end(), sum / 2) - cumulative.begin();
  return values[order[std::min(static_cast<size_t>(at), n - 1)]];
}

// 1 - residual/total; a constant label explained without error is 1, else 0.
double Explained(double residual, double total) {
  if (total != 0) return 1 - residual / total;
  return residual == 0 ? 1 : 0;
}

}  // namespace

Metrics RegressionMetrics(std::span<const double> label, std::span<const double> prediction,
                          std::span<const double> weight) {
  const size_t n = label.size();
  Sum weights, square, absolute, percentage, error, labels;
  std::vector<double> magnitude(n);
  double worst = 0;
  for (size_t i = 0; i < n; ++i) {
    const double w = weight.empty() ? 1 : weight[i];
    const double e = prediction[i] - label[i];
    magnitude[i] = std::fabs(e);
    worst = std::max(worst, magnitude[i]);
    weights.Add(w);
    square.Add(w * e * e);
    absolute.Add(w * magnitude[i]);
    percentage.Add(
        w * (magnitude[i] / std::max(std::fabs(label[i]), std::numeric_limits<double>::epsilon())));
    error.Add(w * e);
    labels.Add(w * label[i]);
  }
  const double total = weights.value();
  const bool defined = n > 0 && total > 0;
  const double mean_label = labels.value() / total, mean_error = error.value() / total;
  Sum spread, error_spread;
  for (size_t i = 0; i < n; ++i) {
    const double w = weight.empty() ? 1 : weight[i];
    const double d = label[i] - mean_label, e = prediction[i] - label[i] - mean_error;
    spread.Add(w * d * d);
    error_spread.Add(w * e * e);
  }
  auto mean = [&](const Sum& sum) { return defined ? sum.value() / total : kUndefinedMetric; };
  return {{"rmse", std::sqrt(mean(square))},
          {"mae", mean(absolute)},
          {"mape", mean(percentage)},
          {"r2", defined && n > 1 ? Explained(square.value(), spread.value()) : kUndefinedMetric},
          {"explained_variance",
           defined ? Explained(error_spread.value(), spread.value()) : kUndefinedMetric},
          {"median_absolute_error",
           defined ? MedianOf(std::move(magnitude), weight) : kUndefinedMetric},
          {"max_error", defined ? worst : kUndefinedMetric},
          {"mean_error", mean(error)}};
}

}  // namespace slipway
