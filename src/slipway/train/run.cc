#include "slipway/train/run.h"

#include <algorithm>
#include <numeric>

#include "slipway/base/clock.h"
#include "slipway/base/text.h"

namespace slipway {

Result<std::vector<double>> ClassWeights(const TrainSpec& spec, const TargetCoder& target) {
  const auto& classes = target.classes();
  std::vector<double> weights;
  if (spec.balanced) {
    const auto& counts = target.training_counts();
    const auto rows =
        static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
    for (int64_t count : counts) {
      weights.push_back(rows / (static_cast<double>(classes.size()) * static_cast<double>(count)));
    }
    return weights;
  }
  if (spec.class_weights.empty()) return weights;
  weights.assign(classes.size(), 1.0);
  for (const auto& [name, weight] : spec.class_weights) {
    const auto found = std::find(classes.begin(), classes.end(), name);
    if (found == classes.end()) {
      std::string hint = DidYouMean(name, classes);
      return InvalidArgument(
          "class_weights: the target '" + spec.target + "' has no class '" + name + "'",
          hint.empty() ? "its classes are " + QuotedList(classes) : hint);
    }
    weights[static_cast<size_t>(found - classes.begin())] = weight;
  }
  return weights;
}

namespace {

Status Boost(const TrainPlan& plan, const RunOptions& options, TrainingRun* run) {
  TrainSpec spec = plan.task->spec;
  ParameterContext context;
  context.classes = static_cast<int>(run->learned.target.classes().size());
  context.threads = plan.task->threads;
  const auto& features = run->learned.pipeline.features();
  BoosterData data;
  for (size_t i = 0; i < features.size(); ++i) {
    data.feature_names.push_back(features[i].name);
    if (features[i].categorical) context.categorical.push_back(static_cast<int>(i));
  }
  ASSIGN_OR_RETURN(run->parameters, EffectiveParameters(spec, context));
  for (auto& [name, value] : run->parameters) {
    if (name == "num_iterations" && options.num_iterations > 0)
      value = std::to_string(options.num_iterations);
  }
  data.train = &run->encoded.train;
  data.holdout = &run->encoded.holdout;
  data.weighted = plan.weight >= 0;
  ASSIGN_OR_RETURN(data.class_weights, ClassWeights(spec, run->learned.target));
  BoosterOptions booster;
  booster.parameters = run->parameters;
  booster.early_stopping = options.early_stopping;
  booster.progress = plan.task->progress;
  booster.cancel = plan.task->cancel;
  ASSIGN_OR_RETURN(run->booster, TrainBooster(data, booster));
  return {};
}

}  // namespace

Result<TrainingRun> RunTraining(const TrainPlan& outer, const SplitRule& rule,
                                const RunOptions& options) {
  TrainTask task = *outer.task;
  if (task.progress && !options.stage_prefix.empty()) {
    task.progress = [report = outer.task->progress, &options](std::string_view stage, double part,
                                                              std::string_view detail) {
      report(stage, part, options.stage_prefix + std::string(detail));
    };
  }
  TrainPlan plan = outer;
  plan.task = &task;
  double now = SteadySeconds();
  const auto lap = [&now] {
    const double before = now;
    now = SteadySeconds();
    return now - before;
  };
  TrainingRun run;
  ASSIGN_OR_RETURN(run.learned, LearnPass(plan, rule));
  run.read_seconds = lap();
  ASSIGN_OR_RETURN(run.encoded, EncodePass(plan, rule, &run.learned));
  run.encode_seconds = lap();
  RETURN_IF_ERROR(Boost(plan, options, &run));
  lap();
  ASSIGN_OR_RETURN(const Scorer scorer, Scorer::FromText(run.booster.text));
  ASSIGN_OR_RETURN(run.holdout_scores,
                   scorer.Score(run.encoded.holdout, task.temp_dir, task.threads));
  if (options.score_training) {
    ASSIGN_OR_RETURN(run.train_scores,
                     scorer.Score(run.encoded.train, task.temp_dir, task.threads));
  }
  run.score_seconds = lap();
  if (task.progress)
    task.progress("score", 1, FormatCount(run.encoded.holdout.rows()) + " held-out rows");
  return run;
}

}  // namespace slipway
