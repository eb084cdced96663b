#include "slipway/bundle/model.h"

#include <thread>

#include "slipway/base/file.h"
#include "slipway/bundle/model_for_test.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::unique_ptr<Model> MustOpen(std::string_view bytes) {
  Result<std::unique_ptr<Model>> model = Model::FromBytes(bytes);
  EXPECT_TRUE(model.ok()) << model.error().message;
  return std::move(*model);
}

// Scores rows of texts; gives rows of texts, where a null is "null".
std::vector<std::vector<std::string>> ScoreTexts(
    const Model& model, const std::vector<std::vector<std::string>>& rows) {
  OwnedBatch batch(model.inputs());
  batch.rows = static_cast<int>(rows.size());
  for (int row = 0; row < batch.rows; ++row) {
    for (int i = 0; i < model.inputs().size(); ++i) {
      EXPECT_TRUE(ParseCellInto(rows[static_cast<size_t>(row)][static_cast<size_t>(i)], row,
                                &batch.column(i)));
    }
  }
  ModelScratch scratch;
  const std::span<const ColumnView> columns = model.Score(batch.View(), &scratch);
  EXPECT_EQ(static_cast<int>(columns.size()), model.outputs().size());
  std::vector<std::vector<std::string>> texts(rows.size());
  for (size_t row = 0; row < rows.size(); ++row) {
    for (const ColumnView& column : columns) {
      std::string& text = texts[row].emplace_back();
      if (column.valid(static_cast<int>(row))) {
        AppendCell(column, static_cast<int>(row), &text);
      } else {
        text = "null";
      }
    }
  }
  return texts;
}

using Texts = std::vector<std::vector<std::string>>;

TEST(Model, ABareRegressionScoresItsFeatures) {
  const auto model = MustOpen(TestModelText("regression"));
  EXPECT_EQ(model->kind(), PredictionKind::kRegression);
  EXPECT_EQ(model->inputs(), (Schema{{{"size", Type::kDouble}, {"kind", Type::kDouble}}}));
  EXPECT_EQ(model->outputs(), (Schema{{{"prediction", Type::kDouble}}}));
  EXPECT_EQ(model->pipeline(), nullptr);
  EXPECT_EQ(model->info()["objective"], "regression");
  // Missing size goes left by default; a missing category goes right.
  EXPECT_EQ(ScoreTexts(*model, {{"1", "1"}, {"1", "0"}, {"3", "1"}, {"", "1"}, {"", ""}}),
            (Texts{{"0.25"}, {"-1.5"}, {"0.3"}, {"0.25"}, {"-1.5"}}));
}

TEST(Model, ABareBinaryModelHasClasses0And1AndAStrictThreshold) {
  const auto model = MustOpen(TestModelText("binary sigmoid:1"));
  EXPECT_EQ(model->outputs(), (Schema{{{"proba_0", Type::kDouble},
                                       {"proba_1", Type::kDouble},
                                       {"prediction", Type::kInt64}}}));
  const Texts texts = ScoreTexts(*model, {{"1", "1"}, {"1", "0"}});
  EXPECT_EQ(texts[0][2], "1");
  EXPECT_EQ(texts[1][2], "0");
  EXPECT_DOUBLE_EQ(std::stod(texts[0][0]) + std::stod(texts[0][1]), 1);

  std::string even = TestModelText("binary sigmoid:1");
  const size_t at = even.find("leaf_value=0.25");
  even.replace(at, 15, "leaf_value=0.0");
  EXPECT_EQ(ScoreTexts(*MustOpen(even), {{"1", "1"}}), (Texts{{"0.5", "0.5", "0"}}));
}

TEST(Model, AMulticlassModelPredictsTheFirstOfEquals) {
  const auto model = MustOpen(TestModelText("multiclass num_class:3", 3));
  EXPECT_EQ(model->outputs().Names(),
            (std::vector<std::string>{"proba_0", "proba_1", "proba_2", "prediction"}));
  const Texts texts = ScoreTexts(*model, {{"1", "1"}, {"1", "0"}});
  EXPECT_EQ(texts[0][3], "2");  // 0.25, 1.25, 2.25
  EXPECT_EQ(texts[1][3], "0");  // -1.5 everywhere
  EXPECT_EQ(texts[1][0], texts[1][2]);
}

TEST(Model, RankingAndCustomObjectivesGiveRawScores) {
  EXPECT_EQ(MustOpen(TestModelText("lambdarank"))->outputs().Names(),
            (std::vector<std::string>{"prediction"}));
  EXPECT_EQ(MustOpen(TestModelText(""))->kind(), PredictionKind::kRaw);
  EXPECT_EQ(MustOpen(TestModelText("", 2))->outputs().Names(),
            (std::vector<std::string>{"prediction_0", "prediction_1"}));
}

TEST(Model, PandasCategoriesAreTakenAsTexts) {
  const std::string text =
      TestModelText("regression") + "\npandas_categorical:[[\"red\", \"green\", 7]]\n";
  const auto model = MustOpen(text);
  EXPECT_EQ(model->inputs().fields[1].type, Type::kString);
  EXPECT_EQ(
      ScoreTexts(*model, {{"1", "green"}, {"1", "red"}, {"1", "unseen"}, {"1", "7"}, {"1", ""}}),
      (Texts{{"0.25"}, {"-1.5"}, {"-1.5"}, {"-1.5"}, {"-1.5"}}));
  const std::string ambiguous =
      TestModelText("regression") + "\npandas_categorical:[[\"red\"], [\"a\"]]\n";
  EXPECT_FALSE(Model::FromBytes(ambiguous).ok());
}

TEST(Model, ColumnsThatWereNotAskedForAreMissing) {
  const auto model = MustOpen(TestModelText("regression"));
  const std::vector<double> sizes = {5};
  const ColumnView columns[] = {{Type::kDouble, sizes.data(), nullptr},
                                {Type::kDouble, nullptr, nullptr}};
  Batch batch;
  batch.schema = &model->inputs();
  batch.rows = 1;
  batch.columns = columns;
  ModelScratch scratch;
  EXPECT_EQ(model->Score(batch, &scratch)[0].doubles()[0], 0.3);
}

TEST(Model, ABundleScoresRawInputsAndKeepsThePlaceOfDroppedRows) {
  Result<std::unique_ptr<Model>> model = Model::FromContent(TestContent());
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ((*model)->inputs(), (Schema{{{"size", Type::kDouble}, {"kind", Type::kString}}}));
  EXPECT_EQ((*model)->feature_names(), (std::vector<std::string>{"size", "kind"}));
  EXPECT_EQ((*model)->info()["version"], 3);
  EXPECT_EQ((*model)->threshold(), 0.4);
  const Texts texts = ScoreTexts(**model, {{"1", "green"}, {"-200", "green"}, {"1", "red"}});
  EXPECT_EQ(texts[0][2], "true");
  EXPECT_EQ(texts[1], (std::vector<std::string>{"null", "null", "null"}));
  EXPECT_EQ(texts[2][2], "false");
}

TEST(Model, LabelsHaveTheTypeOfTheTarget) {
  struct Case {
    Type type;
    std::vector<std::string> classes;
  };
  const Case cases[] = {{Type::kBoolean, {"false", "true"}},
                        {Type::kInt64, {"-3", "40"}},
                        {Type::kDouble, {"0.5", "1.5"}},
                        {Type::kString, {"no", "yes, really"}},
                        {Type::kDate, {"2024-01-01", "2024-02-29"}},
                        {Type::kTimestamp, {"2024-01-01T00:00:00Z", "2024-02-29T12:00:01Z"}}};
  for (const Case& test : cases) {
    BundleContent content = TestContent();
    content.target_type = test.type;
    content.classes = test.classes;
    Result<std::unique_ptr<Model>> model = Model::FromContent(content);
    ASSERT_TRUE(model.ok()) << model.error().message;
    const Texts texts = ScoreTexts(**model, {{"1", "red"}, {"1", "green"}});
    EXPECT_EQ(texts[0][2], test.classes[0]);
    EXPECT_EQ(texts[1][2], test.classes[1]);
    EXPECT_EQ((*model)->outputs().fields[2].type, test.type);
  }
}

TEST(Model, OneModelServesManyThreads) {
  Result<std::unique_ptr<Model>> model = Model::FromContent(TestContent());
  ASSERT_TRUE(model.ok());
  const Texts rows = {{"1", "green"}, {"", "red"}, {"-200", "red"}};
  const Texts expected = ScoreTexts(**model, rows);
  std::vector<Texts> found(4);
  std::vector<std::thread> threads;
  for (Texts& texts : found) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) texts = ScoreTexts(**model, rows);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Texts& texts : found) EXPECT_EQ(texts, expected);
}

TEST(Model, PredictMatrixTransforms) {
  const auto model = MustOpen(TestModelText("poisson"));
  const double matrix[] = {1, 1, kNaN, kNaN};
  double scores[2];
  model->PredictMatrix(matrix, 2, scores);
  EXPECT_EQ(scores[0], std::exp(0.25));
  EXPECT_EQ(scores[1], std::exp(-1.5));
}

TEST(Model, WhatIsNoModelIsRefusedWithWhatWasExpected) {
  Result<TempDir> folder = TempDir::Make();
  const std::string path = folder->File("x");
  for (const char* text : {"", "hello", "PK\x03\x04 not really", "tree\nnonsense\n"}) {
    ASSERT_TRUE(WriteFileAtomic(path, text).ok());
    Result<std::unique_ptr<Model>> model = Model::Open(path);
    ASSERT_FALSE(model.ok());
    EXPECT_THAT(model.error().message, HasSubstr(path));
  }
  Result<std::unique_ptr<Model>> absent = Model::Open(folder->File("absent"));
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(Model::FromBytes("hello").error().hint, HasSubstr("LightGBM"));
}

}  // namespace
}  // namespace slipway
