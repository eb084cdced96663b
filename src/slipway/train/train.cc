#include "slipway/train/train.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/bundle/bundle.h"
#include "slipway/train/lightgbm_api.h"
#include "slipway/train/report.h"
#include "slipway/train/run.h"

namespace slipway {
namespace {

constexpr std::string_view kSlipwayVersion = SLIPWAY_VERSION;
// Scores in memory for the metrics: 256 MB of held-out ones, 8 MB of training ones. Beyond, an even
// sample.
constexpr int64_t kMaxHoldoutValues = 32'000'000;
constexpr int64_t kMaxTrainingValues = 1'000'000;

constexpr const char* kKindNames[] = {"regression", "binary", "multiclass"};

struct FoldReport {
  int64_t rows = 0, holdout_rows = 0;
  int best_iteration = 0;
  Metrics metrics;
};

// Everything between the last training and the files.
struct Outcome {
  TrainingRun run;
  HoldoutColumns columns;
  HoldoutReport holdout;
  std::vector<FoldReport> folds;
};

Status RunFolds(const TrainPlan& plan, Outcome* out) {
  const TrainSpec& spec = plan.task->spec;
  for (int fold = 0; fold < spec.k_fold; ++fold) {
    RunOptions options;
    options.early_stopping = spec.early_stopping;
    options.score_training = false;
    const std::string name =
        "fold " + std::to_string(fold + 1) + " of " + std::to_string(spec.k_fold);
    options.stage_prefix = name + ": ";
    auto trained = RunTraining(plan, SplitRule::Fold(fold, spec.k_fold, spec.seed), options);
    if (!trained.ok()) return trained.error().Within(name);
    TrainingRun& run = trained.value();
    if (run.encoded.holdout.rows() == 0) {
      return InvalidArgument(name + " has no rows", "use fewer folds, or add rows");
    }
    LabelledScores scores;
    const int64_t most = kMaxHoldoutValues / spec.k_fold;
    RETURN_IF_ERROR(
        AppendScores(run.encoded.holdout, run.holdout_scores, plan.weight >= 0, most, &scores));
    FoldReport& report = out->folds.emplace_back();
    report.rows = run.encoded.train.rows();
    report.holdout_rows = run.encoded.holdout.rows();
    report.best_iteration = run.booster.best_iteration;
    report.metrics = EvaluateScores(run.learned.target, scores).metrics;
    // A fold's pipeline may have fewer inputs (an id in one fold, not in another): the first one's
    // columns count.
    if (fold == 0)
      out->columns =
          MakeHoldoutColumns(run.learned.pipeline.inputs(), spec.target, run.learned.target);
    if (run.learned.pipeline.inputs().size() == out->columns.inputs) {
      RETURN_IF_ERROR(AddHoldoutRows(run, out->columns, &out->holdout));
    }
    LabelledScores& all = out->holdout.scores;
    all.outputs = scores.outputs;
    all.rows_in_all += scores.rows_in_all;
    all.label.insert(all.label.end(), scores.label.begin(), scores.label.end());
    all.weight.insert(all.weight.end(), scores.weight.begin(), scores.weight.end());
    all.score.insert(all.score.end(), scores.score.begin(), scores.score.end());
  }
  return {};
}

Status RunAll(const TrainPlan& plan, Outcome* out) {
  const TrainSpec& spec = plan.task->spec;
  RunOptions options;
  if (spec.k_fold > 0) {
    RETURN_IF_ERROR(RunFolds(plan, out));
    if (spec.early_stopping > 0) {
      double sum = 0;
      for (const FoldReport& fold : out->folds) sum += fold.best_iteration;
      options.num_iterations = std::max(1, static_cast<int>(std::lround(sum / spec.k_fold)));
    }
    ASSIGN_OR_RETURN(out->run, RunTraining(plan, SplitRule::None(), options));
    return {};
  }
  options.early_stopping = spec.early_stopping;
  ASSIGN_OR_RETURN(const SplitRule rule, MakeSplitRule(plan));
  ASSIGN_OR_RETURN(out->run, RunTraining(plan, rule, options));
  if (rule.holds_out() && out->run.encoded.holdout.rows() == 0) {
    out->run.learned.warnings.emplace_back("no row is held out: there are no held-out metrics");
  }
  out->columns =
      MakeHoldoutColumns(out->run.learned.pipeline.inputs(), spec.target, out->run.learned.target);
  RETURN_IF_ERROR(AddHoldoutRows(out->run, out->columns, &out->holdout));
  return AppendScores(out->run.encoded.holdout, out->run.holdout_scores, plan.weight >= 0,
                      kMaxHoldoutValues, &out->holdout.scores);
}

Json FoldsToJson(const std::vector<FoldReport>& folds) {
  if (folds.empty()) return nullptr;
  Json out = Json::array();
  for (const FoldReport& fold : folds) {
    out.push_back({{"rows", fold.rows},
                   {"holdout_rows", fold.holdout_rows},
                   {"best_iteration", fold.best_iteration},
                   {"metrics", MetricsToJson(fold.metrics)}});
  }
  return out;
}

Json FeaturesOf(const Pipeline& pipeline) {
  Json out = Json::array();
  for (const ModelFeature& feature : pipeline.features()) {
    out.push_back(
        {{"name", feature.name}, {"source", feature.source}, {"categorical", feature.categorical}});
  }
  return out;
}

void AddMetrics(const TrainPlan& plan, const Outcome& outcome, const LabelledScores& training,
                Json* info) {
  const TargetCoder& target = outcome.run.learned.target;
  const EvaluatedScores holdout = EvaluateScores(target, outcome.holdout.scores);
  Json& out = *info;
  out["metrics"] = MetricsOrNull(holdout.metrics);
  if (!outcome.folds.empty()) {
    std::vector<Metrics> metrics;
    for (const FoldReport& fold : outcome.folds) metrics.push_back(fold.metrics);
    std::tie(out["metrics"], out["metrics_std"]) = MeanOfFolds(metrics);
  }
  out["metrics_training"] = MetricsOrNull(EvaluateScores(target, training).metrics);
  out["metrics_rows"] = std::ssize(outcome.holdout.scores.label);
  out["metrics_training_rows"] = std::ssize(training.label);
  out["folds"] = FoldsToJson(outcome.folds);
  out["confusion"] = holdout.confusion;
  out["calibration"] = holdout.calibration;
  if (plan.task->spec.k_fold == 0 && !outcome.run.booster.metric.empty()) {
    out["watched_metric"] = {{"name", outcome.run.booster.metric},
                             {"value", DoubleToJson(outcome.run.booster.metric_value)}};
  }
}

Result<Json> MakeInfo(const TrainPlan& plan, const Outcome& outcome, double begin) {
  const TrainSpec& spec = plan.task->spec;
  const TrainingRun& run = outcome.run;
  const RowCounts& counts = run.learned.counts;
  LabelledScores training;
  RETURN_IF_ERROR(AppendScores(run.encoded.train, run.train_scores, plan.weight >= 0,
                               kMaxTrainingValues, &training));
  Json asked = Json::object();
  for (const auto& [name, value] : spec.parameters) asked[name] = ParameterValueToJson(value);
  Json info = Json::object();
  info["algorithm"] = spec.algorithm;
  info["prediction"] = kKindNames[static_cast<size_t>(spec.prediction)];
  info["target"] = spec.target;
  info["classes"] = run.learned.target.classes();
  info["created_at"] = NowText();
  info["rows"] = run.encoded.train.rows();
  info["holdout_rows"] = outcome.holdout.scores.rows_in_all;
  info["dropped_rows"] = {{"filtered", counts.filtered},
                          {"no_target", counts.no_target},
                          {"unreadable", counts.bad},
                          {"unseen_category", run.encoded.unseen}};
  AddMetrics(plan, outcome, training, &info);
  info["importance"] = ImportanceToJson(run.learned.pipeline, run.booster, false);
  info["importance_by_column"] = ImportanceToJson(run.learned.pipeline, run.booster, true);
  info["parameters"] = {{"asked", std::move(asked)},
                        {"effective", ParametersToJson(run.parameters)}};
  const Json recipe = TrainSpecToJson(spec);
  for (const char* key : {"prepare", "validation", "early_stopping", "weight", "class_weights"}) {
    info[key] = recipe.contains(key) ? recipe[key] : Json();
  }
  info["features"] = FeaturesOf(run.learned.pipeline);
  info["schema"] = SchemaToJson(run.learned.pipeline.inputs());
  info["best_iteration"] = run.booster.best_iteration;
  const auto outputs =
      spec.prediction == PredictionKind::kMulticlass ? run.learned.target.classes().size() : 1;
  info["trees"] = static_cast<int64_t>(run.booster.best_iteration) * static_cast<int64_t>(outputs);
  info["holdout_columns"] = {{"label", outcome.columns.label},
                             {"outputs", outcome.columns.outputs}};
  info["train_seconds"] = SteadySeconds() - begin;
  info["timings"] = {{"read", run.read_seconds},
                     {"encode", run.encode_seconds},
                     {"bin", run.booster.bin_seconds},
                     {"train", run.booster.boost_seconds},
                     {"score", run.score_seconds}};
  info["libraries"] = {{"slipway", kSlipwayVersion}, {"lightgbm", kLightGbmVersion}};
  Json warnings = run.learned.warnings;
  for (const std::string& warning : run.booster.warnings) warnings.push_back(warning);
  info["warnings"] = std::move(warnings);
  if (!plan.task->lineage_json.empty()) {
    ASSIGN_OR_RETURN(info["lineage"], ParseJson(plan.task->lineage_json));
  }
  return info;
}

Result<Json> MakeReference(TrainingRun* run) {
  ASSIGN_OR_RETURN(ScoreReferences scores,
                   MakeScoreReferences(run->learned.target, run->encoded.train, run->train_scores,
                                       run->encoded.holdout, run->holdout_scores));
  Json out = Json::object();
  out["training"] = {{"rows", run->encoded.train.rows()},
                     {"features", run->learned.reference.ToJson(false)},
                     {"target", std::move(scores.training_target)},
                     {"predictions", std::move(scores.training_predictions)}};
  out["holdout"] = nullptr;
  if (run->encoded.holdout.rows() > 0) {
    out["holdout"] = {{"rows", run->encoded.holdout.rows()},
                      {"features", run->learned.reference.ToJson(true)},
                      {"target", std::move(scores.holdout_target)},
                      {"predictions", std::move(scores.holdout_predictions)}};
  }
  return out;
}

Status WriteFiles(const TrainPlan& plan, Outcome* outcome, const Json& info,
                  const Json& reference) {
  const std::string& dir = plan.task->output_dir;
  RETURN_IF_ERROR(MakeDirs(dir));
  BundleContent bundle;
  bundle.kind = plan.task->spec.prediction;
  bundle.target = plan.task->spec.target;
  bundle.target_type = outcome->run.learned.target.type();
  bundle.classes = outcome->run.learned.target.classes();
  bundle.algorithm = plan.task->spec.algorithm;
  bundle.model_text = outcome->run.booster.text;
  bundle.pipeline_json = DumpJson(outcome->run.learned.pipeline.ToJson());
  bundle.info_json = DumpJson(info);
  bundle.sample_rows = outcome->run.encoded.sample;
  RETURN_IF_ERROR(WriteBundle(JoinPath(dir, "model.bundle"), bundle));
  RETURN_IF_ERROR(WriteFileAtomic(JoinPath(dir, "info.json"), DumpJson(info, 1) + "\n"));
  RETURN_IF_ERROR(WriteFileAtomic(JoinPath(dir, "reference.json"), DumpJson(reference) + "\n"));
  if (outcome->columns.schema.fields.empty()) return {};
  return WriteHoldout(JoinPath(dir, "holdout.parquet"), outcome->columns, outcome->holdout);
}

Status CheckTask(const TrainTask& task) {
  if (task.spec.algorithm != "lightgbm") {
    return InvalidArgument("algorithm '" + task.spec.algorithm + "' comes with a later part",
                           "use lightgbm");
  }
  if (task.spec.early_stopping > 0 && task.spec.holdout == 0 && task.spec.k_fold == 0) {
    return InvalidArgument("early_stopping needs held-out rows to watch",
                           "write `validation: {holdout: 0.2}`");
  }
  ASSIGN_OR_RETURN(const auto parameters, CheckLightGbmParameters(task.spec));
  const auto boosting = parameters.find("boosting");
  if (task.spec.early_stopping > 0 && boosting != parameters.end() && boosting->second == "dart") {
    return InvalidArgument(
        "early_stopping does not go with `boosting: dart`, which changes earlier trees",
        "leave one of them out");
  }
  return {};
}

}  // namespace

Result<Json> TrainModel(const TrainTask& task) {
  const double begin = SteadySeconds();
  RETURN_IF_ERROR(CheckTask(task));
  ASSIGN_OR_RETURN(const TrainPlan plan, MakeTrainPlan(task));
  Outcome outcome;
  RETURN_IF_ERROR(RunAll(plan, &outcome));
  ASSIGN_OR_RETURN(const Json reference, MakeReference(&outcome.run));
  ASSIGN_OR_RETURN(Json info, MakeInfo(plan, outcome, begin));
  RETURN_IF_ERROR(WriteFiles(plan, &outcome, info, reference));
  return info;
}

}  // namespace slipway
