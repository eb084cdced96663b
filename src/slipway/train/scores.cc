#include "slipway/train/scores.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "slipway/base/json.h"
#include "slipway/forest/lightgbm_text.h"
#include "slipway/stats/reference.h"

namespace slipway {
namespace {

constexpr int64_t kScoreBlockRows = 4096;
constexpr int kMaxReferenceClasses = 100;  // classes whose probabilities get a reference

// The statistics of one side and one numeric value per row, read off a block.
template <typename Value>
Status SeeOrCount(const RowFile& file, bool count, const Value& value,
                  NumericReferenceBuilder* builder) {
  std::vector<double> values;
  return ForEachBlock(file, kScoreBlockRows,
                      [&](int64_t, int64_t rows, const double* block) -> Status {
                        values.clear();
                        for (int64_t r = 0; r < rows; ++r)
                          values.push_back(value(block + r * file.width()));
                        if (count) {
                          builder->Count(values);
                        } else {
                          builder->See(values);
                        }
                        return {};
                      });
}

struct TwoSides {
  Json training, holdout;
};

template <typename Value>
Result<TwoSides> NumericSides(const RowFile& train, const RowFile& holdout, const Value& value) {
  NumericReferenceBuilder training, held_out;
  RETURN_IF_ERROR(SeeOrCount(train, false, value, &training));
  training.FinishBounds();
  RETURN_IF_ERROR(SeeOrCount(train, true, value, &training));
  RETURN_IF_ERROR(SeeOrCount(holdout, false, value, &held_out));
  held_out.UseBounds(training.bounds());
  RETURN_IF_ERROR(SeeOrCount(holdout, true, value, &held_out));
  TwoSides out{training.Finish().ToJson(), held_out.Finish().ToJson()};
  for (Json* side : {&out.training, &out.holdout}) (*side)["kind"] = "numeric";
  return out;
}

template <typename ClassOf>
Result<TwoSides> CategorySides(const RowFile& train, const RowFile& holdout,
                               const std::vector<std::string>& classes, const ClassOf& class_of) {
  TwoSides out;
  for (const auto& [file, json] :
       {std::pair{&train, &out.training}, std::pair{&holdout, &out.holdout}}) {
    std::vector<int64_t> counts(classes.size(), 0);
    RETURN_IF_ERROR(ForEachBlock(
        *file, kScoreBlockRows, [&](int64_t, int64_t rows, const double* block) -> Status {
          for (int64_t r = 0; r < rows; ++r)
            ++counts[static_cast<size_t>(class_of(block + r * file->width()))];
          return {};
        }));
    CategoryReferenceBuilder builder;
    for (size_t i = 0; i < classes.size(); ++i) {
      if (counts[i] > 0) builder.See(classes[i], counts[i]);
    }
    *json = builder.Finish().ToJson();
    (*json)["kind"] = "category";
  }
  return out;
}

}  // namespace

Result<Scorer> Scorer::FromText(const std::string& model_text) {
  ASSIGN_OR_RETURN(Forest forest, ParseLightGbmText(model_text));
  RETURN_IF_ERROR(Validate(forest));
  Scorer out;
  ASSIGN_OR_RETURN(out.engine_, CompileEngine(forest));
  out.trees_ = static_cast<int>(forest.trees.size());
  forest.trees.clear();
  out.head_ = std::move(forest);
  return out;
}

Result<RowFile> Scorer::Score(const RowFile& rows, const std::string& temp_dir, int threads) const {
  ASSIGN_OR_RETURN(RowFile scores, RowFile::Make(temp_dir, outputs()));
  scores.Resize(rows.rows());
  const int64_t blocks = (rows.rows() + kScoreBlockRows - 1) / kScoreBlockRows;
  const int workers = static_cast<int>(std::clamp<int64_t>(blocks, 1, std::max(threads, 1)));
  std::atomic<int64_t> next{0};
  std::vector<Status> outcomes(static_cast<size_t>(workers));
  const auto work = [&](Status* outcome) {
    std::vector<double> in(static_cast<size_t>(kScoreBlockRows * rows.width()));
    std::vector<double> out(static_cast<size_t>(kScoreBlockRows * outputs()));
    for (int64_t block; outcome->ok() && (block = next.fetch_add(1)) < blocks;) {
      const int64_t first = block * kScoreBlockRows;
      const int64_t count = std::min(kScoreBlockRows, rows.rows() - first);
      *outcome = rows.Read(first, count, in.data());
      if (!outcome->ok()) break;
      engine_->PredictRaw(in.data(), count, rows.width(), out.data());
      ApplyOutputTransform(head_, count, out.data());
      *outcome = scores.WriteAt(first, {out.data(), static_cast<size_t>(count * outputs())});
    }
  };
  {
    std::vector<std::jthread> pool;
    for (int i = 1; i < workers; ++i) pool.emplace_back(work, &outcomes[static_cast<size_t>(i)]);
    work(&outcomes[0]);
  }
  for (Status& outcome : outcomes) RETURN_IF_ERROR(std::move(outcome));
  return scores;
}

int PredictedClass(PredictionKind kind, const double* scores, int outputs) {
  if (kind == PredictionKind::kBinary) return scores[0] > 0.5 ? 1 : 0;
  return static_cast<int>(std::max_element(scores, scores + outputs) - scores);
}

Status AppendScores(const RowFile& rows, const RowFile& scores, bool weighted, int64_t max_values,
                    LabelledScores* out) {
  out->outputs = scores.width();
  out->rows_in_all += rows.rows();
  const int64_t most = std::max<int64_t>(max_values / scores.width(), 1);
  const int64_t step = std::max<int64_t>((rows.rows() + most - 1) / most, 1);
  const int label = rows.width() - 2;
  std::vector<double> block_scores(static_cast<size_t>(kScoreBlockRows * scores.width()));
  return ForEachBlock(rows, kScoreBlockRows,
                      [&](int64_t first, int64_t count, const double* block) -> Status {
                        RETURN_IF_ERROR(scores.Read(first, count, block_scores.data()));
                        for (int64_t r = 0; r < count; ++r) {
                          if ((first + r) % step != 0) continue;
                          const double* row = block + r * rows.width();
                          out->label.push_back(row[label]);
                          if (weighted) out->weight.push_back(row[label + 1]);
                          const double* from = block_scores.data() + r * scores.width();
                          out->score.insert(out->score.end(), from, from + scores.width());
                        }
                        return {};
                      });
}

EvaluatedScores EvaluateScores(const TargetCoder& target, const LabelledScores& scores) {
  EvaluatedScores out;
  if (scores.label.empty()) return out;
  if (target.kind() == PredictionKind::kRegression) {
    out.metrics = RegressionMetrics(scores.label, scores.score, scores.weight);
    return out;
  }
  const int classes = static_cast<int>(target.classes().size());
  std::vector<int32_t> label, predicted;
  for (size_t i = 0; i < scores.label.size(); ++i) {
    label.push_back(static_cast<int32_t>(scores.label[i]));
    predicted.push_back(PredictedClass(
        target.kind(), &scores.score[i * static_cast<size_t>(scores.outputs)], scores.outputs));
  }
  out.confusion = {{"classes", target.classes()},
                   {"counts", ConfusionMatrix(label, predicted, classes, scores.weight)}};
  if (target.kind() == PredictionKind::kMulticlass) {
    out.metrics = MulticlassMetrics(label, scores.score, classes, scores.weight);
    return out;
  }
  const std::vector<uint8_t> positive(label.begin(), label.end());
  out.metrics = BinaryMetrics(positive, scores.score, scores.weight);
  out.calibration = Json::array();
  for (const CalibrationBin& bin : Calibration(positive, scores.score, scores.weight)) {
    out.calibration.push_back({{"mean_predicted", DoubleToJson(bin.mean_predicted)},
                               {"observed", DoubleToJson(bin.observed)},
                               {"weight", bin.weight}});
  }
  return out;
}

Result<ScoreReferences> MakeScoreReferences(const TargetCoder& target, const RowFile& train,
                                            const RowFile& train_scores, const RowFile& holdout,
                                            const RowFile& holdout_scores) {
  ScoreReferences out;
  out.training_predictions = out.holdout_predictions = Json::object();
  const int label = train.width() - 2;
  const auto label_of = [label](const double* row) { return row[label]; };
  const auto add = [&out](const std::string& name, TwoSides sides) {
    out.training_predictions[name] = std::move(sides.training);
    out.holdout_predictions[name] = std::move(sides.holdout);
  };
  const auto score_at = [](int i) { return [i](const double* row) { return row[i]; }; };
  if (target.kind() == PredictionKind::kRegression) {
    ASSIGN_OR_RETURN(TwoSides sides, NumericSides(train, holdout, label_of));
    out.training_target = std::move(sides.training);
    out.holdout_target = std::move(sides.holdout);
    ASSIGN_OR_RETURN(TwoSides scores, NumericSides(train_scores, holdout_scores, score_at(0)));
    add("prediction", std::move(scores));
    return out;
  }
  const auto& classes = target.classes();
  ASSIGN_OR_RETURN(TwoSides sides,
                   CategorySides(train, holdout, classes, [label](const double* row) {
                     return static_cast<int>(row[label]);
                   }));
  out.training_target = std::move(sides.training);
  out.holdout_target = std::move(sides.holdout);
  const int outputs = train_scores.width();
  for (int i = 0; i < std::min(outputs, kMaxReferenceClasses); ++i) {
    ASSIGN_OR_RETURN(TwoSides scores, NumericSides(train_scores, holdout_scores, score_at(i)));
    const int name = target.kind() == PredictionKind::kBinary ? 1 : i;
    add("proba_" + classes[static_cast<size_t>(name)], std::move(scores));
  }
  ASSIGN_OR_RETURN(TwoSides predicted,
                   CategorySides(train_scores, holdout_scores, classes, [&](const double* row) {
                     return PredictedClass(target.kind(), row, outputs);
                   }));
  add("prediction", std::move(predicted));
  return out;
}

}  // namespace slipway
