#include "slipway/features/pipeline.h"

#include <cstring>

#include "slipway/base/json.h"
#include "slipway/features/rows_for_test.h"

namespace slipway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Cells = std::vector<std::vector<std::string>>;

struct Recipe {
  std::string schema;
  std::string features = "{}";
  std::string prepare = "[]";
  std::vector<std::string> exclude = {};
};

FitOptions Options(const Recipe& recipe) {
  FitOptions options;
  options.prepare = *PrepareFromJson(*ParseJson(recipe.prepare));
  auto features = FeaturesFromJson(*ParseJson(recipe.features));
  EXPECT_TRUE(features.ok()) << features.error().message;
  options.features = *features;
  options.exclude = recipe.exclude;
  return options;
}

// Fits on the rows, pushed in batches of `size`; rows whose number is in `unused` are not to be
// learnt from.
Result<Pipeline> Fit(const Recipe& recipe, const Cells& rows, std::vector<std::string>* warnings,
                     size_t size = kBatchRows, const std::vector<size_t>& unused = {}) {
  const Schema schema = TestSchema(recipe.schema);
  ASSIGN_OR_RETURN(PipelineFitter fitter, PipelineFitter::Make(schema, Options(recipe)));
  PrepareScratch scratch;
  for (size_t begin = 0; begin < rows.size(); begin += size) {
    const size_t end = std::min(rows.size(), begin + size);
    auto batch = TestRows(schema, {rows.begin() + static_cast<ptrdiff_t>(begin),
                                   rows.begin() + static_cast<ptrdiff_t>(end)});
    const PreparedRows prepared = fitter.preparer().Run(batch->View(), &scratch);
    std::vector<uint8_t> use(end - begin, 1);
    for (size_t r = begin; r < end; ++r) {
      if (prepared.keep != nullptr) use[r - begin] = prepared.keep[r - begin];
      if (std::find(unused.begin(), unused.end(), r) != unused.end()) use[r - begin] = 0;
    }
    RETURN_IF_ERROR(fitter.Observe(prepared.batch, use.data()));
  }
  return fitter.Finish(warnings);
}

Pipeline Fitted(const Recipe& recipe, const Cells& rows,
                std::vector<std::string>* warnings = nullptr) {
  std::vector<std::string> ignored;
  auto pipeline = Fit(recipe, rows, warnings == nullptr ? &ignored : warnings);
  EXPECT_TRUE(pipeline.ok()) << pipeline.error().message;
  return *pipeline;
}

struct Answer {
  std::vector<double> matrix;
  std::vector<uint8_t> keep;
};

// Rows of the pipeline's own inputs.
Answer Transform(const Pipeline& pipeline, const Cells& rows, size_t size = kBatchRows) {
  Answer out;
  out.matrix.resize(rows.size() * static_cast<size_t>(pipeline.feature_count()));
  out.keep.assign(rows.size(), 9);
  PipelineScratch scratch;
  for (size_t begin = 0; begin < rows.size(); begin += size) {
    const size_t end = std::min(rows.size(), begin + size);
    auto batch = TestRows(pipeline.inputs(), {rows.begin() + static_cast<ptrdiff_t>(begin),
                                              rows.begin() + static_cast<ptrdiff_t>(end)});
    pipeline.Transform(batch->View(), &scratch,
                       out.matrix.data() + begin * static_cast<size_t>(pipeline.feature_count()),
                       out.keep.data() + begin);
  }
  return out;
}

// NaN as -99, so that rows can be compared.
std::vector<double> Plain(std::vector<double> values) {
  for (double& value : values) value = std::isnan(value) ? -99 : value;
  return values;
}

std::vector<std::string> Names(const Pipeline& pipeline) {
  std::vector<std::string> out;
  for (const ModelFeature& feature : pipeline.features()) out.push_back(feature.name);
  return out;
}

bool SameBits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * 8) == 0);
}

TEST(Pipeline, NumericMissingPolicies) {
  const Cells rows = {{"1"}, {"2"}, {"9"}, {"4"}, {""}, {"nan"}};
  const std::pair<const char*, double> cases[] = {{"median", 3}, {"mean", 4}, {"native", -99}};
  for (const auto& [policy, fill] : cases) {
    const Recipe recipe{"x:double", std::string(R"({"x": {"missing": ")") + policy + "\"}}"};
    const Pipeline pipeline = Fitted(recipe, rows);
    EXPECT_THAT(Plain(Transform(pipeline, {{"7"}, {""}, {"nan"}}).matrix),
                ElementsAre(7, fill, fill))
        << policy;
  }
  const Pipeline constant =
      Fitted({"x:int64", R"({"x": {"missing": "constant", "value": -1.5}})"}, {{"1"}, {""}});
  EXPECT_THAT(Transform(constant, {{""}, {"3"}}).matrix, ElementsAre(-1.5, 3));
}

TEST(Pipeline, InfinitiesPassAndAreNotLearntFrom) {
  const Cells rows = {{"1"}, {"3"}, {"inf"}, {"-inf"}, {"inf"}, {""}};
  const Pipeline pipeline = Fitted({"x:double", R"({"x": {"missing": "mean"}})"}, rows);
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_THAT(Transform(pipeline, {{"inf"}, {"-inf"}, {""}}).matrix, ElementsAre(inf, -inf, 2));
}

TEST(Pipeline, ScalesAfterFilling) {
  const Cells rows = {{"1"}, {"3"}, {""}};
  const Pipeline standard =
      Fitted({"x:double", R"({"x": {"missing": "mean", "scale": "standard"}})"}, rows);
  EXPECT_THAT(Transform(standard, {{"1"}, {"3"}, {""}, {"4"}}).matrix, ElementsAre(-1, 1, 0, 2));
  const Pipeline minmax = Fitted({"x:double", R"({"x": {"scale": "minmax"}})"}, rows);
  EXPECT_THAT(Plain(Transform(minmax, {{"1"}, {"3"}, {""}, {"5"}}).matrix),
              ElementsAre(0, 1, -99, 2));
  const Pipeline constant = Fitted({"x:double", R"({"x": {"scale": "standard"}})"}, {{"5"}, {"5"}});
  EXPECT_THAT(Transform(constant, {{"5"}, {"6"}}).matrix, ElementsAre(0, 1));
}

TEST(Pipeline, CategoriesAreCodedByFallingCountThenText) {
  const Cells rows = {{"b"}, {"c"}, {"a"}, {"c"}, {"d"}, {""}};
  const Pipeline pipeline = Fitted({"x:string"}, rows);
  EXPECT_TRUE(pipeline.features()[0].categorical);
  EXPECT_THAT(Plain(Transform(pipeline, {{"c"}, {"a"}, {"b"}, {"d"}, {""}, {"?"}}).matrix),
              ElementsAre(0, 1, 2, 3, -99, -99));
  const Pipeline ordinal = Fitted({"x:string", R"({"x": {"encode": "ordinal"}})"}, rows);
  EXPECT_FALSE(ordinal.features()[0].categorical);
  EXPECT_THAT(Transform(ordinal, {{"d"}}).matrix, ElementsAre(3));
}

TEST(Pipeline, UnseenPoliciesWithAndWithoutRareCategories) {
  const Cells rows = {{"a"}, {"a"}, {"a"}, {"b"}, {"b"}, {"rare"}};
  const Cells asked = {{"a"}, {"rare"}, {"new"}, {""}};
  auto fit = [&](const std::string& settings) {
    return Transform(Fitted({"x:string", R"({"x": {"as": "category", )" + settings + "}}"}, rows),
                     asked);
  };
  EXPECT_THAT(Plain(fit(R"("unseen": "other", "max_categories": 2)").matrix),
              ElementsAre(0, 2, 2, -99));
  EXPECT_THAT(Plain(fit(R"("unseen": "other")").matrix), ElementsAre(0, 2, -99, -99));
  EXPECT_THAT(Plain(fit(R"("unseen": "missing", "max_categories": 2)").matrix),
              ElementsAre(0, 2, -99, -99));
  const Answer error = fit(R"("unseen": "error", "max_categories": 2)");
  EXPECT_THAT(error.keep, ElementsAre(1, 1, 0, 1));  // rare ones were seen
  EXPECT_THAT(Plain(error.matrix), ElementsAre(0, 2, -99, -99));
}

TEST(Pipeline, OneHotHasAColumnPerCategoryAndOneForTheRare) {
  const Cells rows = {{"a"}, {"a"}, {"a"}, {"b"}, {"b"}, {"rare"}};
  const Recipe recipe{"x:string", R"({"x": {"encode": "one_hot", "max_categories": 2}})"};
  const Pipeline pipeline = Fitted(recipe, rows);
  EXPECT_THAT(Names(pipeline), ElementsAre("x=a", "x=b", "x=(other)"));
  EXPECT_THAT(Transform(pipeline, {{"b"}, {"new"}, {""}}).matrix,
              ElementsAre(0, 1, 0, 0, 0, 1, 0, 0, 0));
  const Pipeline all = Fitted({"x:string", R"({"x": {"encode": "one_hot"}})"}, rows);
  EXPECT_THAT(Names(all), ElementsAre("x=a", "x=b", "x=rare"));
  EXPECT_THAT(Transform(all, {{"new"}}).matrix, ElementsAre(0, 0, 0));
}

TEST(Pipeline, FeatureNamesAreUnique) {
  const Pipeline pipeline =
      Fitted({"x:string x=a:double", R"({"x": {"encode": "one_hot"}})"}, {{"a", "1"}, {"b", "2"}});
  EXPECT_THAT(Names(pipeline), ElementsAre("x=a", "x=b", "x=a#2"));
}

TEST(Pipeline, ValuesThatAreNotStringsAreCategoriesByTheirText) {
  const Recipe recipe{"i:int64 b:boolean d:date f:double",
                      R"({"i": "category", "b": "category", "d": "category", "f": "category"})"};
  const Pipeline pipeline = Fitted(recipe, {{"7", "true", "2020-01-02", "0"},
                                            {"7", "true", "2020-01-02", "-0.0"},
                                            {"-3", "false", "2021-01-02", "1.5"}});
  EXPECT_THAT(Plain(Transform(pipeline, {{"-3", "false", "2021-01-02", "1.5"},
                                         {"7", "yes", "2020-01-02", "-0"},
                                         {"7", "", "", "nan"},
                                         {"8", "true", "2022-01-02", "inf"}})
                        .matrix),
              ElementsAre(1, 1, 1, 1, 0, 0, 0, 0, 0, -99, -99, -99, -99, 0, -99, -99));
  const std::string json = DumpJson(pipeline.ToJson());
  EXPECT_THAT(json, HasSubstr(R"(["7","-3"])"));
  EXPECT_THAT(json, HasSubstr(R"(["true","false"])"));
  EXPECT_THAT(json, HasSubstr(R"(["2020-01-02","2021-01-02"])"));
}

TEST(Pipeline, TimestampAndDateParts) {
  const Recipe recipe{
      "t:timestamp d:date",
      R"({"t": {"parts": ["year", "month", "day", "hour", "minute", "weekday", "epoch"]}})"};
  const Pipeline pipeline = Fitted(
      recipe, {{"2020-01-01T00:00:00Z", "2020-01-01"}, {"2021-01-01T00:00:00Z", "2021-01-01"}});
  EXPECT_THAT(Names(pipeline),
              ElementsAre("t:year", "t:month", "t:day", "t:hour", "t:minute", "t:weekday",
                          "t:epoch", "d:year", "d:month", "d:day", "d:weekday"));
  // 2015-05-07 was a Thursday; 1969-12-31 a Wednesday; 2000-02-29 a Tuesday.
  const Answer answer = Transform(pipeline, {{"2015-05-07 19:52:06.5 UTC", "2000-02-29"},
                                             {"1969-12-31T23:59:59Z", "1969-12-31"},
                                             {"", ""}});
  EXPECT_THAT(Plain(answer.matrix),
              ElementsAre(2015, 5, 7, 19, 52, 4, 1431028326.5, 2000, 2, 29, 2,  //
                          1969, 12, 31, 23, 59, 3, -1, 1969, 12, 31, 3,         //
                          -99, -99, -99, -99, -99, -99, -99, -99, -99, -99, -99));
}

// A column of everything, 500 rows.
const char* const kWideSchema =
    "num:double int:int64 flag:boolean cat:string when:timestamp day:date y:double";
const char* const kWidePrepare =
    R"([{"filter": "y > 0"}, {"column": "both", "expr": "num * 2 + int"},
  {"column": "dead", "expr": "num"}, {"rename": {"cat": "kind"}}])";
const char* const kWideFeatures =
    R"({"num": {"missing": "median", "scale": "standard"}, "int": {"missing": "mean"},
  "kind": {"encode": "one_hot", "max_categories": 3}, "both": {"scale": "minmax"}, "dead": "ignore"})";

Recipe Wide() { return {kWideSchema, kWideFeatures, kWidePrepare, {"y"}}; }

Cells WideRows(unsigned seed, size_t rows) {
  std::mt19937 random(seed);
  auto pick = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
  Cells out;
  for (size_t r = 0; r < rows; ++r) {
    const std::string day = "20" + std::to_string(10 + pick(20)) + "-0" +
                            std::to_string(1 + pick(9)) + "-1" + std::to_string(pick(10));
    out.push_back(
        {pick(9) == 0 ? "" : std::to_string(pick(100'000)) + "." + std::to_string(pick(1'000)),
         pick(9) == 0 ? "" : std::to_string(pick(50)), pick(9) == 0 ? "" : std::to_string(pick(2)),
         pick(9) == 0 ? "" : "c" + std::to_string(pick(3) * pick(3)),
         pick(9) == 0 ? "" : day + " 0" + std::to_string(pick(10)) + ":00:00",
         pick(9) == 0 ? "" : day, pick(20) == 0 ? "-1" : "2"});
  }
  return out;
}

TEST(Pipeline, BatchSizesDoNotChangeTheBits) {
  const Cells rows = WideRows(1, 500);
  std::vector<std::string> warnings;
  std::vector<Pipeline> pipelines;
  for (size_t size : {size_t{500}, size_t{64}, size_t{7}, size_t{1}}) {
    auto pipeline = Fit(Wide(), rows, &warnings, size);
    ASSERT_TRUE(pipeline.ok()) << pipeline.error().message;
    pipelines.push_back(*pipeline);
  }
  EXPECT_THAT(warnings, IsEmpty());
  const std::string whole = DumpJson(pipelines[0].ToJson());
  for (const Pipeline& other : pipelines) EXPECT_EQ(DumpJson(other.ToJson()), whole);
  EXPECT_EQ(pipelines[0].inputs(), TestSchema(kWideSchema));  // y: the filter reads it
  const Answer at_once = Transform(pipelines[0], rows);
  for (size_t size : {size_t{100}, size_t{3}, size_t{1}}) {
    const Answer answer = Transform(pipelines[0], rows, size);
    EXPECT_TRUE(SameBits(answer.matrix, at_once.matrix)) << size;
    EXPECT_EQ(answer.keep, at_once.keep) << size;
  }
  EXPECT_GT(std::count(at_once.keep.begin(), at_once.keep.end(), 0), 5);
}

TEST(Pipeline, JsonRoundTripKeepsTheBits) {
  const Cells rows = WideRows(2, 400);
  const Pipeline pipeline = Fitted(Wide(), rows);
  auto json = ParseJson(DumpJson(pipeline.ToJson(), 2));
  ASSERT_TRUE(json.ok());
  auto again = Pipeline::FromJson(*json);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->inputs(), pipeline.inputs());
  EXPECT_EQ(Names(*again), Names(pipeline));
  const Cells unseen = WideRows(3, 400);
  EXPECT_TRUE(SameBits(Transform(*again, unseen).matrix, Transform(pipeline, unseen).matrix));
  EXPECT_EQ(DumpJson(again->ToJson()), DumpJson(pipeline.ToJson()));
}

TEST(PipelineFitter, RowsNotInUseInfluenceNothing) {
  Cells rows = WideRows(4, 300);
  std::vector<size_t> unused;
  for (size_t r = 0; r < rows.size(); r += 3) unused.push_back(r);
  std::vector<std::string> warnings;
  auto before = Fit(Wide(), rows, &warnings, 50, unused);
  for (size_t r : unused)
    rows[r] = {"1e9", "-77", "1", "elsewhere", "1900-01-01", "1900-01-01", "9"};
  auto after = Fit(Wide(), rows, &warnings, 50, unused);
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_EQ(DumpJson(before->ToJson()), DumpJson(after->ToJson()));
  auto all = Fit(Wide(), rows, &warnings, 50);
  ASSERT_TRUE(all.ok());
  EXPECT_NE(DumpJson(all->ToJson()), DumpJson(after->ToJson()));  // the test can tell
}

TEST(PipelineFitter, InputsAreOnlyWhatKeptFeaturesAndFiltersRead) {
  const Recipe recipe{
      "a:double key:string b:double y:double c:double",
      R"({"key": "ignore", "a": "ignore"})",
      R"([{"column": "ab", "expr": "a + 1"}, {"column": "gone", "expr": "b"}, {"drop": ["gone", "b"]},
                          {"rename": {"c": "d"}}])",
      {"y"}};
  const Pipeline pipeline = Fitted(recipe, {{"1", "k", "2", "3", "4"}, {"2", "k", "3", "3", "5"}});
  EXPECT_EQ(pipeline.inputs(), TestSchema("a:double c:double"));
  EXPECT_THAT(Names(pipeline), ElementsAre("d", "ab"));
  EXPECT_EQ(pipeline.preparer().steps().size(), 2U);
  EXPECT_THAT(Transform(pipeline, {{"5", "6"}}).matrix, ElementsAre(6, 6));
}

TEST(PipelineFitter, InfersWhatIsSilentAndWarnsOfWhatItIgnores) {
  Cells rows;
  for (int r = 0; r < 3'000; ++r) {
    rows.push_back({std::to_string(r * 17), "key" + std::to_string(r),
                    "t" + std::to_string(r % 1'500), "c" + std::to_string(r % 1'000),
                    std::to_string(r) + ".5", "5", "",
                    "2020-01-01T00:00:00." + std::to_string(100'000 + r)});
  }
  std::vector<std::string> warnings;
  const Pipeline pipeline =
      Fitted({"id:int64 key:string texts:string cat:string real:double same:int64 none:double "
              "when:timestamp"},
             rows, &warnings);
  EXPECT_THAT(Names(pipeline), ElementsAre("cat", "real", "same", "none", "when:year", "when:month",
                                           "when:day", "when:weekday", "when:hour"));
  ASSERT_EQ(warnings.size(), 5U);
  EXPECT_THAT(warnings[0],
              HasSubstr("column 'id' was ignored: 3,000 of its 3,000 values are distinct"));
  EXPECT_THAT(warnings[0], HasSubstr("features: {id: numeric}"));
  EXPECT_THAT(warnings[1], HasSubstr("column 'key' was ignored"));
  EXPECT_THAT(warnings[1], HasSubstr("features: {key: category}"));
  EXPECT_THAT(warnings[2], HasSubstr("column 'texts' was ignored: it has 1,500 distinct texts"));
  EXPECT_THAT(warnings[3], HasSubstr("column 'same' has one value"));
  EXPECT_THAT(warnings[4], HasSubstr("column 'none' has only missing values"));
}

TEST(PipelineFitter, SayingTheKindOverridesTheInference) {
  Cells rows;
  for (int r = 0; r < 1'500; ++r) rows.push_back({std::to_string(r), "k" + std::to_string(r)});
  std::vector<std::string> warnings;
  const Pipeline pipeline =
      Fitted({"id:int64 key:string", R"({"id": "numeric", "key": "category"})"}, rows, &warnings);
  EXPECT_THAT(Names(pipeline), ElementsAre("id", "key"));
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_THAT(warnings[0],
              HasSubstr("column 'key' has 1,500 categories: the 1,000 most frequent are kept"));
  EXPECT_THAT(Transform(pipeline, {{"1", "nowhere"}}).matrix, ElementsAre(1, 1000));
}

TEST(PipelineFitter, FewRowsAreNoEvidenceOfAnId) {
  Cells rows;
  for (int r = 0; r < 99; ++r) rows.push_back({std::to_string(r), "k" + std::to_string(r)});
  std::vector<std::string> warnings;
  EXPECT_THAT(Names(Fitted({"id:int64 key:string"}, rows, &warnings)), ElementsAre("id", "key"));
  EXPECT_THAT(warnings, IsEmpty());
}

TEST(PipelineFitter, CountsAreBoundedAndSaySo) {
  const Schema schema = TestSchema("id:int64 key:string cat:string");
  FitOptions options = Options({"", R"({"cat": "category"})"});
  auto fitter = PipelineFitter::Make(schema, options);
  ASSERT_TRUE(fitter.ok());
  OwnedBatch batch(schema);
  for (int base = 0; base < 120'000; base += kBatchRows) {
    batch.Reset();
    batch.rows = kBatchRows;
    for (int c = 0; c < 3; ++c) batch.column(c).SetAllValid();
    for (int r = 0; r < kBatchRows; ++r) {
      batch.column(0).ints()[r] = base + r;
      const std::string text = "k" + std::to_string(base + r);
      batch.column(1).strings()[r] = batch.column(1).Intern(text);
      batch.column(2).strings()[r] =
          batch.column(2).Intern(r % 2 == 0 ? std::string("common") : text + "x");
    }
    ASSERT_TRUE(fitter->Observe(batch.View(), nullptr).ok());
  }
  std::vector<std::string> warnings;
  auto pipeline = fitter->Finish(&warnings);
  ASSERT_TRUE(pipeline.ok()) << pipeline.error().message;
  ASSERT_EQ(warnings.size(), 3U);
  EXPECT_THAT(warnings[0], HasSubstr("100,000 of its first 100,000 values"));
  EXPECT_THAT(warnings[1], HasSubstr("100,000 of its first 100,000 values"));
  EXPECT_THAT(Transform(*pipeline, {{"common"}, {"never seen"}}).matrix, ElementsAre(0, 1000));
}

TEST(PipelineFitter, ErrorsNameTheColumnAndSuggest) {
  struct Case {
    Recipe recipe;
    const char* message;
    const char* hint;
  };
  for (const Case& c : {
           Case{{"fare:double", R"({"fair": "numeric"})"},
                "features.fair: there is no column 'fair'",
                "'fare'"},
           {{"a:double b:double", R"({"b": "numeric"})", R"([{"drop": ["b"]}])"},
            "features.b: there is no column",
            "drops"},
           {{"s:string", R"({"s": "numeric"})"},
            "features.s: column 's' is of type string",
            "cast"},
           {{"t:timestamp", R"({"t": "numeric"})"}, "which cannot be numeric", "epoch"},
           {{"s:double", R"({"s": "timestamp"})"}, "has no timestamp parts", "cast"},
           {{"d:date", R"({"d": {"parts": ["hour"]}})"}, "has no part 'hour'", ""},
           {{"y:double", R"({"y": "numeric"})", "[]", {"y"}}, "features.y: the target", ""},
       }) {
    auto fitter = PipelineFitter::Make(TestSchema(c.recipe.schema), Options(c.recipe));
    ASSERT_FALSE(fitter.ok()) << c.message;
    EXPECT_THAT(fitter.error().message, HasSubstr(c.message));
    EXPECT_THAT(fitter.error().hint, HasSubstr(c.hint)) << c.message;
  }
  std::vector<std::string> warnings;
  auto no_rows = Fit({"a:double", "{}", R"([{"filter": "a > 9"}])"}, {{"1"}}, &warnings);
  ASSERT_FALSE(no_rows.ok());
  EXPECT_THAT(no_rows.error().message, HasSubstr("no rows to learn from"));
  auto no_features = Fit({"a:double", R"({"a": "ignore"})"}, {{"1"}}, &warnings);
  ASSERT_FALSE(no_features.ok());
  EXPECT_THAT(no_features.error().message, HasSubstr("no usable feature"));
}

TEST(PipelineFitter, TextThatIsNotUtf8IsRefusedAsACategory) {
  std::vector<std::string> warnings;
  auto pipeline = Fit({"s:string"}, {{"a"}, {"\xff"}}, &warnings);
  ASSERT_FALSE(pipeline.ok());
  EXPECT_THAT(pipeline.error().message, HasSubstr("not UTF-8"));
}

// Every single change of the stored form is refused or harmless, never a crash; these must be
// refused.
TEST(Pipeline, FromJsonRefusesWhatIsOdd) {
  const Pipeline pipeline = Fitted(Wide(), WideRows(5, 100));
  const Json good = pipeline.ToJson();
  ASSERT_TRUE(Pipeline::FromJson(good).ok());
  const std::pair<const char*, const char*> changes[] = {
      {"/format", "2"},
      {"/extra", "1"},
      {"/inputs", "[]"},
      {"/inputs/0/type", "\"text\""},
      {"/inputs/0/more", "1"},
      {"/prepare/0/filter", "\"y + 1\""},
      {"/prepare/0/filter", "\"nowhere > 1\""},
      {"/features", "[]"},
      {"/features", "{}"},
      {"/features/0/column", "\"nowhere\""},
      {"/features/0/type", "\"int64\""},
      {"/features/0/as", "\"category\""},
      {"/features/0/fill", "\"nan\""},
      {"/features/0/fill", "null"},
      {"/features/0/divisor", "0"},
      {"/features/0/divisor", "\"inf\""},
      {"/features/0/scale", "\"none\""},
      {"/features/0/unknown", "0"},
      {"/features/3/categories", "[\"a\", \"a\"]"},
      {"/features/3/categories", "[1]"},
      {"/features/3/coded", "99"},
      {"/features/3/coded", "-1"},
      {"/features/4/parts", "[]"},
      {"/features/4/parts", "[\"hour\", \"hour\"]"},
      {"/features/5/parts", "[\"hour\"]"},
  };
  for (const auto& [path, value] : changes) {
    Json json = good;
    json[Json::json_pointer(path)] = *ParseJson(value);
    auto read = Pipeline::FromJson(json);
    ASSERT_FALSE(read.ok()) << path << " = " << value;
    EXPECT_EQ(read.error().code, ErrorCode::kCorruption) << path;
  }
  for (const char* key : {"format", "inputs", "prepare", "features"}) {
    Json json = good;
    json.erase(key);
    EXPECT_FALSE(Pipeline::FromJson(json).ok()) << key;
  }
  for (const char* text : {"null", "[]", "3", "{}"})
    EXPECT_FALSE(Pipeline::FromJson(*ParseJson(text)).ok());
}

}  // namespace
}  // namespace slipway
