#include "slipway/stats/metrics.h"

#include <cmath>
#include <cstdlib>
#include <map>
#include <random>

#include "slipway/base/file.h"
#include "slipway/base/json.h"

namespace slipway {
namespace {

std::map<std::string, double> ByName(const Metrics& metrics) {
  return {metrics.begin(), metrics.end()};
}

void ExpectMetrics(const Metrics& got, const std::map<std::string, double>& wanted) {
  const auto values = ByName(got);
  for (const auto& [name, value] : wanted) {
    ASSERT_TRUE(values.contains(name)) << name;
    EXPECT_NEAR(values.at(name), value, 1e-12 * std::max(1.0, std::fabs(value))) << name;
  }
}

const std::vector<double> kWeight = {1, 2, .5, 1, 3};

// The figures of these three tests are scikit-learn's.
TEST(Metrics, RegressionEqualsScikitLearn) {
  const std::vector<double> y = {3, -0.5, 2, 7, 0.25}, p = {2.5, 0, 2, 8, 0.1};
  ExpectMetrics(RegressionMetrics(y, p, {}), {{"rmse", 0.55181518645285577},
                                              {"mae", 0.43},
                                              {"mape", 0.38190476190476186},
                                              {"max_error", 1},
                                              {"median_absolute_error", 0.5},
                                              {"mean_error", 0.17}});
  ExpectMetrics(RegressionMetrics(std::vector<double>{3, -0.5, 2, 7, 0}, p, {}),
                {{"rmse", 0.5495452665613635},
                 {"mae", 0.42000000000000004},
                 {"mape", 90071992547410.19},
                 {"r2", 0.9578212290502793},
                 {"explained_variance", 0.9645810055865922},
                 {"median_absolute_error", 0.5},
                 {"max_error", 1.0},
                 {"mean_error", 0.22000000000000003}});
  ExpectMetrics(RegressionMetrics(std::vector<double>{3, -0.5, 2, 7, 0}, p, kWeight),
                {{"rmse", 0.48716869083853626},
                 {"mae", 0.3733333333333333},
                 {"mape", 180143985094820.16},
                 {"r2", 0.96226148409894},
                 {"explained_variance", 0.9714204946996466},
                 {"median_absolute_error", 0.5},
                 {"mean_error", 0.24000000000000002}});
}

TEST(Metrics, BinaryEqualsScikitLearnWithTiesAndWeights) {
  const std::vector<uint8_t> y = {0, 1, 1, 0, 1, 0, 1, 1};
  const std::vector<double> p = {.1, .9, .5, .5, .6, .6, .3, 1.0}, w = {1, 2, .5, 1, 3, .25, 1, 1};
  ExpectMetrics(BinaryMetrics(y, p, {}), {{"auc", 0.7333333333333334},
                                          {"log_loss", 0.5285130690502031},
                                          {"accuracy", 0.625},
                                          {"precision", 0.75},
                                          {"recall", 0.6},
                                          {"f1", 0.6666666666666666},
                                          {"average_precision", 0.8261904761904761},
                                          {"brier", 0.19125},
                                          {"mcc", 0.2581988897471611}});
  ExpectMetrics(BinaryMetrics(y, p, w), {{"auc", 0.8814814814814815},
                                         {"log_loss", 0.4432127873236763},
                                         {"accuracy", 0.8205128205128205},
                                         {"precision", 0.96},
                                         {"recall", 0.8},
                                         {"f1", 0.8727272727272727},
                                         {"average_precision", 0.9541996927803379},
                                         {"brier", 0.15025641025641026},
                                         {"mcc", 0.6050580452280905}});
}

TEST(Metrics, MulticlassEqualsScikitLearn) {
  const std::vector<int32_t> y = {0, 1, 2, 2, 0, 1};
  const std::vector<double> p = {.5, .3, .2, .2, .5, .3, .1, .2, .7,
                                 .4, .4, .2, .3, .3, .4, .2, .6, .2};
  const std::vector<double> w = {1, 2, .5, 1, 3, 1};
  ExpectMetrics(MulticlassMetrics(y, p, 3, {}), {{"log_loss", 0.8445342742641083},
                                                 {"accuracy", 0.6666666666666666},
                                                 {"auc", 0.8333333333333334}});
  ExpectMetrics(MulticlassMetrics(y, p, 3, w), {{"log_loss", 0.9399954073914237},
                                                {"accuracy", 0.5294117647058824},
                                                {"precision", 0.5476190476190476},
                                                {"precision_weighted", 0.6134453781512605},
                                                {"recall", 0.5277777777777778},
                                                {"recall_weighted", 0.5294117647058824},
                                                {"f1", 0.5111111111111111},
                                                {"f1_weighted", 0.5450980392156862},
                                                {"auc", 0.753968253968254},
                                                {"auc_weighted", 0.8207282913165266}});
}

TEST(Metrics, WhatIsNotDefinedIsNaN) {
  auto one = ByName(BinaryMetrics(std::vector<uint8_t>{0, 0}, std::vector<double>{.2, .7}, {}));
  EXPECT_TRUE(std::isnan(one["auc"]));
  EXPECT_TRUE(std::isnan(one["average_precision"]));
  EXPECT_EQ(one["precision"], 0);
  EXPECT_EQ(one["mcc"], 0);
  EXPECT_EQ(one["accuracy"], 0.5);
  for (const auto& [name, value] : RegressionMetrics({}, {}, {}))
    EXPECT_TRUE(std::isnan(value)) << name;
  for (const auto& [name, value] : BinaryMetrics({}, {}, {}))
    EXPECT_TRUE(std::isnan(value)) << name;
  for (const auto& [name, value] : MulticlassMetrics({}, {}, 3, {}))
    EXPECT_TRUE(std::isnan(value)) << name;
  auto constant =
      ByName(RegressionMetrics(std::vector<double>{1, 1}, std::vector<double>{1, 2}, {}));
  EXPECT_EQ(constant["r2"], 0);
  auto single = ByName(RegressionMetrics(std::vector<double>{1}, std::vector<double>{2}, {}));
  EXPECT_TRUE(std::isnan(single["r2"]));
  const std::vector<double> no_weight = {0, 0};
  auto weightless =
      ByName(RegressionMetrics(std::vector<double>{1, 2}, std::vector<double>{1, 2}, no_weight));
  EXPECT_TRUE(std::isnan(weightless["rmse"]));
}

TEST(Metrics, LogLossOfACertainMistakeIsClippedNotInfinite) {
  auto m = ByName(BinaryMetrics(std::vector<uint8_t>{1, 0}, std::vector<double>{0, 0}, {}));
  EXPECT_NEAR(m["log_loss"], -std::log(0x1p-52) / 2, 1e-12);
}

TEST(Metrics, AClassThatNeverOccursDoesNotCount) {
  const std::vector<int32_t> y = {0, 1, 0, 1};
  const std::vector<double> p = {.8, .1, .1, .2, .7, .1, .6, .3, .1, .3, .6, .1};
  auto m = ByName(MulticlassMetrics(y, p, 3, {}));
  EXPECT_EQ(m["precision"], 1);
  EXPECT_EQ(m["auc"], 1);
}

TEST(Metrics, ConfusionMatrixHasActualRowsAndWeights) {
  const auto m = ConfusionMatrix(std::vector<int32_t>{0, 0, 1, 1}, std::vector<int32_t>{0, 1, 1, 1},
                                 2, std::vector<double>{1, 2, 3, 4});
  EXPECT_EQ(m, (std::vector<std::vector<double>>{{1, 2}, {0, 7}}));
}

TEST(Metrics, CalibrationBinsShareTheWeightAndKeepTiesTogether) {
  std::vector<uint8_t> y;
  std::vector<double> p;
  for (int i = 0; i < 1000; ++i) {
    p.push_back(i / 1000.0);
    y.push_back(i % 10 < i / 100 ? 1 : 0);
  }
  const auto bins = Calibration(y, p, {}, 10);
  ASSERT_EQ(bins.size(), 10u);
  for (size_t b = 0; b < 10; ++b) {
    EXPECT_EQ(bins[b].weight, 100);
    EXPECT_NEAR(bins[b].mean_predicted, static_cast<double>(b) / 10 + 0.0495, 1e-12);
    EXPECT_NEAR(bins[b].observed, static_cast<double>(b) / 10, 1e-12);
  }
  const auto same =
      Calibration(std::vector<uint8_t>{0, 1, 1}, std::vector<double>{.5, .5, .5}, {}, 10);
  ASSERT_EQ(same.size(), 1u);
  EXPECT_NEAR(same[0].observed, 2.0 / 3, 1e-15);
  EXPECT_TRUE(Calibration({}, {}, {}).empty());
}

TEST(Metrics, DirectionIsKnownAndMisspellingsAreHelped) {
  EXPECT_TRUE(*LargerIsBetter("auc"));
  EXPECT_FALSE(*LargerIsBetter("rmse"));
  auto wrong = LargerIsBetter("rsme");
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.error().hint, testing::HasSubstr("rmse"));
  EXPECT_FALSE(LargerIsBetter("mean_error").ok());
  std::vector<Metrics> all = {RegressionMetrics({}, {}, {}), BinaryMetrics({}, {}, {}),
                              MulticlassMetrics({}, {}, 2, {})};
  for (const Metrics& metrics : all) {
    for (const auto& [name, value] : metrics) {
      EXPECT_TRUE(name == "mean_error" || LargerIsBetter(name).ok()) << name;
    }
  }
}

TEST(Metrics, JsonKeepsTheOrderAndWritesNullForNaN) {
  EXPECT_EQ(DumpJson(MetricsToJson({{"b", 1.5}, {"a", std::nan("")}})), R"({"b":1.5,"a":null})");
}

struct Case {
  Json json;
  Metrics ours;
};

Case RandomCase(int kind, bool weighted, std::mt19937_64& random) {
  const size_t n = 2 + random() % 300;
  const int classes = 3 + static_cast<int>(random() % 4);
  auto number = [&] { return static_cast<double>(random() % 2001) / 100 - 10; };  // many ties
  std::vector<double> w;
  if (weighted) {
    for (size_t i = 0; i < n; ++i) w.push_back(static_cast<double>(1 + random() % 40) / 8);
  }
  Case out;
  out.json["weight"] = weighted ? Json(w) : Json();
  if (kind == 0) {
    std::vector<double> y(n), p(n);
    for (size_t i = 0; i < n; ++i) y[i] = number(), p[i] = y[i] + number() / 3;
    out.json.update({{"kind", "regression"}, {"label", y}, {"prediction", p}});
    out.ours = RegressionMetrics(y, p, w);
  } else if (kind == 1) {
    std::vector<uint8_t> y(n);
    std::vector<double> p(n);
    const double shift = number() / 30;
    for (size_t i = 0; i < n; ++i) {
      p[i] = static_cast<double>(random() % 51) / 50;
      y[i] = static_cast<double>(random() % 100) / 100 < p[i] + shift ? 1 : 0;
    }
    out.json.update(
        {{"kind", "binary"}, {"label", std::vector<int>(y.begin(), y.end())}, {"prediction", p}});
    out.ours = BinaryMetrics(y, p, w);
  } else {
    const size_t k = static_cast<size_t>(classes);
    std::vector<int32_t> y(n);
    std::vector<double> p(n * k);
    for (size_t i = 0; i < n; ++i) {
      y[i] = i < 2 ? static_cast<int32_t>(i) : static_cast<int32_t>(random() % k);
      double sum = 0;
      for (size_t c = 0; c < k; ++c) sum += p[i * k + c] = static_cast<double>(1 + random() % 8);
      for (size_t c = 0; c < k; ++c) p[i * k + c] /= sum;
    }
    out.json.update({{"kind", "multiclass"}, {"label", y}, {"prediction", p}});
    out.ours = MulticlassMetrics(y, p, classes, w);
  }
  return out;
}

TEST(Metrics, RandomCasesEqualScikitLearn) {
  const std::string source = SLIPWAY_SOURCE_DIR, python = source + "/.venv/bin/python";
  if (!PathExists(python))
    GTEST_SKIP() << "NOT CHECKED against scikit-learn: there is no " << python;
  std::mt19937_64 random(2024);
  std::vector<Case> cases;
  for (int i = 0; i < 180; ++i) cases.push_back(RandomCase(i % 3, i % 2 == 0, random));
  Json list = Json::array();
  for (const Case& c : cases) list.push_back(c.json);
  auto dir = TempDir::Make();
  ASSERT_TRUE(dir.ok());
  ASSERT_TRUE(WriteFileAtomic(dir->File("in.json"), DumpJson(list)).ok());
  const std::string command = "'" + python + "' '" + source + "/tests/tools/sklearn_metrics.py' '" +
                              dir->File("in.json") + "' '" + dir->File("out.json") + "'";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  auto text = ReadFile(dir->File("out.json"));
  ASSERT_TRUE(text.ok());
  auto answers = ParseJson(*text);
  ASSERT_TRUE(answers.ok());
  ASSERT_EQ(answers->size(), cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    const Json& wanted = (*answers)[i];
    ASSERT_EQ(wanted.size(), cases[i].ours.size());
    for (const auto& [name, value] : cases[i].ours) {
      ASSERT_TRUE(wanted.contains(name)) << name;
      if (wanted[name].is_null()) {
        EXPECT_TRUE(std::isnan(value)) << name << " of case " << i;
      } else {
        const double theirs = wanted[name].get<double>();
        EXPECT_NEAR(value, theirs, 1e-11 * std::max(1.0, std::fabs(theirs)))
            << name << " of case " << i;
      }
    }
  }
}

}  // namespace
}  // namespace slipway
