#include "slipway/train/booster.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstdio>
#include <unordered_set>

#include "slipway/base/clock.h"
#include "slipway/base/text.h"
#include "slipway/train/lightgbm_api.h"

namespace slipway {
namespace {

constexpr int64_t kFeedBlockRows = 16384;
constexpr double kZeroThreshold = 1e-35;  // LightGBM's kZeroThreshold, a float there
constexpr double kTickSeconds = 0.05;

Status CheckCancel(const BoosterOptions& options) {
  if (options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed)) {
    return Cancelled("training was cancelled");
  }
  return {};
}

// The sampled rows by column, as LightGBM wants them: values that are not zero, with their row's
// place in the sample.
struct Sample {
  std::vector<std::vector<double>> values;
  std::vector<std::vector<int>> places;
  int32_t rows = 0;
};

Result<Sample> TakeSample(const LightGbm& lib, const RowFile& file, int features,
                          const std::string& parameters) {
  const auto total = static_cast<int32_t>(file.rows());
  int count = 0;
  RETURN_IF_ERROR(lib.Check(lib.GetSampleCount(total, parameters.c_str(), &count)));
  std::vector<int32_t> chosen(static_cast<size_t>(count));
  RETURN_IF_ERROR(lib.Check(lib.SampleIndices(total, parameters.c_str(), chosen.data(), &count)));
  Sample sample;
  sample.rows = count;
  sample.values.resize(static_cast<size_t>(features));
  sample.places.resize(static_cast<size_t>(features));
  for (auto& column : sample.values) column.reserve(static_cast<size_t>(count));
  for (auto& column : sample.places) column.reserve(static_cast<size_t>(count));
  int next = 0;
  RETURN_IF_ERROR(ForEachBlock(
      file, kFeedBlockRows, [&](int64_t first, int64_t rows, const double* block) -> Status {
        for (; next < count && chosen[static_cast<size_t>(next)] < first + rows; ++next) {
          const double* row = block + (chosen[static_cast<size_t>(next)] - first) * file.width();
          for (int f = 0; f < features; ++f) {
            if (!(std::fabs(row[f]) > static_cast<double>(static_cast<float>(kZeroThreshold)) ||
                  std::isnan(row[f]))) {
              continue;
            }
            sample.values[static_cast<size_t>(f)].push_back(row[f]);
            sample.places[static_cast<size_t>(f)].push_back(next);
          }
        }
        return {};
      }));
  return sample;
}

class Trainer {
 public:
  Trainer(const LightGbm& lib, const BoosterData& data, const BoosterOptions& options)
      : lib_(lib),
        data_(data),
        options_(options),
        text_(ParameterText(options.parameters)),
        features_(static_cast<int>(data.feature_names.size())),
        train_(lib.DatasetFree),
        holdout_(lib.DatasetFree),
        booster_(lib.BoosterFree) {}

  Result<TrainedBooster> Run();

 private:
  bool watched() const { return data_.holdout != nullptr && data_.holdout->rows() > 0; }
  Status MakeDatasets();
  Status Push(const RowFile& file, void* dataset, double from, double to);
  Status SetFields(const RowFile& file, void* dataset, bool training);
  Status Boost();
  Status Evaluate(double* value);
  Status ReadMetricName();
  Status Save();
  void Report(int round, int rounds, double* last);

  const LightGbm& lib_;
  const BoosterData& data_;
  const BoosterOptions& options_;
  const std::string text_;
  const int features_;
  // The booster points into the datasets: it goes first.
  LightGbmHandle train_, holdout_, booster_;
  int metric_count_ = 0;
  double current_ = 0;
  double evaluate_seconds_ = 0;
  TrainedBooster out_;
};

Status Trainer::Push(const RowFile& file, void* dataset, double from, double to) {
  const std::string* linear = FindParameter(options_.parameters, "linear_tree");
  // With linear trees LightGBM's PushRows keeps raw values for one block only; so all rows are one
  // block then.
  const int64_t block =
      linear != nullptr && *linear != "false" && *linear != "0" ? file.rows() : kFeedBlockRows;
  std::vector<double> dense;
  return ForEachBlock(
      file, block, [&](int64_t first, int64_t rows, const double* values) -> Status {
        RETURN_IF_ERROR(CheckCancel(options_));
        dense.resize(static_cast<size_t>(rows * features_));
        for (int64_t r = 0; r < rows; ++r) {
          std::copy_n(values + r * file.width(), features_, dense.data() + r * features_);
        }
        RETURN_IF_ERROR(lib_.Check(lib_.DatasetPushRows(dataset, dense.data(), C_API_DTYPE_FLOAT64,
                                                        static_cast<int32_t>(rows), features_,
                                                        static_cast<int32_t>(first))));
        if (options_.progress) {
          const double part = static_cast<double>(first + rows) / static_cast<double>(file.rows());
          options_.progress("bin", from + (to - from) * part, "");
        }
        return {};
      });
}

Status Trainer::SetFields(const RowFile& file, void* dataset, bool training) {
  const auto rows = static_cast<size_t>(file.rows());
  const bool by_class = training && !data_.class_weights.empty();
  std::vector<float> label(rows), weight(data_.weighted || by_class ? rows : 0);
  double sum = 0;
  RETURN_IF_ERROR(ForEachBlock(file, kFeedBlockRows,
                               [&](int64_t first, int64_t count, const double* values) -> Status {
                                 for (int64_t r = 0; r < count; ++r) {
                                   const double* row = values + r * file.width();
                                   const auto at = static_cast<size_t>(first + r);
                                   label[at] = static_cast<float>(row[features_]);
                                   if (weight.empty()) continue;
                                   double w = row[features_ + 1];
                                   if (by_class)
                                     w *= data_.class_weights[static_cast<size_t>(row[features_])];
                                   weight[at] = static_cast<float>(w);
                                   sum += w;
                                 }
                                 return {};
                               }));
  const auto set = [&](const char* field, const std::vector<float>& values) {
    return lib_.Check(lib_.DatasetSetField(dataset, field, values.data(),
                                           static_cast<int>(values.size()), C_API_DTYPE_FLOAT32));
  };
  RETURN_IF_ERROR(set("label", label));
  if (weight.empty()) return {};
  if (training && !(sum > 0)) {
    return InvalidArgument("the weights of all training rows are 0",
                           "check the weight column and the class weights");
  }
  return set("weight", weight);
}

Status Trainer::MakeDatasets() {
  const double begin = SteadySeconds();
  for (const RowFile* file : {data_.train, data_.holdout}) {
    if (file != nullptr && file->rows() > INT32_MAX) {
      return InvalidArgument("LightGBM takes at most " + FormatCount(INT32_MAX) + " rows");
    }
  }
  {
    ASSIGN_OR_RETURN(Sample sample, TakeSample(lib_, *data_.train, features_, text_));
    std::vector<double*> values;
    std::vector<int*> places;
    std::vector<int> counts;
    double no_value = 0;
    int no_place = 0;
    for (size_t f = 0; f < sample.values.size(); ++f) {
      const bool none = sample.values[f].empty();
      values.push_back(none ? &no_value : sample.values[f].data());
      places.push_back(none ? &no_place : sample.places[f].data());
      counts.push_back(static_cast<int>(sample.values[f].size()));
    }
    const auto rows = static_cast<int32_t>(data_.train->rows());
    RETURN_IF_ERROR(lib_.Check(
        lib_.DatasetCreateFromSampledColumn(values.data(), places.data(), features_, counts.data(),
                                            sample.rows, rows, rows, text_.c_str(), train_.out())));
  }
  const std::vector<std::string> tame = TameFeatureNames(data_.feature_names);
  std::vector<const char*> names;
  for (const std::string& name : tame) names.push_back(name.c_str());
  RETURN_IF_ERROR(lib_.Check(lib_.DatasetSetFeatureNames(train_.get(), names.data(), features_)));
  // Before the fields of the training data are set: a dataset made by reference takes over which
  // fields exist.
  if (watched()) {
    RETURN_IF_ERROR(lib_.Check(
        lib_.DatasetCreateByReference(train_.get(), data_.holdout->rows(), holdout_.out())));
    RETURN_IF_ERROR(Push(*data_.holdout, holdout_.get(), 0, 0.2));
    RETURN_IF_ERROR(SetFields(*data_.holdout, holdout_.get(), false));
  }
  RETURN_IF_ERROR(Push(*data_.train, train_.get(), watched() ? 0.2 : 0, 1));
  RETURN_IF_ERROR(SetFields(*data_.train, train_.get(), true));
  out_.bin_seconds = SteadySeconds() - begin;
  return {};
}

Status Trainer::ReadMetricName() {
  RETURN_IF_ERROR(lib_.Check(lib_.BoosterGetEvalCounts(booster_.get(), &metric_count_)));
  if (metric_count_ == 0) return {};
  std::vector<std::string> names(static_cast<size_t>(metric_count_), std::string(256, '\0'));
  std::vector<char*> pointers;
  for (std::string& name : names) pointers.push_back(name.data());
  int count = 0;
  size_t needed = 0;
  RETURN_IF_ERROR(lib_.Check(lib_.BoosterGetEvalNames(booster_.get(), metric_count_, &count, 256,
                                                      &needed, pointers.data())));
  out_.metric = names[0].substr(0, names[0].find('\0'));
  return {};
}

Status Trainer::Evaluate(double* value) {
  const double begin = SteadySeconds();
  std::vector<double> results(static_cast<size_t>(metric_count_));
  int count = 0;
  RETURN_IF_ERROR(lib_.Check(lib_.BoosterGetEval(booster_.get(), 1, &count, results.data())));
  *value = results[0];
  evaluate_seconds_ = SteadySeconds() - begin;
  return {};
}

void Trainer::Report(int round, int rounds, double* last) {
  const double now = SteadySeconds();
  if (!options_.progress || (now - *last < kTickSeconds && round != rounds)) return;
  *last = now;
  std::string detail = "round " + std::to_string(round) + " of " + std::to_string(rounds);
  if (!out_.metric.empty()) {
    char value[32];
    std::snprintf(value, sizeof value, "%.6g", current_);
    detail += ", held-out " + out_.metric + " " + value;
  }
  options_.progress("train", static_cast<double>(round) / rounds, detail);
}

Status Trainer::Boost() {
  const double begin = SteadySeconds();
  RETURN_IF_ERROR(lib_.Check(lib_.BoosterCreate(train_.get(), text_.c_str(), booster_.out())));
  if (watched()) {
    RETURN_IF_ERROR(lib_.Check(lib_.BoosterAddValidData(booster_.get(), holdout_.get())));
    RETURN_IF_ERROR(ReadMetricName());
  }
  const bool watching = watched() && metric_count_ > 0;
  if (options_.early_stopping > 0 && !watching) {
    return InvalidArgument("early stopping needs held-out rows and a metric to watch",
                           "leave `metric` out of the parameters, and hold rows out");
  }
  // As LightGBM's own Python package tells them.
  const bool larger =
      out_.metric.starts_with("auc") || out_.metric.starts_with("average_precision") ||
      out_.metric.starts_with("ndcg") || out_.metric.starts_with("map@") || out_.metric == "r2";
  const std::string* delta_text = FindParameter(options_.parameters, "early_stopping_min_delta");
  const double delta = delta_text != nullptr ? ParseDouble(*delta_text).value_or(0) : 0;
  const auto asked = ParseInt64(*FindParameter(options_.parameters, "num_iterations"));
  if (!asked || *asked < 1 || *asked > INT_MAX) {
    return InvalidArgument("algorithm.lightgbm.num_iterations: must be a whole number above 0");
  }
  const int rounds = static_cast<int>(*asked);
  double best = 0, last_report = 0, last_evaluation = 0;
  int best_round = 0;
  for (int round = 1; round <= rounds; ++round) {
    RETURN_IF_ERROR(CheckCancel(options_));
    int finished = 0;
    RETURN_IF_ERROR(lib_.Check(lib_.BoosterUpdateOneIter(booster_.get(), &finished)));
    out_.iterations = round;
    const double now = SteadySeconds();
    // Without early stopping the metric is only for the eye: it may not cost more than a twentieth
    // of the time.
    const bool due = options_.progress &&
                     now - last_evaluation >= std::max(kTickSeconds, 20 * evaluate_seconds_);
    if (watching && (options_.early_stopping > 0 || due || round == rounds)) {
      RETURN_IF_ERROR(Evaluate(&current_));
      last_evaluation = now;
      if (best_round == 0 || (larger ? current_ > best + delta : current_ < best - delta) ||
          options_.early_stopping == 0) {
        best = current_;
        best_round = round;
      }
    }
    Report(round, rounds, &last_report);
    if (options_.early_stopping > 0 && round - best_round >= options_.early_stopping) break;
  }
  out_.best_iteration = options_.early_stopping > 0 ? best_round : out_.iterations;
  out_.metric_value = best;
  out_.boost_seconds = SteadySeconds() - begin;
  return {};
}

Status Trainer::Save() {
  int64_t size = 0;
  std::string text(1 << 20, '\0');
  const auto save = [&] {
    return lib_.Check(lib_.BoosterSaveModelToString(booster_.get(), 0, out_.best_iteration,
                                                    C_API_FEATURE_IMPORTANCE_SPLIT,
                                                    std::ssize(text), &size, text.data()));
  };
  RETURN_IF_ERROR(save());
  if (size > std::ssize(text)) {
    text.resize(static_cast<size_t>(size));
    RETURN_IF_ERROR(save());
  }
  text.resize(static_cast<size_t>(size - 1));  // the library counts the final zero
  out_.text = std::move(text);
  out_.gain.resize(static_cast<size_t>(features_));
  out_.split.resize(static_cast<size_t>(features_));
  RETURN_IF_ERROR(lib_.Check(lib_.BoosterFeatureImportance(
      booster_.get(), out_.best_iteration, C_API_FEATURE_IMPORTANCE_GAIN, out_.gain.data())));
  return lib_.Check(lib_.BoosterFeatureImportance(
      booster_.get(), out_.best_iteration, C_API_FEATURE_IMPORTANCE_SPLIT, out_.split.data()));
}

Result<TrainedBooster> Trainer::Run() {
  LightGbm::TakeLog();
  RETURN_IF_ERROR(MakeDatasets());
  RETURN_IF_ERROR(Boost());
  RETURN_IF_ERROR(Save());
  for (const std::string& line : LightGbm::TakeLog()) {
    if (line.find("[Info]") == std::string::npos) out_.warnings.push_back(line);
  }
  return std::move(out_);
}

}  // namespace

std::vector<std::string> TameFeatureNames(const std::vector<std::string>& names) {
  std::vector<std::string> out;
  std::unordered_set<std::string> taken;
  for (const std::string& name : names) {
    std::string tame = name.empty() ? "_" : name;
    for (char& c : tame) {
      const bool bad = static_cast<unsigned char>(c) <= ' ' ||
                       std::string_view("\",:[]{}=").find(c) != std::string_view::npos;
      if (bad) c = '_';
    }
    std::string distinct = tame;
    for (int n = 2; !taken.insert(distinct).second; ++n) distinct = tame + "_" + std::to_string(n);
    out.push_back(std::move(distinct));
  }
  return out;
}

Result<TrainedBooster> TrainBooster(const BoosterData& data, const BoosterOptions& options) {
  ASSIGN_OR_RETURN(const LightGbm* lib, LightGbm::Load());
  return Trainer(*lib, data, options).Run();
}

}  // namespace slipway
