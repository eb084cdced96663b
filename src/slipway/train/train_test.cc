#include "slipway/train/train.h"

#include <fstream>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/bundle/bundle.h"
#include "slipway/bundle/model.h"

namespace slipway {
namespace {

using testing::HasSubstr;

class TrainTest : public testing::Test {
 protected:
  void SetUp() override { dir_ = std::move(*TempDir::Make()); }

  // x, c, w, t and three targets: a number, yes/no, and one of three letters.
  std::string WriteRows(int rows, bool reversed = false) {
    std::mt19937 random(7);
    std::vector<std::string> lines;
    for (int r = 0; r < rows; ++r) {
      const double x = static_cast<double>(random() % 10000) / 100,
                   noise = static_cast<double>(random() % 100) / 50;
      const int c = static_cast<int>(random() % 4);
      const double y = x + 10 * c + noise;
      lines.push_back((r % 11 == 0 ? "" : std::to_string(x)) + "," + "k" + std::to_string(c) + "," +
                      std::to_string(1 + r % 3) + "," + std::to_string(1000 + r) + "," +
                      std::to_string(y) + "," + (y > 60 ? "yes" : "no") + "," +
                      (y > 80   ? "C"
                       : y > 40 ? "B"
                                : "A") +
                      "\n");
    }
    if (reversed) std::reverse(lines.begin(), lines.end());
    const std::string path = dir_.File(reversed ? "reversed.csv" : "rows.csv");
    std::ofstream out(path);
    out << "x,c,w,t,y,flag,letter\n";
    for (const std::string& line : lines) out << line;
    return path;
  }

  TrainTask TaskFor(const std::string& path, const char* recipe) {
    TrainTask task;
    const auto spec = TrainSpecFromJson(*ParseJson(recipe));
    EXPECT_TRUE(spec.ok()) << spec.error().message;
    task.spec = *spec;
    FilesSpec files;
    files.paths = {path};
    const auto inspected = Inspect(files);
    EXPECT_TRUE(inspected.ok()) << inspected.error().message;
    task.input = inspected->spec;
    task.output_dir = dir_.File("out" + std::to_string(next_++));
    task.temp_dir = dir_.File("temp");
    return task;
  }

  Result<Json> Train(const std::string& path, const char* recipe) {
    return TrainModel(last_ = TaskFor(path, recipe));
  }
  std::string ModelText() {
    return ReadBundle(JoinPath(last_.output_dir, "model.bundle"))->model_text;
  }

  TempDir dir_;
  TrainTask last_;
  int next_ = 0;
};

constexpr const char* kRegression = R"({"target": "y", "prediction": "regression",
  "features": {"flag": "ignore", "letter": "ignore", "t": "ignore"},
  "algorithm": {"lightgbm": {"num_iterations": 20}}})";

TEST_F(TrainTest, WritesAVersionWithItsFiles) {
  const auto info = Train(WriteRows(2000), kRegression);
  ASSERT_TRUE(info.ok()) << info.error().message;
  EXPECT_EQ((*info)["rows"].get<int>() + (*info)["holdout_rows"].get<int>(), 2000);
  EXPECT_GT((*info)["metrics"]["r2"].get<double>(), 0.85);
  EXPECT_GT((*info)["metrics_training"]["r2"].get<double>(), 0.85);
  EXPECT_EQ((*info)["trees"], 20);
  for (const char* name : {"model.bundle", "info.json", "reference.json", "holdout.parquet"}) {
    EXPECT_TRUE(PathExists(JoinPath(last_.output_dir, name))) << name;
  }
  EXPECT_TRUE(Model::Open(JoinPath(last_.output_dir, "model.bundle")).ok());
  EXPECT_TRUE(std::filesystem::is_empty(last_.temp_dir));
}

TEST_F(TrainTest, TrainingTwiceGivesTheSameModelWhateverTheOrderOfPassesOrThreads) {
  const std::string path = WriteRows(3000);
  ASSERT_TRUE(Train(path, kRegression).ok());
  const std::string first = ModelText();
  ASSERT_TRUE(Train(path, kRegression).ok());
  EXPECT_EQ(ModelText(), first);
}

TEST_F(TrainTest, TheHoldoutDoesNotDependOnFileOrder) {
  const auto first = Train(WriteRows(2000), kRegression);
  const auto second = Train(WriteRows(2000, true), kRegression);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ((*first)["holdout_rows"], (*second)["holdout_rows"]);
}

TEST_F(TrainTest, TheHoldoutScoredAgainGivesTheSameMetrics) {
  const auto info = Train(WriteRows(2000), kRegression);
  ASSERT_TRUE(info.ok()) << info.error().message;
  const auto again = EvaluateOnHoldout(JoinPath(last_.output_dir, "model.bundle"), last_);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ((*again)["metrics"], (*info)["metrics"]);
  EXPECT_EQ((*again)["rows"], (*info)["holdout_rows"]);
}

TEST_F(TrainTest, BinaryAndMulticlassHaveTheirReports) {
  const std::string path = WriteRows(2000);
  const auto binary = Train(path, R"({"target": "flag", "prediction": "binary", "early_stopping": 5,
    "features": {"y": "ignore", "letter": "ignore"}, "class_weights": "balanced", "weight": "w"})");
  ASSERT_TRUE(binary.ok()) << binary.error().message;
  EXPECT_EQ((*binary)["classes"], Json({"no", "yes"}));
  EXPECT_GT((*binary)["metrics"]["auc"].get<double>(), 0.9);
  EXPECT_TRUE((*binary)["calibration"].is_array());
  EXPECT_LE((*binary)["best_iteration"].get<int>(), 100);
  const auto letters = Train(path, R"({"target": "letter", "prediction": "multiclass",
    "features": {"y": "ignore", "flag": "ignore"}, "algorithm": {"lightgbm": {"num_iterations": 5}}})");
  ASSERT_TRUE(letters.ok()) << letters.error().message;
  EXPECT_EQ((*letters)["trees"], 15);
  EXPECT_EQ((*letters)["confusion"]["counts"].size(), 3u);
}

TEST_F(TrainTest, FoldsGiveMeanAndSpreadAndTheModelLearnsFromAllRows) {
  const auto info = Train(WriteRows(1000), R"({"target": "y", "prediction": "regression",
    "features": {"flag": "ignore", "letter": "ignore"}, "validation": {"k_fold": 3},
    "algorithm": {"lightgbm": {"num_iterations": 10}}})");
  ASSERT_TRUE(info.ok()) << info.error().message;
  EXPECT_EQ((*info)["rows"], 1000);
  EXPECT_EQ((*info)["folds"].size(), 3u);
  EXPECT_TRUE((*info)["metrics_std"].contains("rmse"));
  EXPECT_EQ((*info)["holdout_rows"], 1000);
}

TEST_F(TrainTest, NoHoldoutMeansNoMetrics) {
  const auto info = Train(
      WriteRows(300), R"({"target": "y", "prediction": "regression", "validation": {"holdout": 0},
    "features": {"flag": "ignore", "letter": "ignore"}})");
  ASSERT_TRUE(info.ok()) << info.error().message;
  EXPECT_TRUE((*info)["metrics"].is_null());
  EXPECT_EQ((*info)["rows"], 300);
}

TEST_F(TrainTest, ATimeColumnHoldsOutTheLatestRows) {
  const auto info = Train(WriteRows(1000), R"({"target": "y", "prediction": "regression",
    "features": {"flag": "ignore", "letter": "ignore"}, "validation": {"holdout": 0.2, "time_column": "t"}})");
  ASSERT_TRUE(info.ok()) << info.error().message;
  EXPECT_EQ((*info)["holdout_rows"], 200);
  EXPECT_THAT((*info)["warnings"].dump(), HasSubstr("'t' splits the rows"));
}

TEST_F(TrainTest, BadTargetsAndWeightsSayWhatAndWhere) {
  const std::string path = WriteRows(300);
  const auto error = [&](const char* recipe) {
    const auto info = Train(path, recipe);
    EXPECT_FALSE(info.ok());
    return info.ok() ? Error{} : info.error();
  };
  EXPECT_THAT(error(R"({"target": "flg", "prediction": "binary"})").hint, HasSubstr("flag"));
  EXPECT_THAT(error(R"({"target": "flag", "prediction": "regression"})").message,
              HasSubstr("flag"));
  EXPECT_THAT(error(R"({"target": "letter", "prediction": "binary"})").message,
              HasSubstr("3 classes"));
  EXPECT_THAT(error(R"({"target": "y", "prediction": "regression", "weight": "x"})").message,
              HasSubstr("missing in row 1"));
  EXPECT_THAT(
      error(R"({"target": "y", "prediction": "regression", "prepare": [{"filter": "t < 1010"}]})")
          .message,
      HasSubstr("at least 20"));
  EXPECT_THAT(
      error(R"({"target": "flag", "prediction": "binary", "class_weights": {"maybe": 2}})").message,
      HasSubstr("no class 'maybe'"));
}

TEST_F(TrainTest, RowsWithoutATargetAreLeftOutAndCounted) {
  const auto info = Train(WriteRows(1100), R"({"target": "x", "prediction": "regression",
    "features": {"flag": "ignore", "letter": "ignore"}})");
  ASSERT_TRUE(info.ok()) << info.error().message;
  EXPECT_EQ((*info)["dropped_rows"]["no_target"], 100);
  EXPECT_THAT((*info)["warnings"].dump(), HasSubstr("100 rows have no target"));
}

}  // namespace
}  // namespace slipway
