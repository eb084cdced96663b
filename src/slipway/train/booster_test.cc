#include "slipway/train/booster.h"

#include <cstdlib>
#include <fstream>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/train/scores.h"

namespace slipway {
namespace {

using testing::HasSubstr;

constexpr int kFeatures = 5;  // numbers, with zeros and missing values; the last is a category code

// Rows drawn from a fixed seed. classes == 0: a number to predict.
RowFile MakeRows(const std::string& dir, int rows, unsigned seed, int classes) {
  auto file = RowFile::Make(dir, kFeatures + 2);
  EXPECT_TRUE(file.ok());
  std::mt19937 random(seed);
  const auto uniform = [&random] { return static_cast<double>(random()) / 4294967296.0; };
  std::vector<double> row(kFeatures + 2);
  for (int r = 0; r < rows; ++r) {
    for (int f = 0; f < kFeatures - 1; ++f) {
      const double u = uniform();
      row[static_cast<size_t>(f)] = u < 0.1 ? 0 : u < 0.2 ? std::nan("") : uniform() * 10 - 3;
    }
    row[kFeatures - 1] = uniform() < 0.05 ? std::nan("") : std::floor(uniform() * 30);
    const double x = (std::isnan(row[0]) ? 1 : row[0]) + (row[kFeatures - 1] > 12 ? 4 : 0);
    const double y = x * x + (std::isnan(row[1]) ? 5 : row[1]) + uniform();
    row[kFeatures] = classes == 0 ? y : std::min<double>(classes - 1, std::floor(std::abs(y) / 20));
    row[kFeatures + 1] = 0.5 + uniform();
    EXPECT_TRUE(file->Append(row).ok());
  }
  EXPECT_TRUE(file->Flush().ok());
  return std::move(*file);
}

struct Case {
  std::string name;
  int rows = 3000;
  int classes = 0;
  bool weighted = false;
  int early_stopping = 0;
  std::vector<double> class_weights;
  std::map<std::string, std::string> parameters;
};

TrainSpec SpecOf(const Case& c) {
  TrainSpec spec;
  spec.prediction = c.classes == 0   ? PredictionKind::kRegression
                    : c.classes == 2 ? PredictionKind::kBinary
                                     : PredictionKind::kMulticlass;
  spec.parameters = c.parameters;
  return spec;
}

LightGbmParameters ParametersOf(const Case& c) {
  auto parameters = EffectiveParameters(
      SpecOf(c), {.classes = c.classes, .threads = 2, .categorical = {kFeatures - 1}});
  EXPECT_TRUE(parameters.ok()) << parameters.error().message;
  return *parameters;
}

Result<TrainedBooster> Train(const Case& c, const RowFile& train, const RowFile& holdout) {
  BoosterData data;
  data.train = &train;
  data.holdout = &holdout;
  data.weighted = c.weighted;
  data.class_weights = c.class_weights;
  for (int f = 0; f < kFeatures; ++f) data.feature_names.push_back("f" + std::to_string(f));
  BoosterOptions options;
  options.parameters = ParametersOf(c);
  options.early_stopping = c.early_stopping;
  return TrainBooster(data, options);
}

// The trees alone: what stands before the list of parameters.
std::string Trees(const std::string& model) { return model.substr(0, model.find("end of trees")); }

void Dump(const RowFile& file, const std::string& path) {
  std::vector<double> values(static_cast<size_t>(file.rows() * file.width()));
  ASSERT_TRUE(file.Read(0, file.rows(), values.data()).ok());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(double)));
}

class BoosterTest : public testing::Test {
 protected:
  void SetUp() override { dir_ = std::move(*TempDir::Make()); }
  TempDir dir_;
};

TEST_F(BoosterTest, RowFilesGiveBackWhatWasAppended) {
  auto file = RowFile::Make(dir_.path(), 3);
  ASSERT_TRUE(file.ok());
  for (int r = 0; r < 100000; ++r) {
    const double row[] = {r + 0.5, -r * 1.0, 7};
    ASSERT_TRUE(file->Append(row).ok());
  }
  ASSERT_TRUE(file->Flush().ok());
  EXPECT_EQ(file->rows(), 100000);
  double row[6];
  ASSERT_TRUE(file->Read(99998, 2, row).ok());
  EXPECT_EQ(row[0], 99998.5);
  EXPECT_EQ(row[4], -99999);
  EXPECT_FALSE(file->Read(99999, 2, row).ok());
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));  // nothing is left after a crash
}

TEST_F(BoosterTest, FeatureNamesAreTamedAndStayDistinct) {
  EXPECT_THAT(TameFeatureNames({"a b", "a:b", "a_b", "x={1}", "", "ü"}),
              testing::ElementsAre("a_b", "a_b_2", "a_b_3", "x__1_", "_", "ü"));
}

TEST_F(BoosterTest, TheSameRowsAndSettingsGiveTheSameBytes) {
  const Case c{
      .name = "",
      .classes = 3,
      .weighted = true,
      .class_weights = {},
      .parameters = {{"num_iterations", "10"}, {"bagging_fraction", "0.7"}, {"bagging_freq", "1"}}};
  const RowFile train = MakeRows(dir_.path(), 3000, 1, 3), none;
  const auto first = Train(c, train, none), second = Train(c, train, none);
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(first->text, second->text);
  EXPECT_EQ(first->best_iteration, 10);
}

TEST_F(BoosterTest, LightGbmsOwnMessagesComeThrough) {
  const RowFile train = MakeRows(dir_.path(), 100, 1, 0), none;
  const auto outcome =
      Train({.name = "", .class_weights = {}, .parameters = {{"num_leaves", "1"}}}, train, none);
  ASSERT_FALSE(outcome.ok());
  EXPECT_THAT(outcome.error().message, HasSubstr("LightGBM: "));
  EXPECT_THAT(outcome.error().message, HasSubstr("num_leaves"));
}

TEST_F(BoosterTest, EarlyStoppingKeepsTheBestRound) {
  const RowFile train = MakeRows(dir_.path(), 300, 1, 0),
                holdout = MakeRows(dir_.path(), 300, 2, 0);
  const Case c{
      .name = "",
      .early_stopping = 5,
      .class_weights = {},
      .parameters = {
          {"num_iterations", "2000"}, {"learning_rate", "0.3"}, {"min_data_in_leaf", "1"}}};
  const auto model = Train(c, train, holdout);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_LT(model->iterations, 2000);
  EXPECT_EQ(model->best_iteration, model->iterations - 5);
  EXPECT_EQ(Scorer::FromText(model->text)->trees(), model->best_iteration);
  EXPECT_FALSE(Train(c, train, RowFile()).ok());  // nothing to watch
}

TEST_F(BoosterTest, CancelStopsTheTraining) {
  const RowFile train = MakeRows(dir_.path(), 500, 1, 0);
  std::atomic<bool> cancel{false};
  BoosterData data;
  data.train = &train;
  data.feature_names = {"a", "b", "c", "d", "e"};
  BoosterOptions options;
  options.parameters =
      ParametersOf({.name = "", .class_weights = {}, .parameters = {{"num_iterations", "100000"}}});
  options.cancel = &cancel;
  options.progress = [&](std::string_view stage, double, std::string_view) {
    if (stage == "train") cancel = true;
  };
  const auto outcome = TrainBooster(data, options);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, ErrorCode::kCancelled);
}

// The claim of the module: streaming rows into LightGBM changes nothing, and our engine predicts
// its bits.
TEST_F(BoosterTest, EqualsPythonLightGbmToTheLastBit) {
  const std::string python = std::string(SLIPWAY_SOURCE_DIR) + "/.venv/bin/python";
  if (!PathExists(python)) GTEST_SKIP() << "SKIPPED: no .venv with LightGBM to compare with";
  const std::map<std::string, std::string> small = {{"num_iterations", "12"}, {"num_leaves", "15"}};
  auto sampled = small;
  sampled["bin_construct_sample_cnt"] = "1000";
  auto poisson = small;
  poisson["objective"] = "tweedie";
  auto bagged = small;
  bagged.insert({{"bagging_fraction", "0.6"},
                 {"bagging_freq", "1"},
                 {"feature_fraction", "0.7"},
                 {"lambda_l2", "1"}});
  auto linear = small;
  linear["linear_tree"] = "true";
  auto patient = small;
  patient.insert({{"learning_rate", "0.5"}, {"min_data_in_leaf", "1"}});
  patient["num_iterations"] = "300";
  const std::vector<Case> cases = {
      {.name = "regression", .class_weights = {}, .parameters = small},
      {.name = "weighted", .weighted = true, .class_weights = {}, .parameters = bagged},
      {.name = "sampled bins", .rows = 20000, .class_weights = {}, .parameters = sampled},
      {.name = "binary", .classes = 2, .class_weights = {1, 3}, .parameters = small},
      {.name = "multiclass",
       .classes = 4,
       .weighted = true,
       .class_weights = {},
       .parameters = small},
      {.name = "early stopping",
       .rows = 500,
       .weighted = true,
       .early_stopping = 4,
       .class_weights = {},
       .parameters = patient},
      {.name = "tweedie", .class_weights = {}, .parameters = poisson},
      {.name = "linear", .class_weights = {}, .parameters = linear},
  };
  Json list = Json::array();
  std::vector<std::string> models;
  std::vector<std::vector<double>> scores;
  for (size_t i = 0; i < cases.size(); ++i) {
    const Case& c = cases[i];
    SCOPED_TRACE(c.name);
    const bool positive = c.name == "tweedie";
    RowFile train = MakeRows(dir_.path(), c.rows, 1, positive ? 50 : c.classes),
            holdout = MakeRows(dir_.path(), 400, 2, c.classes);
    const auto model = Train(c, train, holdout);
    ASSERT_TRUE(model.ok()) << model.error().message;
    models.push_back(model->text);
    const auto scorer = Scorer::FromText(model->text);
    ASSERT_TRUE(scorer.ok()) << scorer.error().message;
    const auto scored = scorer->Score(train, dir_.path(), 2);
    ASSERT_TRUE(scored.ok());
    scores.emplace_back(static_cast<size_t>(scored->rows() * scored->width()));
    ASSERT_TRUE(scored->Read(0, scored->rows(), scores.back().data()).ok());
    const std::string base = dir_.File(std::to_string(i));
    Dump(train, base + ".train");
    Dump(holdout, base + ".holdout");
    list.push_back({{"train", base + ".train"},
                    {"holdout", base + ".holdout"},
                    {"features", kFeatures},
                    {"names", {"f0", "f1", "f2", "f3", "f4"}},
                    {"weighted", c.weighted},
                    {"class_weights", c.class_weights},
                    {"parameters", ParametersToJson(ParametersOf(c))},
                    {"early_stopping", c.early_stopping},
                    {"model", base + ".txt"},
                    {"scores", base + ".scores"}});
  }
  ASSERT_TRUE(WriteFileAtomic(dir_.File("cases.json"), DumpJson(list)).ok());
  const std::string command = python + " " + SLIPWAY_SOURCE_DIR + "/tests/tools/lightgbm_peer.py " +
                              dir_.File("cases.json") + " 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0);
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(cases[i].name);
    const std::string base = dir_.File(std::to_string(i));
    EXPECT_EQ(Trees(models[i]), Trees(*ReadFile(base + ".txt")));
    const std::string bytes = *ReadFile(base + ".scores");
    ASSERT_EQ(bytes.size(), scores[i].size() * sizeof(double));
    EXPECT_EQ(std::memcmp(bytes.data(), scores[i].data(), bytes.size()), 0);
  }
}

}  // namespace
}  // namespace slipway
