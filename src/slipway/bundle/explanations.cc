#include "slipway/bundle/explanations.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

// Rows whose contributions are held at a time: a block of the explainer.
constexpr int kExplainedRows = 256;

// Of each prepared column, the only raw input that it is made from; absent: several or none.
std::map<std::string, std::string> SingleInputs(const Pipeline& pipeline) {
  // Filters choose rows; they make no column.
  std::vector<PrepareStep> steps;
  for (const PrepareStep& step : pipeline.preparer().steps()) {
    if (step.kind != PrepareStep::Kind::kFilter) steps.push_back(step);
  }
  std::map<std::string, std::string> single;
  const Result<Preparer> preparer = Preparer::Compile(steps, pipeline.inputs());
  if (!preparer.ok()) return single;  // a filter is no step that others build on: cannot be
  for (const Field& field : preparer->output().fields) {
    const std::vector<int> inputs = preparer->InputsFor({field.name});
    if (inputs.size() == 1)
      single[field.name] = pipeline.inputs().fields[static_cast<size_t>(inputs[0])].name;
  }
  return single;
}

}  // namespace

Result<std::unique_ptr<Explanations>> Explanations::Make(const Forest& forest,
                                                         const Pipeline* pipeline,
                                                         const std::vector<std::string>& features,
                                                         int most) {
  if (most < 1 || most > kMostExplanations) {
    return InvalidArgument(
        fmt::format("{} explanations a row are not between 1 and {}", most, kMostExplanations));
  }
  if (forest.outputs > 1 && forest.kind != PredictionKind::kMulticlass) {
    return InvalidArgument(
        fmt::format("the model predicts {} numbers a row: which of them to explain cannot be told",
                    forest.outputs),
        "score without explanations");
  }
  std::unique_ptr<Explanations> made(new Explanations);
  ASSIGN_OR_RETURN(made->explainer_, CompileExplainer(forest));
  made->most_ = static_cast<size_t>(most);
  if (forest.average) made->divisor_ = std::max(1, forest.iterations);
  made->FindNames(pipeline, features);
  return made;
}

void Explanations::FindNames(const Pipeline* pipeline, const std::vector<std::string>& features) {
  std::vector<std::string> of_feature = features;
  if (pipeline != nullptr) {
    std::map<std::string, std::string> single = SingleInputs(*pipeline);
    // A prepared column of several inputs keeps its name, even when an input is called so too: then
    // that input's other columns keep theirs.
    std::set<std::string> taken;
    for (const ModelFeature& feature : pipeline->features()) {
      if (!single.contains(feature.source)) taken.insert(feature.source);
    }
    for (size_t i = 0; i < of_feature.size(); ++i) {
      const std::string& source = pipeline->features()[i].source;
      const auto input = single.find(source);
      of_feature[i] =
          input == single.end() || taken.contains(input->second) ? source : input->second;
    }
  }
  std::map<std::string, size_t> place;
  for (const std::string& name : of_feature) {
    const auto [found, added] = place.try_emplace(name, names_.size());
    if (added) {
      names_.push_back(name);
      json_names_.push_back(DumpJson(Json(name)));
    }
    name_of_.push_back(found->second);
  }
}

void Explanations::AppendLargest(const double* all, const double* scores, size_t shown,
                                 Scratch* scratch, std::string* out) const {
  const size_t outputs = static_cast<size_t>(explainer_->outputs());
  const size_t width = static_cast<size_t>(explainer_->feature_count());
  const size_t output = static_cast<size_t>(std::max_element(scores, scores + outputs) - scores);
  const double* const contributions = all + output * (width + 1);
  std::vector<double>& sums = scratch->sums;
  std::vector<size_t>& order = scratch->order;
  sums.assign(names_.size(), 0.0);
  order.resize(names_.size());
  for (size_t i = 0; i < width; ++i) sums[name_of_[i]] += contributions[i] / divisor_;
  std::iota(order.begin(), order.end(), size_t{0});
  shown = std::min(shown, order.size());
  // Of equals the earlier column.
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
                    [&](size_t a, size_t b) {
                      const double left = std::fabs(sums[a]), right = std::fabs(sums[b]);
                      return left != right ? left > right : a < b;
                    });
  out->push_back('{');
  for (size_t i = 0; i < shown; ++i) {
    if (i > 0) out->push_back(',');
    out->append(json_names_[order[i]]);
    out->push_back(':');
    AppendDouble(sums[order[i]], out);
  }
  out->push_back('}');
}

void Explanations::ExplainRows(const double* features, int rows, Scratch* scratch) const {
  const size_t outputs = static_cast<size_t>(explainer_->outputs());
  const size_t width = static_cast<size_t>(explainer_->feature_count());
  scratch->all.resize(static_cast<size_t>(rows) * outputs * (width + 1));
  explainer_->Explain(features, rows, static_cast<int64_t>(width), scratch->all.data());
}

void Explanations::AppendRow(int row, const double* scores, int most, Scratch* scratch,
                             std::string* out) const {
  const size_t outputs = static_cast<size_t>(explainer_->outputs());
  const size_t width = static_cast<size_t>(explainer_->feature_count());
  AppendLargest(&scratch->all[static_cast<size_t>(row) * outputs * (width + 1)], scores,
                static_cast<size_t>(most), scratch, out);
}

void Explanations::Write(const double* matrix, int rows, const uint8_t* keep, const double* scores,
                         Column* column) const {
  const size_t outputs = static_cast<size_t>(explainer_->outputs());
  const size_t width = static_cast<size_t>(explainer_->feature_count());
  Scratch scratch;
  scratch.all.resize(outputs * (width + 1) * static_cast<size_t>(std::min(rows, kExplainedRows)));
  std::string text;
  for (int begin = 0; begin < rows; begin += kExplainedRows) {
    const int count = std::min(kExplainedRows, rows - begin);
    explainer_->Explain(matrix + static_cast<size_t>(begin) * width, count,
                        static_cast<int64_t>(width), scratch.all.data());
    for (int row = begin; row < begin + count; ++row) {
      if (keep[row] == 0) continue;
      text.clear();
      AppendLargest(&scratch.all[static_cast<size_t>(row - begin) * outputs * (width + 1)],
                    scores + static_cast<size_t>(row) * outputs, most_, &scratch, &text);
      column->strings()[row] = column->Intern(text);
      column->SetValid(row);
    }
  }
}

}  // namespace slipway
