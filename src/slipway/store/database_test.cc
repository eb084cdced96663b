// What database.h promises, on each database alike.
#include "slipway/store/database.h"

#include <thread>

#include "slipway/base/file.h"
#include "slipway/store/migrations.h"
#include "slipway/store/postgres.h"
#include "slipway/store/postgres_testing.h"
#include "slipway/store/sql_dialect.h"
#include "slipway/store/sqlite.h"

namespace slipway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DatabaseTest : public testing::TestWithParam<SqlDialect> {
 protected:
  void SetUp() override {
    if (GetParam() == SqlDialect::kPostgres) {
      if (PostgresServer::Shared() == nullptr) GTEST_SKIP() << PostgresServer::why();
      url_ = PostgresServer::Shared()->NewUrl();
    }
    auto made = TempDir::Make();
    ASSERT_TRUE(made.ok());
    dir_ = std::move(made).value();
    database_ = Open(OpenMode::kCreate);
    ASSERT_TRUE(database_
                    ->ExecuteScript(ScriptFor(GetParam(),
                                              "CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT, "
                                              "n REAL, UNIQUE(v)) STRICT"))
                    .ok());
  }
  std::unique_ptr<Database> Open(OpenMode mode) {
    auto opened = GetParam() == SqlDialect::kSqlite ? OpenSqlite(dir_.File("a.db"), mode)
                                                    : OpenPostgres(url_, mode);
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    return opened.ok() ? *std::move(opened) : nullptr;
  }
  int64_t Count() {
    auto rows = database_->Query("SELECT count(*) FROM t");
    return rows.ok() ? (*rows)[0].Int(0) : -1;
  }
  Status Insert(int64_t k) { return InsertInto(*database_, k); }
  static Status InsertInto(Database& database, int64_t k) {
    auto done = database.Execute("INSERT INTO t(k, v) VALUES (?, ?)", {k, std::to_string(k)});
    if (!done.ok()) return done.error();
    return {};
  }

  TempDir dir_;
  std::string url_;
  std::unique_ptr<Database> database_;
};

INSTANTIATE_TEST_SUITE_P(Both, DatabaseTest,
                         testing::Values(SqlDialect::kSqlite, SqlDialect::kPostgres),
                         [](const auto& one) {
                           return one.param == SqlDialect::kSqlite ? "Sqlite" : "Postgres";
                         });

TEST_P(DatabaseTest, ValuesOfEveryKindReadBack) {
  const std::string text = "it's \"ä\" ? \\ $1\n\t--x";
  ASSERT_TRUE(
      database_->Execute("INSERT INTO t(k, v, n) VALUES (?, ?, ?)", {int64_t{-7}, text, 0.1}).ok());
  ASSERT_TRUE(database_
                  ->Execute("INSERT INTO t(k, v, n) VALUES (?, ?, ?)",
                            {int64_t{1} << 62, SqlValue(), 1e300})
                  .ok());
  ASSERT_TRUE(database_
                  ->Execute("INSERT INTO t(k, v, n) VALUES (?, ?, ?)",
                            {int64_t{3}, SqlText(""), SqlValue()})
                  .ok());
  const auto rows = *database_->Query("SELECT k, v, n, 'a ? b', v IS NULL FROM t ORDER BY k");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].Int(0), -7);
  EXPECT_EQ(rows[0].Text(1), text);
  EXPECT_EQ(rows[0].Double(2), 0.1);
  EXPECT_EQ(rows[0].Text(3), "a ? b");
  EXPECT_EQ(rows[0].Int(4), 0);
  EXPECT_TRUE(rows[1].IsNull(2));
  EXPECT_FALSE(rows[1].IsNull(1));
  EXPECT_EQ(rows[2].Int(0), int64_t{1} << 62);
  EXPECT_EQ(rows[2].Double(2), 1e300);
  EXPECT_EQ(rows[2].Int(4), 1);
  const auto sums = *database_->Query("SELECT sum(k) - ?, count(*), max(v) FROM t", {int64_t{1}});
  EXPECT_EQ(sums[0].Int(0), (int64_t{1} << 62) - 5);
  EXPECT_EQ(sums[0].Int(1), 3);
}

TEST_P(DatabaseTest, TextsComeInTheOrderOfTheirBytes) {
  int64_t k = 0;
  for (const char* v : {"b", "B", "a_", "aZ", "é", "a"})
    ASSERT_TRUE(database_->Execute("INSERT INTO t(k, v) VALUES (?, ?)", {++k, SqlText(v)}).ok());
  std::string order;
  for (const SqlRow& row : *database_->Query("SELECT v FROM t ORDER BY v"))
    order += row.Text(0) + " ";
  EXPECT_EQ(order, "B a aZ a_ b é ");
}

TEST_P(DatabaseTest, ChangesTellHowManyRowsAndReturnThem) {
  for (int64_t k = 1; k <= 5; ++k) ASSERT_TRUE(Insert(k).ok());
  EXPECT_EQ(*database_->Execute("UPDATE t SET n = 1 WHERE k > ?", {int64_t{2}}), 3);
  EXPECT_EQ(*database_->Execute("DELETE FROM t WHERE k > ?", {int64_t{9}}), 0);
  const auto made = *database_->Query(
      "INSERT INTO t(v) VALUES (?) ON CONFLICT(v) DO UPDATE SET n = 7 RETURNING k, n",
      {SqlText("5")});
  ASSERT_EQ(made.size(), 1u);
  EXPECT_EQ(made[0].Int(0), 5);
  EXPECT_EQ(made[0].Double(1), 7);
}

TEST_P(DatabaseTest, ATransactionNotCommittedLeavesNothing) {
  {
    auto transaction = Transaction::Begin(*database_);
    ASSERT_TRUE(transaction.ok());
    ASSERT_TRUE(Insert(1).ok());
  }
  EXPECT_EQ(Count(), 0);
  auto transaction = Transaction::Begin(*database_);
  ASSERT_TRUE(Insert(2).ok());
  ASSERT_TRUE(transaction->Commit().ok());
  EXPECT_EQ(Count(), 1);
  EXPECT_EQ(transaction->Commit().error().code, ErrorCode::kInternal);
}

TEST_P(DatabaseTest, AnInnerRollbackUndoesTheInnerPartOnly) {
  std::vector<int> ran;
  {
    auto outer = Transaction::Begin(*database_);
    ASSERT_TRUE(Insert(1).ok());
    {
      auto inner = Transaction::Begin(*database_);
      ASSERT_TRUE(inner.ok());
      ASSERT_TRUE(Insert(2).ok());
      inner->AfterCommit([&] { ran.push_back(2); });
    }
    {
      auto inner = Transaction::Begin(*database_);
      ASSERT_TRUE(Insert(3).ok());
      inner->AfterCommit([&] { ran.push_back(3); });
      ASSERT_TRUE(inner->Commit().ok());
      EXPECT_TRUE(ran.empty()) << "the outermost commit has not happened";
    }
    ASSERT_TRUE(outer->Commit().ok());
  }
  EXPECT_THAT(ran, ElementsAre(3));
  auto rows = database_->Query("SELECT k FROM t ORDER BY k");
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[1].Int(0), 3);
}

TEST_P(DatabaseTest, ARefusedStatementEndsNeitherItsTransactionNorWhatWasDoneBefore) {
  auto outer = Transaction::Begin(*database_);
  ASSERT_TRUE(Insert(1).ok());
  EXPECT_EQ(Insert(1).error().code, ErrorCode::kConflict);
  auto inner = Transaction::Begin(*database_);
  ASSERT_TRUE(Insert(2).ok());
  EXPECT_EQ(Insert(2).error().code, ErrorCode::kConflict);
  ASSERT_TRUE(inner->Commit().ok());
  ASSERT_TRUE(Insert(3).ok());
  ASSERT_TRUE(outer->Commit().ok());
  EXPECT_EQ(Count(), 3);
}

TEST_P(DatabaseTest, ThreadsShareOneDatabase) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 10; ++i) {
        auto transaction = Transaction::Begin(*database_);
        ASSERT_TRUE(transaction.ok());
        ASSERT_TRUE(Insert(t * 100 + i).ok());
        ASSERT_TRUE(transaction->Commit().ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Count(), 40);
}

TEST_P(DatabaseTest, WritersOfSeveralConnectionsTakeTurnsAndSeeWhatWasCommitted) {
  ASSERT_TRUE(Insert(0).ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this] {
      auto mine = Open(OpenMode::kReadWrite);
      for (int i = 0; i < 10; ++i) {
        auto transaction = Transaction::Begin(*mine);
        ASSERT_TRUE(transaction.ok()) << transaction.error().message;
        // Read, then write: two at once would give the same number twice.
        const int64_t next = (*mine->Query("SELECT max(k) FROM t"))[0].Int(0) + 1;
        ASSERT_TRUE(InsertInto(*mine, next).ok()) << next;
        ASSERT_TRUE(transaction->Commit().ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ((*database_->Query("SELECT max(k) FROM t"))[0].Int(0), 40);
}

TEST_P(DatabaseTest, AWriterThatFindsTheDatabaseHeldIsToldSo) {
  auto other = Open(OpenMode::kReadWrite);
  auto held = Transaction::Begin(*other);
  ASSERT_TRUE(InsertInto(*other, 1).ok());
  EXPECT_EQ(Count(), 0) << "reading goes on, and sees what is committed";
  const Status refused = Insert(2);  // after 5 s
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("is busy: another process is writing to it"));
  ASSERT_TRUE(held->Commit().ok());
  EXPECT_TRUE(Insert(2).ok());
}

TEST_P(DatabaseTest, EachKindOfFailureHasItsCode) {
  ASSERT_TRUE(Insert(1).ok());
  EXPECT_EQ(Insert(1).error().code, ErrorCode::kConflict);
  EXPECT_EQ(database_->Execute("SELEC 1").error().code, ErrorCode::kInternal);
  EXPECT_EQ(database_->Execute("SELECT 1; SELECT 2").error().code, ErrorCode::kInternal);
  EXPECT_EQ(database_->Execute("SELECT k FROM t WHERE k = ?").error().code, ErrorCode::kInternal);
  EXPECT_EQ(database_->Query("SELECT x FROM t").error().code, ErrorCode::kInternal);
  auto reader = Open(OpenMode::kReadOnly);
  EXPECT_EQ(InsertInto(*reader, 5).error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(Count(), 1);
  EXPECT_THAT(*database_->TableNames(), ElementsAre("t"));
  EXPECT_TRUE(database_->CheckIntegrity()->empty());
}

constexpr Migration kSteps[] = {
    {"first",
     "CREATE TABLE a(x INTEGER);\n--@ sqlite\nCREATE TABLE b(y TEXT);\n"
     "--@ postgres\nCREATE TABLE b(y TEXT, CHECK(length(y) > 0));\n--@ both\n"},
    {"second", "ALTER TABLE a ADD COLUMN z TEXT; -- TEXT\n"}};

TEST_P(DatabaseTest, MigrationsAreAppliedOnceInOrderAndWhole) {
  ASSERT_TRUE(database_->ExecuteScript("DROP TABLE t").ok());
  const std::span<const Migration> all(kSteps);
  EXPECT_EQ(*SchemaVersion(*database_), 0);
  std::vector<int> before;
  const auto remember = [&](int version) -> Status {
    before.push_back(version);
    return {};
  };
  ASSERT_TRUE(Migrate(*database_, all.first(1), "home", remember).ok());
  EXPECT_TRUE(before.empty()) << "a new database needs no copy";
  ASSERT_TRUE(database_->Execute("INSERT INTO a VALUES (5)").ok());
  const Migration broken[] = {kSteps[0],
                              {"bad", "CREATE TABLE c(x INTEGER); CREATE TABLE a(x INTEGER);"}};
  const Status failed = Migrate(*database_, broken, "home");
  EXPECT_THAT(failed.error().message, HasSubstr("schema step 'bad'"));
  EXPECT_THAT(*database_->TableNames(), ElementsAre("a", "b", "schema_history"));
  EXPECT_EQ(Migrate(*database_, all, "home", [](int) -> Status { return Unavailable("full"); })
                .error()
                .message,
            "full");
  EXPECT_FALSE(*IsMigrated(*database_, all, "home"));
  ASSERT_TRUE(Migrate(*database_, all, "home", remember).ok());
  ASSERT_TRUE(Migrate(*database_, all, "home", remember).ok());
  EXPECT_THAT(before, ElementsAre(1));
  EXPECT_EQ((*database_->Query("SELECT x, z FROM a"))[0].Int(0), 5);
  EXPECT_THAT(Migrate(*database_, all.first(1), "home '/h'").error().message,
              HasSubstr("home '/h' was made by a newer Slipway"));
}

TEST_P(DatabaseTest, AForeignDatabaseIsNotMigrated) {
  EXPECT_EQ(Migrate(*database_, kSteps, "home").error().code, ErrorCode::kCorruption);
}

}  // namespace
}  // namespace slipway
