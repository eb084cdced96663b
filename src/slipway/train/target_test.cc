#include "slipway/train/target.h"

namespace slipway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A learner that has seen `values` (as texts of a string column), all in training unless their
// place is in `held`.
Result<TargetCoder> LearnTexts(PredictionKind kind, const std::vector<std::string>& values,
                               size_t first_held = SIZE_MAX) {
  TargetLearner learner(kind, {"y", Type::kString});
  for (size_t i = 0; i < values.size(); ++i) {
    Column column(Type::kString);
    column.strings()[0] = values[i];
    column.SetValid(0);
    if (TargetMissing(column.View(), 0)) {
      learner.SeeMissing();
    } else {
      EXPECT_TRUE(
          learner.See(column.View(), 0, i >= first_held ? Side::kHoldout : Side::kTrain).ok());
    }
  }
  return learner.Finish();
}

Result<TargetCoder> LearnNumbers(PredictionKind kind, const std::vector<double>& values,
                                 Type type = Type::kDouble) {
  TargetLearner learner(kind, {"y", type});
  for (double value : values) {
    Column column(type);
    if (type == Type::kDouble) column.doubles()[0] = value;
    if (type == Type::kInt64) column.ints()[0] = static_cast<int64_t>(value);
    if (type == Type::kBoolean) column.booleans()[0] = value != 0 ? 1 : 0;
    if (type == Type::kDate) column.dates()[0] = static_cast<int32_t>(value);
    column.SetValid(0);
    if (auto seen = learner.See(column.View(), 0, Side::kTrain); !seen.ok()) return seen.error();
  }
  return learner.Finish();
}

std::vector<double> Repeat(std::vector<double> values, int times) {
  std::vector<double> out;
  for (int i = 0; i < times; ++i) out.insert(out.end(), values.begin(), values.end());
  return out;
}

TEST(Target, TypesThatCannotBeLearnedSayTheWayOut) {
  const auto regression = [](Type type) {
    return CheckTargetType(PredictionKind::kRegression, {"y", type});
  };
  EXPECT_TRUE(regression(Type::kDouble).ok());
  EXPECT_TRUE(regression(Type::kInt64).ok());
  EXPECT_THAT(regression(Type::kBoolean).error().hint, HasSubstr("prediction: binary"));
  EXPECT_THAT(regression(Type::kString).error().message, HasSubstr("'y' is a string"));
  EXPECT_THAT(regression(Type::kString).error().hint, HasSubstr("cast"));
  EXPECT_FALSE(regression(Type::kDate).ok());
  EXPECT_FALSE(CheckTargetType(PredictionKind::kBinary, {"y", Type::kTimestamp}).ok());
  EXPECT_TRUE(CheckTargetType(PredictionKind::kBinary, {"y", Type::kDate}).ok());
}

TEST(Target, NoRowsAllMissingConstantAndTooFewAreErrors) {
  EXPECT_THAT(LearnTexts(PredictionKind::kBinary, {}).error().message, HasSubstr("no rows"));
  EXPECT_THAT(LearnTexts(PredictionKind::kBinary, std::vector<std::string>(30)).error().message,
              HasSubstr("missing in all 30 rows"));
  EXPECT_THAT(LearnNumbers(PredictionKind::kRegression, Repeat({2.5}, 50)).error().message,
              HasSubstr("2.5 in every row"));
  EXPECT_THAT(LearnNumbers(PredictionKind::kBinary, Repeat({1}, 50)).error().message,
              HasSubstr("in every row"));
  EXPECT_THAT(LearnNumbers(PredictionKind::kRegression, Repeat({1}, 19)).error().message,
              HasSubstr("only 19 training rows"));
  EXPECT_TRUE(LearnNumbers(PredictionKind::kRegression, Repeat({1, 2}, 10)).ok());
}

TEST(Target, InfiniteRegressionTargetsAreErrors) {
  EXPECT_THAT(LearnNumbers(PredictionKind::kRegression, {1, 1e300}).error().message,
              HasSubstr("1e+300"));
}

TEST(Target, ClassCountsMustFitThePrediction) {
  const Error three = LearnNumbers(PredictionKind::kBinary, Repeat({1, 2, 3}, 10)).error();
  EXPECT_THAT(three.message, HasSubstr("has 3 classes ('1', '2' and '3'"));
  EXPECT_THAT(three.hint, HasSubstr("multiclass"));
  EXPECT_THAT(LearnNumbers(PredictionKind::kMulticlass, Repeat({1, 2}, 20)).error().hint,
              HasSubstr("binary"));
  std::vector<double> many;
  for (int i = 0; i < 10000; ++i) many.push_back(i);
  const Error error = LearnNumbers(PredictionKind::kMulticlass, many, Type::kInt64).error();
  EXPECT_THAT(error.message, HasSubstr("10,000 classes"));
  EXPECT_THAT(error.hint, HasSubstr("regression"));
  many.resize(1000);
  EXPECT_TRUE(LearnNumbers(PredictionKind::kMulticlass, many, Type::kInt64).ok());
}

TEST(Target, AClassOnlyInTheHoldoutIsAnError) {
  std::vector<std::string> values(30, "a");
  for (int i = 0; i < 15; ++i) values.push_back("b");
  values.push_back("c");
  const Error error = LearnTexts(PredictionKind::kMulticlass, values, 45).error();
  EXPECT_THAT(error.message, HasSubstr("no training row has the class 'c'"));
  EXPECT_THAT(error.hint, HasSubstr("seed"));
}

TEST(Target, ClassesAreOrderedByValue) {
  EXPECT_THAT(
      LearnNumbers(PredictionKind::kMulticlass, Repeat({10, 9, -1}, 10), Type::kInt64)->classes(),
      ElementsAre("-1", "9", "10"));
  EXPECT_THAT(LearnNumbers(PredictionKind::kBinary, Repeat({1, 0}, 10), Type::kBoolean)->classes(),
              ElementsAre("false", "true"));
  EXPECT_THAT(LearnNumbers(PredictionKind::kBinary, Repeat({2.5, -3.5}, 10))->classes(),
              ElementsAre("-3.5", "2.5"));
  EXPECT_THAT(LearnNumbers(PredictionKind::kBinary, Repeat({1, 0}, 10), Type::kDate)->classes(),
              ElementsAre("1970-01-01", "1970-01-02"));
  std::vector<std::string> texts;
  for (int i = 0; i < 10; ++i) texts.insert(texts.end(), {"b", "a", "B"});
  EXPECT_THAT(LearnTexts(PredictionKind::kMulticlass, texts)->classes(),
              ElementsAre("B", "a", "b"));
}

TEST(Target, LabelsAreClassIndices) {
  std::vector<std::string> texts;
  for (int i = 0; i < 15; ++i) texts.insert(texts.end(), {"yes", "no", ""});
  const auto coder = LearnTexts(PredictionKind::kBinary, texts);
  ASSERT_TRUE(coder.ok()) << coder.error().message;
  EXPECT_THAT(coder->training_counts(), ElementsAre(15, 15));
  Column column(Type::kString);
  const char* const values[] = {"yes", "no", "", "maybe"};
  for (int r = 0; r < 4; ++r) {
    column.strings()[r] = values[r];
    column.SetValid(r);
  }
  std::vector<double> labels(4);
  coder->Labels(column.View(), 4, labels.data());
  EXPECT_EQ(labels[0], 1);
  EXPECT_EQ(labels[1], 0);
  EXPECT_TRUE(std::isnan(labels[2]));
  EXPECT_TRUE(std::isnan(labels[3]));
}

TEST(Target, KnownClassesMatchByTextWhateverTheType) {
  const auto coder = TargetCoder::OfClasses(PredictionKind::kBinary, Type::kInt64, {"0", "1"});
  Column column(Type::kInt64);
  column.ints()[0] = 1;
  column.SetAllValid();
  double label = -1;
  coder.Labels(column.View(), 1, &label);
  EXPECT_EQ(label, 1);
}

}  // namespace
}  // namespace slipway
