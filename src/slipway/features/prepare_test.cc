#include "slipway/features/prepare.h"

#include "slipway/base/json.h"
#include "slipway/features/rows_for_test.h"

namespace slipway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<PrepareStep> Steps(std::string_view text) {
  auto json = ParseJson(text);
  EXPECT_TRUE(json.ok()) << text;
  auto steps = PrepareFromJson(*json);
  EXPECT_TRUE(steps.ok()) << steps.error().message;
  return *steps;
}

Preparer Compiled(std::string_view steps, const Schema& schema) {
  auto preparer = Preparer::Compile(Steps(steps), schema);
  EXPECT_TRUE(preparer.ok()) << preparer.error().message << "; " << preparer.error().hint;
  return *preparer;
}

std::vector<int> Kept(const PreparedRows& rows) {
  std::vector<int> out;
  for (int r = 0; r < rows.batch.rows; ++r) out.push_back(rows.keep == nullptr ? 1 : rows.keep[r]);
  return out;
}

TEST(Preparer, RunsStepsInOrderEachOnTheSchemaTheLastLeft) {
  const Schema schema = TestSchema("a:int64 b:double c:string");
  const Preparer preparer = Compiled(R"([{"column": "d", "expr": "a + 1"},
    {"rename": {"d": "e"}}, {"drop": ["b"]}, {"column": "b", "expr": "e * 2"},
    {"column": "a", "expr": "a * 10"}, {"cast": {"c": "double"}}])",
                                     schema);
  EXPECT_EQ(preparer.output().Names(), (std::vector<std::string>{"a", "c", "e", "b"}));
  EXPECT_EQ(preparer.output().fields[1].type, Type::kDouble);
  auto rows = TestRows(schema, {{"1", "0.5", "7.5"}, {"2", "0.5", "x"}, {"", "0.5", ""}});
  PrepareScratch scratch;
  const PreparedRows out = preparer.Run(rows->View(), &scratch);
  EXPECT_EQ(out.keep, nullptr);
  EXPECT_THAT(TestTexts(out.batch, 0), ElementsAre("10", "20", ""));
  EXPECT_THAT(TestTexts(out.batch, 1), ElementsAre("7.5", "", ""));  // "x" does not convert
  EXPECT_THAT(TestTexts(out.batch, 2), ElementsAre("2", "3", ""));
  EXPECT_THAT(TestTexts(out.batch, 3), ElementsAre("4", "6", ""));
}

TEST(Preparer, FiltersAreAndedAndNullDrops) {
  const Schema schema = TestSchema("a:int64 b:int64");
  const Preparer preparer = Compiled(
      R"([{"filter": "a > 0"}, {"column": "c", "expr": "a"}, {"filter": "b > 0"}])", schema);
  auto rows = TestRows(schema, {{"1", "1"}, {"0", "1"}, {"1", "0"}, {"", "1"}, {"1", ""}});
  PrepareScratch scratch;
  const PreparedRows out = preparer.Run(rows->View(), &scratch);
  EXPECT_THAT(Kept(out), ElementsAre(1, 0, 0, 0, 0));
  EXPECT_EQ(out.batch.rows, 5);
  EXPECT_THAT(TestTexts(out.batch, 2), ElementsAre("1", "0", "1", "", "1"));  // dropped rows too
}

TEST(Preparer, PassesUntouchedColumnsOnWithoutACopy) {
  const Schema schema = TestSchema("a:double b:string");
  const Preparer preparer =
      Compiled(R"([{"column": "c", "expr": "a"}, {"rename": {"b": "x"}}])", schema);
  auto rows = TestRows(schema, {{"1", "t"}});
  const Batch batch = rows->View();
  PrepareScratch scratch;
  const PreparedRows out = preparer.Run(batch, &scratch);
  EXPECT_EQ(out.batch.columns[0].data, batch.columns[0].data);
  EXPECT_EQ(out.batch.columns[1].data, batch.columns[1].data);
}

TEST(Preparer, RenamesAllPairsAtOnce) {
  const Preparer preparer =
      Compiled(R"([{"rename": {"a": "b", "b": "a"}}])", TestSchema("a:int64 b:string"));
  EXPECT_EQ(preparer.output(), TestSchema("b:int64 a:string"));
}

TEST(Preparer, ErrorsNameTheStep) {
  const Schema schema = TestSchema("fare:double key:string day:date");
  struct Case {
    const char* steps;
    const char* message;
    const char* hint;
  };
  for (const Case& c : {
           Case{R"([{"drop": ["key"]}, {"drop": ["key"]}])",
                "prepare step 2 (drop): there is no column 'key'", ""},
           {R"([{"filter": "fare + 1"}])",
            "prepare step 1 (filter): a filter must be true or false", "fare"},
           {R"([{"column": "x", "expr": "fere + 1"}])", "prepare step 1 (column 'x'): ", "'fare'"},
           {R"([{"rename": {"far": "x"}}])", "prepare step 1 (rename): there is no column 'far'",
            "'fare'"},
           {R"([{"rename": {"fare": "key"}}])",
            "prepare step 1 (rename): there would be two columns 'key'", ""},
           {R"([{"cast": {"dayy": "string"}}])", "prepare step 1 (cast): there is no column",
            "'day'"},
           {R"([{"cast": {"day": "double"}}])", "column 'day' of type date cannot become double",
            ""},
       }) {
    auto preparer = Preparer::Compile(Steps(c.steps), schema);
    ASSERT_FALSE(preparer.ok()) << c.steps;
    EXPECT_THAT(preparer.error().message, HasSubstr(c.message));
    EXPECT_THAT(preparer.error().hint, HasSubstr(c.hint));
  }
}

TEST(Preparer, InputsForFollowsWhatIsReadAndTheFilters) {
  const Schema schema = TestSchema("a:double b:double c:double d:double e:double");
  const Preparer preparer =
      Compiled(R"([{"column": "x", "expr": "a + 1"}, {"column": "y", "expr": "x + b"},
    {"filter": "d > 0"}, {"column": "dead", "expr": "e"}, {"column": "a", "expr": "c"}])",
               schema);
  EXPECT_THAT(preparer.InputsFor({}), ElementsAre(3));
  EXPECT_THAT(preparer.InputsFor({"y"}), ElementsAre(0, 1, 3));
  EXPECT_THAT(preparer.InputsFor({"a"}), ElementsAre(2, 3));  // the new a, not the old one
  EXPECT_THAT(preparer.InputsFor({"dead", "no such"}), ElementsAre(3, 4));
}

TEST(Preparer, ColumnsThatWereNotReadStayAbsent) {
  const Schema schema = TestSchema("a:double b:double");
  const Preparer preparer =
      Compiled(R"([{"column": "x", "expr": "a + 1"}, {"column": "y", "expr": "x + b"}])", schema);
  auto rows = TestRows(schema, {{"1", "2"}});
  Batch batch = rows->View();
  std::vector<ColumnView> columns(batch.columns.begin(), batch.columns.end());
  columns[1].data = nullptr;
  batch.columns = columns;
  PrepareScratch scratch;
  const PreparedRows out = preparer.Run(batch, &scratch);
  EXPECT_THAT(TestTexts(out.batch, 2), ElementsAre("2"));
  EXPECT_EQ(out.batch.columns[3].data, nullptr);
  // What was absent in one batch is there again in the next.
  EXPECT_THAT(TestTexts(preparer.Run(rows->View(), &scratch).batch, 3), ElementsAre("4"));
}

TEST(Preparer, OneScratchServesOnePreparerAfterAnother) {
  const Schema schema = TestSchema("a:double");
  const Preparer first =
      Compiled(R"([{"filter": "a > 1"}, {"column": "x", "expr": "a + 1"}])", schema);
  const Preparer second =
      Compiled(R"([{"column": "y", "expr": "a * 3"}, {"filter": "a < 2"}])", schema);
  auto rows = TestRows(schema, {{"1"}, {"2"}});
  PrepareScratch scratch;
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(Kept(first.Run(rows->View(), &scratch)), ElementsAre(0, 1));
    EXPECT_THAT(TestTexts(second.Run(rows->View(), &scratch).batch, 1), ElementsAre("3", "6"));
  }
}

// Random programs over few names, so that names are dropped, replaced, cast and reused; the pruned
// preparer must give the same columns and filters from fewer inputs.
// A filter on the target chooses training rows; new data has no target to filter on.
TEST(Preparer, PrunedLeavesOutFiltersThatReadTheTarget) {
  const Schema schema{{{"fare", Type::kDouble}, {"tip", Type::kDouble}, {"x", Type::kDouble}}};
  auto steps =
      PrepareFromJson(*ParseJson(R"([{"filter": "fare between 2.5 and 250"}, {"filter": "x > 0"},
      {"column": "total", "expr": "fare + tip"}, {"filter": "total > 3"}, {"column": "y", "expr": "x * 2"}])"));
  ASSERT_TRUE(steps.ok());
  auto preparer = Preparer::Compile(*steps, schema);
  ASSERT_TRUE(preparer.ok());
  auto pruned = preparer->PrunedFor({"y"}, {"total"});
  ASSERT_TRUE(pruned.ok());
  EXPECT_EQ(pruned->input().Names(), std::vector<std::string>{"x"});
  EXPECT_EQ(pruned->steps().size(), 2u);  // x > 0, and y
  // A raw column that is a feature in its own right is there at scoring, and so are the filters on
  // it.
  auto with_tip = preparer->PrunedFor({"tip", "y"}, {"fare"});
  ASSERT_TRUE(with_tip.ok());
  EXPECT_EQ(with_tip->input().Names(), (std::vector<std::string>{"tip", "x"}));
  auto leak = preparer->PrunedFor({"total"}, {"fare"});
  ASSERT_FALSE(leak.ok());
  EXPECT_EQ(leak.error().message,
            "prepare step 3 (column 'total') computes a feature from 'fare', which new data does "
            "not have");
}

TEST(Preparer, PrunedGivesTheSameFromFewerInputs) {
  std::mt19937 random(7);
  auto pick = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
  const std::vector<std::string> names = {"a", "b", "c", "d", "e"};
  const Schema schema = TestSchema("a:double b:double c:double");
  auto rows = TestRows(schema, {{"1", "2", "3"}, {"-1", "", "5"}, {"4", "0", "-2"}});
  int compiled = 0, fewer = 0;
  for (int round = 0; round < 3'000; ++round) {
    std::vector<PrepareStep> steps;
    for (size_t n = pick(8); n > 0; --n) {
      PrepareStep step;
      step.kind = static_cast<PrepareStep::Kind>(pick(5));
      step.expression = step.kind == PrepareStep::Kind::kFilter
                            ? names[pick(5)] + " > " + std::to_string(pick(3))
                            : names[pick(5)] + " + " + std::to_string(pick(9));
      step.column = names[pick(5)];
      step.names = {names[pick(5)]};
      step.renames = {{names[pick(5)], names[pick(5)]}};
      step.casts = {{names[pick(5)], pick(2) == 0 ? Type::kDouble : Type::kInt64}};
      auto valid = steps;
      valid.push_back(step);
      if (Preparer::Compile(valid, schema).ok()) steps = std::move(valid);
    }
    auto whole = Preparer::Compile(steps, schema);
    ASSERT_TRUE(whole.ok());
    std::vector<std::string> outputs;
    for (const std::string& name : whole->output().Names()) {
      if (pick(2) == 0) outputs.push_back(name);
    }
    auto pruned = whole->PrunedFor(outputs);
    ASSERT_TRUE(pruned.ok()) << DumpJson(PrepareToJson(steps)) << pruned.error().message;
    ++compiled;
    const std::vector<int> inputs = whole->InputsFor(outputs);
    ASSERT_EQ(inputs.size(), static_cast<size_t>(pruned->input().size()));
    if (inputs.size() < 3) ++fewer;
    std::vector<ColumnView> columns;
    const Batch batch = rows->View();
    for (int input : inputs) columns.push_back(batch.columns[static_cast<size_t>(input)]);
    const Batch narrow{&pruned->input(), batch.rows, 0, columns, {}, 0};
    PrepareScratch one, two;
    const PreparedRows expected = whole->Run(batch, &one);
    const PreparedRows got = pruned->Run(narrow, &two);
    EXPECT_EQ(Kept(got), Kept(expected));
    for (const std::string& name : outputs) {
      const int at = pruned->output().Find(name);
      ASSERT_GE(at, 0) << name << DumpJson(PrepareToJson(steps));
      EXPECT_EQ(TestTexts(got.batch, at), TestTexts(expected.batch, whole->output().Find(name)))
          << name << DumpJson(PrepareToJson(steps));
    }
  }
  EXPECT_GT(compiled, 1'000);
  EXPECT_GT(fewer, 500);
}

}  // namespace
}  // namespace slipway
