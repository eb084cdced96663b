#include "slipway/flow/package_queries.h"

#include <set>

#include "slipway/base/file.h"

namespace slipway {
namespace {

class DrawRowsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = TempDir::Make();
    ASSERT_TRUE(dir.ok());
    dir_ = *std::move(dir);
  }
  // A file of `rows` rows whose column a is the row's number, and b is missing in every third.
  FilesSpec Rows(int rows) {
    std::string text = "a,b,at\n";
    for (int i = 1; i <= rows; ++i)
      text += std::to_string(i) + "," + (i % 3 == 0 ? "" : "0.5") + ",2024-01-02 03:04:05\n";
    EXPECT_TRUE(WriteFileAtomic(dir_.File("rows.csv"), text).ok());
    FilesSpec spec;
    spec.paths = {dir_.File("rows.csv")};
    auto inspection = Inspect(spec);
    EXPECT_TRUE(inspection.ok()) << inspection.error().message;
    return inspection->spec;
  }
  std::vector<DrawnRow> Draw(const FilesSpec& spec, int64_t count, int64_t seed) {
    auto rows = DrawRows(spec, spec.schema, count, seed, QueryContext(), "rows");
    EXPECT_TRUE(rows.ok()) << rows.error().message;
    return rows.ok() ? *std::move(rows) : std::vector<DrawnRow>();
  }
  TempDir dir_;
};

TEST_F(DrawRowsTest, ValuesKeepTheTypesOfTheirColumns) {
  const FilesSpec spec = Rows(30);
  for (const DrawnRow& row : Draw(spec, 10, 1)) {
    EXPECT_EQ(row.record["a"], row.number);
    EXPECT_TRUE(row.record["a"].is_number_integer());
    EXPECT_EQ(row.record["b"], row.number % 3 == 0 ? Json() : Json(0.5));
    EXPECT_EQ(row.record["at"], "2024-01-02T03:04:05Z");
  }
}

TEST_F(DrawRowsTest, TheSeedDecidesAndFewerRowsAreTheFirstOfMore) {
  const FilesSpec spec = Rows(5000);
  const auto numbers = [&](int64_t count, int64_t seed) {
    std::vector<int64_t> out;
    for (const DrawnRow& row : Draw(spec, count, seed)) out.push_back(row.number);
    return out;
  };
  const std::vector<int64_t> twenty = numbers(20, 7);
  EXPECT_EQ(twenty.size(), 20u);
  EXPECT_EQ(std::set<int64_t>(twenty.begin(), twenty.end()).size(), 20u);
  EXPECT_EQ(numbers(20, 7), twenty);
  EXPECT_NE(numbers(20, 8), twenty);
  EXPECT_EQ(numbers(5, 7), std::vector<int64_t>(twenty.begin(), twenty.begin() + 5));
}

TEST_F(DrawRowsTest, AllOfASmallFile) { EXPECT_EQ(Draw(Rows(3), 10, 1).size(), 3u); }

// 10 of 100, 300 times: every row is drawn 30 times in the mean (sigma 5.2).
TEST_F(DrawRowsTest, EveryRowIsEquallyLikely) {
  const FilesSpec spec = Rows(100);
  std::vector<int> times(101);
  for (int64_t seed = 0; seed < 300; ++seed) {
    for (const DrawnRow& row : Draw(spec, 10, seed)) ++times[static_cast<size_t>(row.number)];
  }
  for (size_t i = 1; i <= 100; ++i) {
    EXPECT_GT(times[i], 8) << i;
    EXPECT_LT(times[i], 55) << i;
  }
}

// Answers of a lookup endpoint, over a table written here.
TEST(EndpointAnswerer, PoliciesDecideWhatARecordGets) {
  auto dir = TempDir::Make();
  ASSERT_TRUE(dir.ok());
  const Schema schema = {{{"k", Type::kInt64}, {"v", Type::kString}}};
  auto writer = LookupTableWriter::Make(schema, {"k"});
  ASSERT_TRUE(writer.ok());
  OwnedBatch batch(schema);
  const int64_t keys[] = {1, 2, 2};
  const char* const values[] = {"one", "two", "too"};
  for (int i = 0; i < 3; ++i) {
    batch.column(0).ints()[i] = keys[i];
    batch.column(0).SetValid(i);
    batch.column(1).strings()[i] = values[i];
    batch.column(1).SetValid(i);
  }
  batch.rows = 3;
  ASSERT_TRUE((*writer)->Add(batch.View()).ok());
  ASSERT_TRUE((*writer)->Finish(dir->File("t.table")).ok());
  const auto table = LookupTable::Open(dir->File("t.table"));
  ASSERT_TRUE(table.ok()) << table.error().message;

  PackageEndpoint endpoint;
  endpoint.id = "e";
  endpoint.type = EndpointType::kLookup;
  endpoint.tables.push_back({.part = "t.table",
                             .table = "t",
                             .keys = {{"k", "key"}},
                             .columns = {{"v", "value"}},
                             .missing_key = LookupPolicy::kError});
  const EndpointAnswerer answerer(endpoint, nullptr, {{"t.table", table->get()}});
  const std::vector<Json> records = {{{"key", 1}}, {{"key", 2}},     {{"key", 3}},
                                     {{"x", 1}},   {{"key", "two"}}, {{"key", "1"}}};
  const std::vector<RecordAnswer> answers = answerer.Answer(records);
  ASSERT_EQ(answers.size(), records.size());
  EXPECT_TRUE(answers[0].complete);
  EXPECT_EQ(DumpJson(answers[0].result), R"({"value":"one"})");
  EXPECT_EQ(answers[1].failure, "MULTIPLE_LOOKUP_MATCHES in table 't'");
  EXPECT_TRUE(answers[2].failure.empty());
  EXPECT_FALSE(answers[2].complete);
  EXPECT_TRUE(answers[2].result.is_null());
  EXPECT_EQ(answers[3].failure, "MISSING_LOOKUP_KEY in table 't'");
  EXPECT_EQ(answers[4].failure, "'key': 'two' is not of type int64");
  EXPECT_EQ(DumpJson(answers[5].result), R"({"value":"one"})") << "a text means its value";
}

}  // namespace
}  // namespace slipway
