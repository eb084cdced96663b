// sql recipes: values as our own readers give them, order kept, nothing but the inputs readable.
#include <thread>

#include "slipway/dataset/dataset_testing.h"

namespace slipway {
namespace {

class Sql : public testing::Test {
 protected:
  void SetUp() override {
    WriteText(dir_.File("trips.csv"), "id,zone,fare\n1,a,1.5\n2,b,\n3,a, 2.5 \n4,,nan\n");
    WriteText(dir_.File("zones.jsonl"),
              "{\"zone\":\"a\",\"name\":\"Alpha\"}\n{\"zone\":\"b\",\"name\":\"Beta\"}\n");
    Add("trips", dir_.File("trips.csv"));
    Add("zones", dir_.File("zones.jsonl"));
    task_.output = dir_.File("out.parquet");
    ASSERT_OK(MakeDirs(dir_.File("tmp")));
    task_.temp_dir = dir_.File("tmp");
  }
  void Add(const std::string& name, const std::string& path) {
    const auto inspection = Inspect(SpecOf({path}));
    ASSERT_OK(inspection);
    task_.inputs.emplace_back(name, inspection->spec);
  }
  Result<Rows> Run(const std::string& query) {
    task_.query = query;
    ASSIGN_OR_RETURN(const SqlOutcome outcome, RunSql(task_));
    ASSIGN_OR_RETURN(Rows rows, ReadPath(task_.output));
    EXPECT_EQ(outcome.rows, static_cast<int64_t>(rows.cells.size()));
    EXPECT_EQ(outcome.schema, rows.schema);
    const auto checked = CheckSql(task_);
    EXPECT_TRUE(checked.ok() && *checked == rows.schema);
    return rows;
  }
  std::string Fails(const std::string& query) {
    task_.query = query;
    const auto outcome = RunSql(task_);
    EXPECT_FALSE(PathExists(task_.output));
    if (outcome.ok()) return "ok";
    return outcome.error().message + "; " + outcome.error().hint;
  }

  TempDir dir_ = TempDir::Make().value();
  SqlTask task_;
};

TEST_F(Sql, JoinsCsvAndJsonLines) {
  const auto rows =
      Run("SELECT name, count(*) AS n, sum(fare) AS total FROM trips JOIN zones USING (zone)\n"
          "GROUP BY name ORDER BY name; -- done");
  ASSERT_OK(rows);
  EXPECT_EQ(rows->cells, (Table{{"Alpha", "2", "4"}, {"Beta", "1", "NULL"}}));
}

TEST_F(Sql, ValuesAreThoseOfOurReaders) {
  const auto rows = Run("SELECT id, zone, fare, zone IS NULL AS z, fare IS NULL AS f FROM trips");
  ASSERT_OK(rows);
  EXPECT_EQ(rows->cells, (Table{{"1", "a", "1.5", "false", "false"},
                                {"2", "b", "NULL", "false", "true"},
                                {"3", "a", "2.5", "false", "false"},
                                {"4", "NULL", "NULL", "true", "true"}}));
}

TEST_F(Sql, CountsAndSelfJoinsAndParquet) {
  ASSERT_OK(Run("SELECT count(*) AS n FROM trips"));
  ASSERT_OK(WriteRows(dir_.File("p.parquet"), Format::kParquet,
                      {{{"k", Type::kInt64}, {"at", Type::kTimestamp}, {"s", Type::kString}}},
                      {{"1", "2020-01-01T00:00:00Z", "x"}, {"2", "NULL", "NULL"}}));
  Add("p", dir_.File("p.parquet"));
  const auto rows =
      Run("SELECT a.id, b.id AS other, p.at, p.s FROM trips a JOIN trips b ON b.id = a.id + 1 "
          "LEFT JOIN p ON p.k = a.id ORDER BY a.id");
  ASSERT_OK(rows);
  EXPECT_EQ(rows->cells, (Table{{"1", "2", "2020-01-01T00:00:00Z", "x"},
                                {"2", "3", "NULL", "NULL"},
                                {"3", "4", "NULL", "NULL"}}));
}

TEST_F(Sql, KeepsTheInputsOrder) {
  std::string csv = "n\n";
  for (int i = 0; i < 100'000; ++i) csv += std::to_string(i) + "\n";
  WriteText(dir_.File("n.csv"), csv);
  Add("n", dir_.File("n.csv"));
  const auto rows = Run("SELECT n FROM n WHERE n % 2 = 1");
  ASSERT_OK(rows);
  ASSERT_EQ(rows->cells.size(), 50'000u);
  for (size_t i = 0; i < rows->cells.size(); ++i)
    ASSERT_EQ(rows->cells[i][0], std::to_string(2 * i + 1));
}

TEST_F(Sql, OnlyOneSelect) {
  EXPECT_NE(Fails("SELECT 1; SELECT 2").find("2 statements"), std::string::npos);
  for (const char* query :
       {"CREATE TABLE x AS SELECT 1", "DROP VIEW trips", "SET threads=1", "ATTACH 'x.db'",
        "INSTALL httpfs", "EXPLAIN SELECT 1", "CALL pragma_version()"}) {
    EXPECT_NE(Fails(query).find("not a SELECT"), std::string::npos)
        << query << ": " << Fails(query);
  }
  EXPECT_NE(Fails("COPY trips TO '/tmp/x.csv'"), "ok");
  EXPECT_NE(Fails("INSERT INTO trips VALUES (1)"), "ok");
  EXPECT_NE(Fails("").find("empty"), std::string::npos);
  EXPECT_NE(Fails("SELECT $1").find("parameters"), std::string::npos);
  EXPECT_NE(Fails("SELECT 1) TO '/tmp/slipway-escape.csv'; --").find("syntax error"),
            std::string::npos);
  EXPECT_NE(Fails("SELECT 1 AS a, 2 AS A").find("two columns named 'A'"), std::string::npos);
}

TEST_F(Sql, ReadsNothingElse) {
  WriteText(dir_.File("secret.csv"), "a\n1\n");
  for (const std::string& from :
       {std::string("read_csv('") + dir_.File("secret.csv") + "')",
        "'" + dir_.File("secret.csv") + "'", std::string("read_text('/etc/passwd')"),
        std::string("glob('/*')"),
        std::string("read_csv('") + dir_.File("tmp/../secret.csv") + "')"}) {
    const std::string message = Fails("SELECT * FROM " + from);
    EXPECT_TRUE(message.find("annot access") != std::string::npos ||
                message.find("does not exist") != std::string::npos)
        << message;
  }
}

TEST_F(Sql, ErrorsSayWhere) {
  const std::string message = Fails("SELECT id,\n  fair\nFROM trips");
  EXPECT_NE(message.find("LINE 2"), std::string::npos) << message;
  EXPECT_NE(message.find("fare"), std::string::npos) << message;
  EXPECT_NE(Fails("SELECT * FROM trip").find("the query's inputs are 'trips' and 'zones'"),
            std::string::npos);
  EXPECT_NE(Fails("SELECT CAST(zone AS INTEGER) AS z FROM trips").find("ould not convert"),
            std::string::npos);
}

TEST_F(Sql, ABadRowNamesItsFileAndLineUnlessItIsSkipped) {
  WriteText(dir_.File("bad.csv"), "a\n1\n2\n");
  Add("bad", dir_.File("bad.csv"));
  WriteText(dir_.File("bad.csv"), "a\n1\nx\n3\n");
  const std::string message = Fails("SELECT * FROM bad");
  EXPECT_NE(message.find("bad.csv:3: column 'a'"), std::string::npos) << message;
  task_.inputs.back().second.on_bad_rows = OnBadRows::kSkip;
  const auto rows = Run("SELECT * FROM bad");
  ASSERT_OK(rows);
  EXPECT_EQ(rows->cells, (Table{{"1"}, {"3"}}));
}

TEST_F(Sql, CanBeInterrupted) {
  std::atomic<bool> cancel{true};
  task_.cancel = &cancel;
  task_.query =
      "SELECT count(*) AS n FROM range(10000000000) a, range(1000) b WHERE a.range % 7 = b.range";
  const auto outcome = RunSql(task_);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, ErrorCode::kCancelled);
}

TEST_F(Sql, SpillsToItsFolderAndLeavesNothing) {
  task_.memory_limit = 64 << 20;
  task_.query =
      "SELECT range AS n, (hash(range) % 1000003)::BIGINT AS h FROM range(6000000) ORDER BY h";
  double last = -2;
  task_.progress = [&](double part) { last = part; };
  const auto outcome = RunSql(task_);
  ASSERT_OK(outcome);
  EXPECT_EQ(outcome->rows, 6000000);
  EXPECT_EQ(last, 1);
  EXPECT_EQ(ListDir(dir_.path()).value(),
            (std::vector<std::string>{"out.parquet", "tmp", "trips.csv", "zones.jsonl"}));
}

}  // namespace
}  // namespace slipway
