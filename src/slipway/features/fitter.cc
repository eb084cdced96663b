#include <algorithm>
#include <set>
#include <utility>

#include "slipway/base/text.h"
#include "slipway/features/column_fit.h"
#include "slipway/features/pipeline.h"
#include "slipway/features/pipeline_state.h"

namespace slipway {
namespace {

// Values kept exactly for the median: per column, and over all columns (128 MB).
constexpr int64_t kMedianValues = 1'000'000;
constexpr int64_t kMedianValuesInAll = 16'000'000;

int64_t MedianValues(const std::map<std::string, FeatureSpec>& features) {
  const int64_t columns = std::count_if(features.begin(), features.end(), [](const auto& item) {
    return item.second.missing == MissingPolicy::kMedian;
  });
  return std::min(kMedianValues, kMedianValuesInAll / std::max<int64_t>(columns, 1));
}

Error UnknownColumn(const std::string& name, const Schema& prepared, const Schema& raw) {
  Error error = NoSuchColumn(name, prepared, "the prepared columns");
  if (raw.Find(name) >= 0) error.hint = "a prepare step drops or renames it";
  return error.Within("features." + name);
}

}  // namespace

struct PipelineFitter::State {
  Preparer preparer;
  std::vector<std::string> training_only;  // FitOptions::training_only
  std::vector<ColumnFit> columns;          // those that may become features
  std::vector<int> sources;                // per column: its place in preparer.output()
  int64_t rows = 0;
};

PipelineFitter::PipelineFitter(PipelineFitter&&) noexcept = default;
PipelineFitter& PipelineFitter::operator=(PipelineFitter&&) noexcept = default;
PipelineFitter::~PipelineFitter() = default;

Result<PipelineFitter> PipelineFitter::Make(const Schema& raw_input, FitOptions options) {
  auto state = std::make_unique<State>();
  ASSIGN_OR_RETURN(state->preparer, Preparer::Compile(options.prepare, raw_input));
  state->training_only = options.training_only;
  const Schema& prepared = state->preparer.output();
  const std::set<std::string> excluded(options.exclude.begin(), options.exclude.end());
  for (const auto& [name, spec] : options.features) {
    const int at = prepared.Find(name);
    if (at < 0) {
      // To ignore what a step has dropped already is no mistake.
      if (spec.kind == FeatureKind::kIgnore && raw_input.Find(name) >= 0) continue;
      return UnknownColumn(name, prepared, raw_input);
    }
    if (excluded.count(name) != 0 && spec.kind != FeatureKind::kIgnore) {
      return InvalidArgument("features." + name + ": the target or weight cannot be a feature too",
                             "remove it from features");
    }
    auto status = ColumnFit::CheckSpec(prepared.fields[static_cast<size_t>(at)], spec);
    if (!status.ok()) return status.error().Within("features." + name);
  }
  const int64_t median_values = MedianValues(options.features);
  for (int i = 0; i < prepared.size(); ++i) {
    const Field& field = prepared.fields[static_cast<size_t>(i)];
    if (excluded.count(field.name) != 0) continue;
    const auto spec = options.features.find(field.name);
    ColumnFit column(field, spec == options.features.end() ? FeatureSpec{} : spec->second,
                     median_values);
    if (column.ignored()) continue;
    state->columns.push_back(std::move(column));
    state->sources.push_back(i);
  }
  PipelineFitter fitter;
  fitter.state_ = std::move(state);
  return fitter;
}

const Preparer& PipelineFitter::preparer() const { return state_->preparer; }

std::vector<std::string> PipelineFitter::observed_columns() const {
  std::vector<std::string> names;
  for (const ColumnFit& column : state_->columns) names.push_back(column.field().name);
  return names;
}

Status PipelineFitter::Observe(const Batch& prepared, const uint8_t* use) {
  for (size_t i = 0; i < state_->columns.size(); ++i) {
    const ColumnView& view = prepared.columns[static_cast<size_t>(state_->sources[i])];
    if (view.data == nullptr && prepared.rows > 0) {
      return Internal("column '" + state_->columns[i].field().name + "' was not read for fitting");
    }
    state_->columns[i].Observe(view, prepared.rows, use);
  }
  state_->rows += use == nullptr
                      ? prepared.rows
                      : std::count_if(use, use + prepared.rows, [](uint8_t u) { return u != 0; });
  return {};
}

Result<Pipeline> PipelineFitter::Finish(std::vector<std::string>* warnings) {
  if (state_->rows == 0) {
    return InvalidArgument("there are no rows to learn from",
                           "check the filters in prepare, and the dataset itself");
  }
  std::vector<Encoder> encoders;
  std::vector<std::string> names;
  for (const ColumnFit& column : state_->columns) {
    ASSIGN_OR_RETURN(std::optional<Encoder> encoder, column.Finish(warnings));
    if (!encoder) continue;
    names.push_back(encoder->column);
    encoders.push_back(std::move(*encoder));
  }
  ASSIGN_OR_RETURN(Preparer preparer, state_->preparer.PrunedFor(names, state_->training_only));
  ASSIGN_OR_RETURN(auto made, Pipeline::State::Make(std::move(preparer), std::move(encoders)));
  Pipeline pipeline;
  pipeline.state_ = std::move(made);
  return pipeline;
}

}  // namespace slipway
