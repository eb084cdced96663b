#include "slipway/stats/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string_view>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/stats/sum.h"

namespace slipway {

namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

double Ratio(double a, double b) { return b == 0 ? 0 : a / b; }

// Weight of positives and negatives that share one score.
struct Tie {
  double score = 0, positive = 0, negative = 0;
};

// By falling score.
template <typename IsPositive, typename Score>
std::vector<Tie> Ranked(size_t n, std::span<const double> weight, Score score,
                        IsPositive positive) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    const double x = score(a), y = score(b);
    return x != y ? x > y : a < b;
  });
  std::vector<Tie> ties;
  for (uint32_t row : order) {
    if (ties.empty() || ties.back().score != score(row)) ties.push_back({score(row), 0, 0});
    const double w = weight.empty() ? 1 : weight[row];
    (positive(row) ? ties.back().positive : ties.back().negative) += w;
  }
  return ties;
}

// The area under the ROC curve: the share of (positive, negative) pairs in the right order, ties
// half.
double Auc(const std::vector<Tie>& ties) {
  Sum right, above, negatives;
  for (const Tie& tie : ties) {
    right.Add(tie.negative * (above.value() + tie.positive / 2));
    above.Add(tie.positive);
    negatives.Add(tie.negative);
  }
  const double pairs = above.value() * negatives.value();
  return pairs > 0 ? right.value() / pairs : kUndefinedMetric;
}

double AveragePrecision(const std::vector<Tie>& ties) {
  Sum area, positives, all;
  for (const Tie& tie : ties) {
    positives.Add(tie.positive);
    all.Add(tie.positive + tie.negative);
    if (tie.positive != 0) area.Add(tie.positive * Ratio(positives.value(), all.value()));
  }
  return positives.value() > 0 ? area.value() / positives.value() : kUndefinedMetric;
}

double Clip(double p) { return std::clamp(p, kEpsilon, 1 - kEpsilon); }

struct PerClass {
  double precision = 0, recall = 0, f1 = 0, support = 0;
  bool occurs = false;
};

std::vector<PerClass> ClassScores(const std::vector<std::vector<double>>& confusion) {
  const size_t classes = confusion.size();
  std::vector<PerClass> out(classes);
  for (size_t c = 0; c < classes; ++c) {
    double actual = 0, predicted = 0;
    for (size_t other = 0; other < classes; ++other) {
      actual += confusion[c][other];
      predicted += confusion[other][c];
    }
    const double hit = confusion[c][c];
    out[c] = {Ratio(hit, predicted), Ratio(hit, actual), Ratio(2 * hit, actual + predicted), actual,
              actual > 0 || predicted > 0};
  }
  return out;
}

}  // namespace

Metrics BinaryMetrics(std::span<const uint8_t> label, std::span<const double> probability,
                      std::span<const double> weight, double threshold) {
  const size_t n = label.size();
  Sum weights, loss, brier;
  double cell[2][2] = {};  // [actual][predicted]
  for (size_t i = 0; i < n; ++i) {
    const double w = weight.empty() ? 1 : weight[i];
    const double p = probability[i];
    const bool yes = label[i] != 0;
    weights.Add(w);
    loss.Add(-w * std::log(Clip(yes ? p : 1 - p)));
    const double miss = p - (yes ? 1 : 0);
    brier.Add(w * miss * miss);
    cell[yes ? 1 : 0][p > threshold ? 1 : 0] += w;
  }
  const double total = weights.value();
  const bool defined = n > 0 && total > 0;
  const double tn = cell[0][0], fp = cell[0][1], fn = cell[1][0], tp = cell[1][1];
  const double spread =
      std::sqrt(tp + fp) * std::sqrt(tp + fn) * std::sqrt(tn + fp) * std::sqrt(tn + fn);
  const auto ties = Ranked(
      n, weight, [&](size_t row) { return probability[row]; },
      [&](size_t row) { return label[row] != 0; });
  auto when_defined = [&](double value) { return defined ? value : kUndefinedMetric; };
  return {{"auc", Auc(ties)},
          {"log_loss", when_defined(loss.value() / total)},
          {"accuracy", when_defined((tp + tn) / (tp + tn + fp + fn))},
          {"precision", when_defined(Ratio(tp, tp + fp))},
          {"recall", when_defined(Ratio(tp, tp + fn))},
          {"f1", when_defined(Ratio(2 * tp, 2 * tp + fp + fn))},
          {"average_precision", AveragePrecision(ties)},
          {"brier", when_defined(brier.value() / total)},
          {"mcc", when_defined(Ratio(tp * tn - fp * fn, spread))}};
}

Metrics MulticlassMetrics(std::span<const int32_t> label, std::span<const double> probability,
                          int classes, std::span<const double> weight) {
  const size_t n = label.size(), k = static_cast<size_t>(classes);
  Sum weights, loss, hits;
  std::vector<int32_t> predicted(n);
  for (size_t i = 0; i < n; ++i) {
    const auto row = probability.subspan(i * k, k);
    const double w = weight.empty() ? 1 : weight[i];
    predicted[i] = static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
    weights.Add(w);
    loss.Add(-w * std::log(Clip(row[static_cast<size_t>(label[i])])));
    if (predicted[i] == label[i]) hits.Add(w);
  }
  const double total = weights.value();
  const auto scores = ClassScores(ConfusionMatrix(label, predicted, classes, weight));
  double occurring = 0;
  PerClass macro, weighted;
  for (const PerClass& c : scores) {
    occurring += c.occurs ? 1 : 0;
    macro.precision += c.precision;
    macro.recall += c.recall;
    macro.f1 += c.f1;
    weighted.precision += c.support * c.precision;
    weighted.recall += c.support * c.recall;
    weighted.f1 += c.support * c.f1;
    weighted.support += c.support;
  }
  double auc_sum = 0, auc_classes = 0, auc_weighted = 0, auc_support = 0;
  for (size_t c = 0; c < k; ++c) {
    const double auc = Auc(Ranked(
        n, weight, [&](size_t row) { return probability[row * k + c]; },
        [&](size_t row) { return label[row] == static_cast<int32_t>(c); }));
    if (std::isnan(auc)) continue;
    auc_sum += auc;
    auc_classes += 1;
    auc_weighted += auc * scores[c].support;
    auc_support += scores[c].support;
  }
  const bool defined = n > 0 && total > 0;
  auto over = [&](double value, double by) {
    return defined && by > 0 ? value / by : kUndefinedMetric;
  };
  return {{"log_loss", over(loss.value(), total)},
          {"accuracy", over(hits.value(), total)},
          {"precision", over(macro.precision, occurring)},
          {"recall", over(macro.recall, occurring)},
          {"f1", over(macro.f1, occurring)},
          {"precision_weighted", over(weighted.precision, weighted.support)},
          {"recall_weighted", over(weighted.recall, weighted.support)},
          {"f1_weighted", over(weighted.f1, weighted.support)},
          {"auc", over(auc_sum, auc_classes)},
          {"auc_weighted", over(auc_weighted, auc_support)}};
}

std::vector<std::vector<double>> ConfusionMatrix(std::span<const int32_t> label,
                                                 std::span<const int32_t> predicted, int classes,
                                                 std::span<const double> weight) {
  const size_t k = static_cast<size_t>(classes);
  std::vector<std::vector<double>> out(k, std::vector<double>(k, 0));
  for (size_t i = 0; i < label.size(); ++i) {
    out[static_cast<size_t>(label[i])][static_cast<size_t>(predicted[i])] +=
        weight.empty() ? 1 : weight[i];
  }
  return out;
}

std::vector<CalibrationBin> Calibration(std::span<const uint8_t> label,
                                        std::span<const double> probability,
                                        std::span<const double> weight, int bins) {
  auto ties = Ranked(
      label.size(), weight, [&](size_t row) { return probability[row]; },
      [&](size_t row) { return label[row] != 0; });
  std::reverse(ties.begin(), ties.end());
  double total = 0;
  for (const Tie& tie : ties) total += tie.positive + tie.negative;
  std::vector<CalibrationBin> all(static_cast<size_t>(std::max(bins, 1)));
  double before = 0;
  for (const Tie& tie : ties) {
    const double w = tie.positive + tie.negative;
    if (!(w > 0)) continue;
    const double place = (before + w / 2) / total * static_cast<double>(all.size());
    CalibrationBin& bin = all[std::min(static_cast<size_t>(place), all.size() - 1)];
    bin.mean_predicted += tie.score * w;
    bin.observed += tie.positive;
    bin.weight += w;
    before += w;
  }
  std::vector<CalibrationBin> out;
  for (CalibrationBin& bin : all) {
    if (!(bin.weight > 0)) continue;
    out.push_back({bin.mean_predicted / bin.weight, bin.observed / bin.weight, bin.weight});
  }
  return out;
}

Result<bool> LargerIsBetter(const std::string& metric) {
  static const std::vector<std::string> kLarger = {
      "r2",           "explained_variance", "auc",
      "accuracy",     "precision",          "recall",
      "f1",           "average_precision",  "mcc",
      "auc_weighted", "precision_weighted", "recall_weighted",
      "f1_weighted"};
  static const std::vector<std::string> kSmaller = {
      "rmse", "mae", "mape", "median_absolute_error", "max_error", "log_loss", "brier"};
  if (std::find(kLarger.begin(), kLarger.end(), metric) != kLarger.end()) return true;
  if (std::find(kSmaller.begin(), kSmaller.end(), metric) != kSmaller.end()) return false;
  if (metric == "mean_error") {
    return InvalidArgument("'mean_error' is best near 0: neither larger nor smaller is better",
                           "use 'mae'");
  }
  std::vector<std::string> known = kLarger;
  known.insert(known.end(), kSmaller.begin(), kSmaller.end());
  std::string hint = DidYouMean(metric, known);
  if (hint.empty()) hint = "the metrics are " + QuotedList(known, known.size());
  return InvalidArgument("there is no metric '" + metric + "'", hint);
}

Json MetricsToJson(const Metrics& metrics) {
  Json json = Json::object();
  for (const auto& [name, value] : metrics)
    json[name] = std::isfinite(value) ? Json(value) : Json();
  return json;
}

}  // namespace slipway
