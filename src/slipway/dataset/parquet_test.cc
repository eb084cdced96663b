// Parquet as other tools write it: every DuckDB type, several files, conversions, a full disk.
#include <csignal>

#include <sys/resource.h>

#include "slipway/dataset/dataset_testing.h"
#include "slipway/dataset/duckdb_connection.h"

namespace slipway {
namespace {

// Writes the rows of a query with DuckDB itself, as a foreign tool would.
void WriteForeign(const std::string& path, const std::string& query) {
  EngineOptions options;
  options.files = {path};
  auto connection = DuckConnection::Open(options);
  ASSERT_OK(connection);
  ASSERT_OK((*connection)
                ->Query("COPY (" + query + ") TO " + QuotedSqlText(path) +
                        " (FORMAT parquet, USE_TMP_FILE false)"));
}

class Parquet : public testing::Test {
 protected:
  TempDir dir_ = TempDir::Make().value();
  std::string path_ = dir_.File("t.parquet");
};

TEST_F(Parquet, EveryForeignTypeBecomesOneOfOurs) {
  WriteForeign(
      path_,
      "SELECT 1::TINYINT a, 2::USMALLINT b, 3::UBIGINT c, 1.5::FLOAT d, 12.25::DECIMAL(9,2) e, "
      "true f, DATE '2020-02-29' g, TIMESTAMP_NS '2020-01-01 00:00:00.123456789' h, "
      "TIMESTAMPTZ '2020-01-01 02:00:00+02' i, TIMESTAMP_S '2020-01-01 00:00:01' j, "
      "TIME '10:11:12' k, 'a'::ENUM('a','b') l, '\\xAA'::BLOB m, [1,2] n, {'x': 1} o, "
      "UUID '00000000-0000-0000-0000-000000000001' p, "
      "170141183460469231731687303715884105727::HUGEINT q, "
      "'' r");
  const auto read = ReadPath(path_);
  ASSERT_OK(read);
  std::string types;
  for (const Field& field : read->schema.fields)
    types += std::string(TypeName(field.type)).substr(0, 2);
  EXPECT_EQ(types, "ininindodobodatititiststststststdost");
  const Table expected = {
      {"1", "2", "3", "1.5", "12.25", "true", "2020-02-29", "2020-01-01T00:00:00.123456Z",
       "2020-01-01T00:00:00Z", "2020-01-01T00:00:01Z", "10:11:12", "a", "\\xAA", "[1,2]",
       "{\"x\":1}", "00000000-0000-0000-0000-000000000001", "1.7014118346046923e+38", "NULL"}};
  EXPECT_EQ(read->cells, expected);
}

TEST_F(Parquet, ANumberTooLargeForInt64IsABadRow) {
  WriteForeign(path_,
               "SELECT CASE WHEN range = 2500 THEN 18446744073709551615::UBIGINT ELSE "
               "range::UBIGINT END AS n "
               "FROM range(3000)");
  const auto inspection = Inspect(SpecOf({path_}));
  ASSERT_OK(inspection);
  const auto failed = ReadSpec(inspection->spec);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message,
            path_ + ":2501: column 'n': 18446744073709551615 is too large for int64");
  const auto read = ReadSpec(inspection->spec, {}, OnBadRows::kSkip);
  ASSERT_OK(read);
  EXPECT_EQ(read->cells.size(), 2999u);
  EXPECT_EQ(read->cells[2500], (std::vector<std::string>{"2501"}));
}

TEST_F(Parquet, OtherTypesAreConvertedAndWhatDoesNotConvertIsABadRow) {
  WriteForeign(
      path_,
      "SELECT * FROM (VALUES (1, '1.5', 2.0, 'x'), (2, 'abc', 2.5, 'y'), (3, '', 4.0, 'z'), "
      "(NULL, NULL, NULL, NULL)) t(i, s, d, k)");
  const auto inspection = Inspect(SpecOf({path_}));
  ASSERT_OK(inspection);
  ReadOptions options;
  options.types = {{{"i", Type::kDouble}, {"s", Type::kDouble}, {"d", Type::kInt64}}};
  const auto read = ReadSpec(inspection->spec, options, OnBadRows::kQuarantine);
  ASSERT_OK(read);
  EXPECT_EQ(
      read->cells,
      (Table{{"1", "1.5", "2", "x"}, {"3", "NULL", "4", "z"}, {"NULL", "NULL", "NULL", "NULL"}}));
  ASSERT_EQ(read->bad.size(), 1u);
  EXPECT_EQ(BadRowMessage(read->bad[0]), path_ + ":2: column 's': 'abc' is not a double");
  EXPECT_EQ(read->bad[0].text, R"({"i":2,"s":"abc","d":2.5,"k":"y"})");
  options.types = {{{"nope", Type::kDouble}}};
  EXPECT_FALSE(ReadSpec(inspection->spec, options).ok());
}

TEST_F(Parquet, OnlyTheWantedColumnsAreRead) {
  WriteForeign(path_, "SELECT 1 a, 'x' b, 2.5::DOUBLE c");
  const auto inspection = Inspect(SpecOf({path_}));
  ASSERT_OK(inspection);
  ReadOptions options;
  options.columns = {"c", "a"};
  const auto read = ReadSpec(inspection->spec, options);
  ASSERT_OK(read);
  EXPECT_EQ(read->cells, (Table{{"1", "UNREAD", "2.5"}}));
  options.columns = {"d"};
  EXPECT_FALSE(ReadSpec(inspection->spec, options).ok());
}

TEST_F(Parquet, FilesAreOneTableInSortedOrderByColumnName) {
  WriteForeign(dir_.File("b.parquet"), "SELECT 'later' s, 2.5::DOUBLE n");
  WriteForeign(dir_.File("a.parquet"), "SELECT 1::INT n, 'first' s");
  const auto inspection = Inspect(SpecOf({dir_.File("*.parquet")}));
  ASSERT_OK(inspection);
  EXPECT_EQ(inspection->spec.schema, (Schema{{{"n", Type::kDouble}, {"s", Type::kString}}}));
  const auto read = ReadSpec(inspection->spec);
  ASSERT_OK(read);
  EXPECT_EQ(read->cells, (Table{{"1", "first"}, {"2.5", "later"}}));
  EXPECT_EQ(CountRows(inspection->spec).value(), 2);
  WriteForeign(dir_.File("c.parquet"), "SELECT 1 AS x");
  const auto missing = ReadSpec(inspection->spec);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("c.parquet has no column 'n' and 's'"), std::string::npos)
      << missing.error().message;
}

TEST_F(Parquet, RowNumbersRunThroughTheSource) {
  WriteForeign(path_, "SELECT range AS n FROM range(200000)");
  const auto inspection = Inspect(SpecOf({path_}));
  ASSERT_OK(inspection);
  ReadOptions options;
  options.threads = 2;
  const auto source = OpenSource(inspection->spec, options);
  ASSERT_OK(source);
  int64_t next = 0;
  const auto counts = ForEachBatch(**source,
                                   [&](const Batch& batch) -> Status {
                                     EXPECT_EQ(batch.first_row, next);
                                     for (int row = 0; row < batch.rows; ++row) {
                                       if (batch.columns[0].ints()[row] != next++)
                                         return Internal("out of order");
                                     }
                                     return {};
                                   },
                                   {});
  ASSERT_OK(counts);
  EXPECT_EQ(counts->rows, 200000);
}

TEST_F(Parquet, AFileThatIsNoParquetIsNamed) {
  WriteText(path_, "PAR1 but not really");
  const auto inspection = Inspect(SpecOf({path_}));
  ASSERT_FALSE(inspection.ok());
  EXPECT_NE(inspection.error().message.find("t.parquet"), std::string::npos);
}

TEST_F(Parquet, AFileThatMayNotGrowIsAnErrorThatNamesIt) {
  struct rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  struct rlimit small = before;
  small.rlim_cur = 64 << 10;
  std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Schema schema{{{"s", Type::kString}}};
  std::mt19937_64 random(1);
  Table rows;
  for (int i = 0; i < 20000; ++i) rows.push_back({std::to_string(random())});
  const Status status = WriteRows(path_, Format::kParquet, schema, rows);
  setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kUnavailable) << status.error().message;
  EXPECT_NE(status.error().message.find(path_), std::string::npos) << status.error().message;
  EXPECT_EQ(ListDir(dir_.path()).value(), std::vector<std::string>{});
}

}  // namespace
}  // namespace slipway
