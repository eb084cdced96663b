// An existing bundle on the rows that a recipe holds out: what `if_better` compares with.
#include <cmath>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/bundle/model.h"
#include "slipway/table/cell.h"
#include "slipway/train/passes.h"
#include "slipway/train/scores.h"

namespace slipway {
namespace {

// The raw columns of the dataset as the model's inputs, converted where the types differ.
class InputMapper {
 public:
  static Result<InputMapper> Make(const Schema& raw, const Schema& inputs) {
    InputMapper mapper;
    mapper.inputs_ = &inputs;
    std::vector<std::string> absent;
    for (const Field& field : inputs.fields) {
      const int at = raw.Find(field.name);
      mapper.from_.push_back(at);
      if (at < 0) {
        absent.push_back(field.name);
      } else if (!CanConvert(raw.fields[static_cast<size_t>(at)].type, field.type)) {
        return InvalidArgument("column '" + field.name + "' is a " +
                               std::string(TypeName(raw.fields[static_cast<size_t>(at)].type)) +
                               ", but the version was trained on a " +
                               std::string(TypeName(field.type)));
      }
    }
    if (!absent.empty()) {
      return InvalidArgument("the dataset has no column " + QuotedList(absent) +
                             ", which the version needs");
    }
    mapper.converted_.resize(inputs.fields.size());
    mapper.views_.resize(inputs.fields.size());
    return mapper;
  }
  // Valid until the next call.
  Batch Map(const Batch& raw) {
    for (size_t i = 0; i < from_.size(); ++i) {
      views_[i] = raw.columns[static_cast<size_t>(from_[i])];
      const Type type = inputs_->fields[i].type;
      if (views_[i].type == type) continue;
      int bad_row = 0;  // such a cell counts as missing
      ConvertColumn(views_[i], raw.rows, type, &converted_[i], &bad_row);
      views_[i] = converted_[i].View();
    }
    return {inputs_, raw.rows, raw.first_row, views_, {}, 0};
  }

 private:
  const Schema* inputs_ = nullptr;
  std::vector<int> from_;
  std::vector<Column> converted_;
  std::vector<ColumnView> views_;
};

// Scores the held-out rows of each batch.
class HoldoutScorer {
 public:
  HoldoutScorer(const TrainPlan& plan, const SplitRule& rule, const Model& model,
                InputMapper mapper)
      : plan_(plan),
        model_(model),
        mapper_(std::move(mapper)),
        sorter_(&plan, &rule),
        all_(!rule.holds_out()),
        target_(TargetCoder::OfClasses(
            plan.task->spec.prediction,
            plan.preparer.output().fields[static_cast<size_t>(plan.target)].type,
            model.classes())) {
    scores_.outputs = plan.task->spec.prediction == PredictionKind::kMulticlass
                          ? static_cast<int>(model.classes().size())
                          : 1;
  }
  Status Take(const Batch& raw);
  const TargetCoder& target() const { return target_; }
  const LabelledScores& scores() const { return scores_; }
  int64_t dropped() const { return dropped_; }
  int64_t unknown() const { return unknown_; }

 private:
  const TrainPlan& plan_;
  const Model& model_;
  InputMapper mapper_;
  RowSorter sorter_;
  bool all_;  // k-fold validation holds every row out once
  TargetCoder target_;
  PipelineScratch scratch_;
  std::vector<double> matrix_, out_, label_, weight_;
  std::vector<uint8_t> keep_;
  LabelledScores scores_;
  int64_t dropped_ = 0, unknown_ = 0;
};

Status HoldoutScorer::Take(const Batch& raw) {
  sorter_.Run(raw);
  const Batch& prepared = sorter_.prepared();
  const auto rows = static_cast<size_t>(raw.rows);
  const auto outputs = static_cast<size_t>(scores_.outputs);
  matrix_.resize(rows * static_cast<size_t>(model_.feature_count()));
  out_.resize(rows * outputs);
  keep_.assign(rows, 1);
  label_.resize(rows);
  weight_.assign(rows, 1.0);
  model_.pipeline()->Transform(mapper_.Map(raw), &scratch_, matrix_.data(), keep_.data());
  model_.PredictMatrix(matrix_.data(), raw.rows, out_.data());
  target_.Labels(prepared.columns[static_cast<size_t>(plan_.target)], raw.rows, label_.data());
  if (plan_.weight >= 0) {
    ColumnAsDoubles(prepared.columns[static_cast<size_t>(plan_.weight)], raw.rows, weight_.data());
  }
  for (size_t r = 0; r < rows; ++r) {
    const RowUse use = sorter_.use()[r];
    if (use != RowUse::kHoldout && !(all_ && use == RowUse::kTrain)) continue;
    if (keep_[r] == 0) {
      ++dropped_;
      continue;
    }
    if (std::isnan(label_[r])) {
      ++unknown_;
      continue;
    }
    scores_.label.push_back(label_[r]);
    if (plan_.weight >= 0) scores_.weight.push_back(weight_[r]);
    scores_.score.insert(scores_.score.end(),
                         out_.begin() + static_cast<std::ptrdiff_t>(r * outputs),
                         out_.begin() + static_cast<std::ptrdiff_t>((r + 1) * outputs));
  }
  return {};
}

}  // namespace

Result<Json> EvaluateOnHoldout(const std::string& bundle_path, const TrainTask& task) {
  ASSIGN_OR_RETURN(const auto model, Model::Open(bundle_path));
  if (model->pipeline() == nullptr) {
    return InvalidArgument("'" + bundle_path + "' is a bare model file; evaluation needs a bundle");
  }
  if (model->kind() != task.spec.prediction) {
    return InvalidArgument("the version in '" + bundle_path +
                           "' is of another prediction kind than the recipe");
  }
  if (task.spec.holdout == 0 && task.spec.k_fold == 0) {
    return InvalidArgument("the recipe holds no rows out, so versions cannot be compared on them",
                           "write `validation: {holdout: 0.2}`");
  }
  ASSIGN_OR_RETURN(const TrainPlan plan, MakeTrainPlan(task));
  SplitRule rule = SplitRule::None();
  if (task.spec.k_fold == 0) {
    ASSIGN_OR_RETURN(rule, MakeSplitRule(plan));
  }
  ASSIGN_OR_RETURN(InputMapper mapper, InputMapper::Make(plan.raw, model->inputs()));
  HoldoutScorer scorer(plan, rule, *model, std::move(mapper));
  RETURN_IF_ERROR(
      ForEachRow(plan, "evaluate", [&](const Batch& batch) { return scorer.Take(batch); }));
  if (scorer.scores().label.empty())
    return InvalidArgument("no row is held out, so there is nothing to compare on");
  const EvaluatedScores evaluated = EvaluateScores(scorer.target(), scorer.scores());
  return Json{
      {"rows", std::ssize(scorer.scores().label)}, {"dropped_rows", scorer.dropped()},
      {"unknown_class_rows", scorer.unknown()},    {"metrics", MetricsToJson(evaluated.metrics)},
      {"confusion", evaluated.confusion},          {"calibration", evaluated.calibration}};
}

}  // namespace slipway
