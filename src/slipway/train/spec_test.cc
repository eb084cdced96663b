#include "slipway/base/json.h"
#include "slipway/train/parameters.h"
#include "slipway/train/train.h"

namespace slipway {
namespace {

using testing::HasSubstr;

Json Minimal() { return {{"target", "fare"}, {"prediction", "regression"}}; }

Error ErrorOf(const Json& json) {
  const auto spec = TrainSpecFromJson(json);
  EXPECT_FALSE(spec.ok()) << DumpJson(json);
  return spec.ok() ? Error{} : spec.error();
}

Error ParameterError(const Json& parameters, const char* prediction = "regression") {
  Json json = Minimal();
  json["prediction"] = prediction;
  json["algorithm"] = {{"lightgbm", parameters}};
  const auto spec = TrainSpecFromJson(json);
  if (!spec.ok()) return spec.error();
  const auto checked = CheckLightGbmParameters(*spec);
  EXPECT_FALSE(checked.ok()) << DumpJson(parameters);
  return checked.ok() ? Error{} : checked.error();
}

TEST(TrainSpec, ReadsEveryKey) {
  const auto json = ParseJson(R"({
    "target": "fare", "prediction": "binary",
    "prepare": [{"filter": "a > 1"}], "features": {"key": "ignore"},
    "algorithm": {"lightgbm": {"num_iterations": 500, "learning_rate": 0.05, "extra_trees": true,
                               "monotone_constraints": [1, -1], "interaction_constraints": [[0, 1], [2]],
                               "objective": "binary"}},
    "validation": {"holdout": 0.25, "seed": 7, "time_column": "t"},
    "early_stopping": 20, "weight": "w", "class_weights": {"yes": 5, "no": 1}})");
  const auto spec = TrainSpecFromJson(*json);
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(spec->target, "fare");
  EXPECT_EQ(spec->prediction, PredictionKind::kBinary);
  EXPECT_EQ(spec->prepare.size(), 1u);
  EXPECT_EQ(spec->features.size(), 1u);
  EXPECT_EQ(spec->parameters.at("num_iterations"), "500");
  EXPECT_EQ(spec->parameters.at("learning_rate"), "0.05");
  EXPECT_EQ(spec->parameters.at("extra_trees"), "true");
  EXPECT_EQ(spec->parameters.at("monotone_constraints"), "1,-1");
  EXPECT_EQ(spec->parameters.at("interaction_constraints"), "[0,1],[2]");
  EXPECT_EQ(spec->holdout, 0.25);
  EXPECT_EQ(spec->seed, 7);
  EXPECT_EQ(spec->time_column, "t");
  EXPECT_EQ(spec->early_stopping, 20);
  EXPECT_EQ(spec->weight, "w");
  EXPECT_EQ(spec->class_weights.at("yes"), 5);
}

TEST(TrainSpec, GoesToJsonAndBackUnchanged) {
  const char* const texts[] = {
      R"({"target":"y","prediction":"regression"})",
      R"({"target":"y","prediction":"multiclass","algorithm":"lightgbm","class_weights":"balanced"})",
      R"({"target":"y","prediction":"binary","algorithm":{"lightgbm":{"eta":0.1,"max_bin":63,"extra_trees":false}},
          "validation":{"k_fold":5,"seed":1},"early_stopping":3,"weight":"w","class_weights":{"a":2}})",
      R"({"target":"y","prediction":"binary","validation":{"holdout":0}})"};
  for (const char* text : texts) {
    const auto first = TrainSpecFromJson(*ParseJson(text));
    ASSERT_TRUE(first.ok()) << first.error().message;
    const Json json = TrainSpecToJson(*first);
    const auto second = TrainSpecFromJson(json);
    ASSERT_TRUE(second.ok()) << second.error().message;
    EXPECT_EQ(DumpJson(TrainSpecToJson(*second)), DumpJson(json));
    EXPECT_EQ(second->parameters, first->parameters);
    EXPECT_EQ(second->holdout, first->holdout);
  }
}

TEST(TrainSpec, UnknownKeysAreErrorsWithAPathAndASuggestion) {
  Json json = Minimal();
  json["tarjet"] = "x";
  EXPECT_THAT(ErrorOf(json).message, HasSubstr("'tarjet'"));
  EXPECT_THAT(ErrorOf(json).hint, HasSubstr("target"));
  json = Minimal();
  json["validation"] = {{"hold_out", 0.2}};
  EXPECT_THAT(ErrorOf(json).message, HasSubstr("validation: unknown key 'hold_out'"));
  EXPECT_THAT(ErrorOf(json).hint, HasSubstr("holdout"));
}

TEST(TrainSpec, WrongValuesSayWhere) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"prediction":"binary"})", "`target` is missing"},
      {R"({"target":"y"})", "`prediction` is missing"},
      {R"({"target":"y","prediction":"regresion"})", "unknown kind 'regresion'"},
      {R"({"target":"y","prediction":"binary","algorithm":"xgboost"})", "comes with a later part"},
      {R"({"target":"y","prediction":"binary","algorithm":{"linear":{}}})",
       "comes with a later part"},
      {R"({"target":"y","prediction":"binary","algorithm":"lightgbn"})", "no algorithm 'lightgbn'"},
      {R"({"target":"y","prediction":"binary","algorithm":{"lightgbm":{"max_bin":{}}}})",
       "algorithm.lightgbm.max_bin"},
      {R"({"target":"y","prediction":"binary","validation":{"holdout":1}})", "validation.holdout"},
      {R"({"target":"y","prediction":"binary","validation":{"k_fold":1}})", "validation.k_fold"},
      {R"({"target":"y","prediction":"binary","validation":{"k_fold":3,"holdout":0.1}})",
       "k_fold goes with"},
      {R"({"target":"y","prediction":"binary","validation":{"seed":-1}})", "validation.seed"},
      {R"({"target":"y","prediction":"binary","validation":{"holdout":0},"early_stopping":5})",
       "early_stopping needs"},
      {R"({"target":"y","prediction":"binary","early_stopping":-5})", "early_stopping"},
      {R"({"target":"y","prediction":"regression","class_weights":"balanced"})",
       "a regression has no classes"},
      {R"({"target":"y","prediction":"binary","class_weights":{"a":-1}})", "class_weights.a"},
      {R"({"target":"y","prediction":"binary","features":{"y":{"as":"numeric"}}})", "features.y"},
      {R"({"target":"y","prediction":"binary","weight":"y"})", "the target cannot be the weight"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_THAT(ErrorOf(*ParseJson(text)).message, HasSubstr(message));
}

TEST(Parameters, UnknownNamesAreErrorsWithASuggestion) {
  const Error error = ParameterError({{"num_leafs", 31}});
  EXPECT_THAT(error.message, HasSubstr("no parameter 'num_leafs'"));
  EXPECT_THAT(error.hint, HasSubstr("num_leaf"));
}

TEST(Parameters, OwnedOnesAreRefusedWithTheReason) {
  for (const char* name : {"num_class", "num_classes", "nthread", "data", "task", "machines",
                           "header", "output_model", "label", "categorical_feature",
                           "gpu_device_id", "early_stopping_rounds", "forcedsplits_filename"}) {
    const Error error = ParameterError({{name, "1"}});
    EXPECT_THAT(error.message, HasSubstr("cannot be set"));
    EXPECT_FALSE(error.hint.empty());
  }
  EXPECT_THAT(ParameterError({{"device", "gpu"}}).message, HasSubstr("'gpu' is not supported"));
  EXPECT_THAT(ParameterError({{"eta", 0.1}, {"learning_rate", 0.2}}).message,
              HasSubstr("same parameter"));
  EXPECT_THAT(ParameterError({{"metric", "auc task=predict"}}).message, HasSubstr("blank"));
}

TEST(Parameters, TheObjectiveMustFitThePrediction) {
  EXPECT_THAT(ParameterError({{"objective", "cross_entropy"}}, "binary").message,
              HasSubstr("does not fit"));
  EXPECT_THAT(ParameterError({{"objective", "binary"}}).message, HasSubstr("does not fit"));
  EXPECT_THAT(ParameterError({{"loss", "lambdarank"}}, "multiclass").message,
              HasSubstr("does not fit"));
  for (const char* name : {"poisson", "tweedie", "quantile", "l1", "huber"}) {
    TrainSpec spec;
    spec.parameters["objective"] = name;
    EXPECT_TRUE(CheckLightGbmParameters(spec).ok()) << name;
  }
}

TEST(Parameters, EffectiveOnesSayWhatIsUsed) {
  TrainSpec spec;
  spec.prediction = PredictionKind::kMulticlass;
  spec.seed = 9;
  spec.parameters = {{"n_estimators", "7"}, {"eta", "0.1"}};
  const auto effective =
      EffectiveParameters(spec, {.classes = 4, .threads = 2, .categorical = {1, 3}});
  ASSERT_TRUE(effective.ok()) << effective.error().message;
  EXPECT_EQ(ParameterText(*effective),
            "objective=multiclass num_class=4 num_iterations=7 seed=9 deterministic=true "
            "force_col_wise=true "
            "verbosity=-1 learning_rate=0.1 num_threads=2 categorical_feature=1,3");
  spec.parameters["force_row_wise"] = "true";
  spec.parameters["seed"] = "1";
  const auto row_wise = EffectiveParameters(spec, {.classes = 4, .threads = 2, .categorical = {}});
  ASSERT_TRUE(row_wise.ok());
  EXPECT_EQ(FindParameter(*row_wise, "force_col_wise"), nullptr);
  EXPECT_EQ(*FindParameter(*row_wise, "seed"), "1");
}

}  // namespace
}  // namespace slipway
