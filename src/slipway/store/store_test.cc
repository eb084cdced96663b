#include <csignal>
#include <fstream>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slipway/base/file.h"
#include "slipway/store/sqlite.h"

namespace slipway {
namespace {

class Sqlite : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDir::Make();
    ASSERT_TRUE(made.ok());
    dir_ = std::move(made).value();
    path_ = dir_.File("a.db");
    auto opened = OpenSqlite(path_, SqliteMode::kCreate);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    database_ = std::move(opened).value();
    ASSERT_TRUE(
        database_->ExecuteScript("CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT) STRICT").ok());
  }
  int64_t Count() {
    auto rows = database_->Query("SELECT count(*) FROM t");
    return rows.ok() ? (*rows)[0].Int(0) : -1;
  }
  Status Insert(int64_t k) {
    auto done = database_->Execute("INSERT INTO t VALUES (?, ?)", {k, std::string("x")});
    if (!done.ok()) return done.error();
    return {};
  }

  TempDir dir_;
  std::string path_;
  std::unique_ptr<Database> database_;
};

TEST_F(Sqlite, ValuesOfEveryKindReadBack) {
  const std::string text("a\0b", 3);
  auto rows =
      database_->Query("SELECT ?, ?, ?, ?, ?", {SqlValue(), int64_t{-7}, 0.1, text, SqlText("")});
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  EXPECT_TRUE((*rows)[0].IsNull(0));
  EXPECT_EQ((*rows)[0].Int(1), -7);
  EXPECT_EQ((*rows)[0].Double(2), 0.1);
  EXPECT_EQ((*rows)[0].Text(3), text);
  EXPECT_FALSE((*rows)[0].IsNull(4));
  EXPECT_EQ((*rows)[0].Text(4), "");
  EXPECT_EQ((*rows)[0].OptionalInt(0), std::nullopt);
}

TEST_F(Sqlite, TheSettingsAreTheDurableOnes) {
  EXPECT_EQ((*database_->Query("PRAGMA journal_mode"))[0].Text(0), "delete");
  EXPECT_GE((*database_->Query("PRAGMA synchronous"))[0].Int(0), 2);  // FULL or more
  EXPECT_EQ((*database_->Query("PRAGMA foreign_keys"))[0].Int(0), 1);
  EXPECT_EQ((*database_->Query("PRAGMA trusted_schema"))[0].Int(0), 0);
  EXPECT_EQ((*database_->Query("PRAGMA busy_timeout"))[0].Int(0), 5000);
  // Defensive: the schema table cannot be written.
  EXPECT_FALSE(
      database_->ExecuteScript("PRAGMA writable_schema=ON; DELETE FROM sqlite_master").ok());
  // 3.7.0 to 3.51.2 have the WAL-reset bug; 3.52.0 was withdrawn.
  EXPECT_GE(SqliteVersion(), "3.53");
}

TEST_F(Sqlite, AnOuterRollbackDropsCommittedInnerPartsAndTheirActions) {
  bool ran = false;
  {
    auto outer = Transaction::Begin(*database_);
    auto inner = Transaction::Begin(*database_);
    ASSERT_TRUE(Insert(1).ok());
    inner->AfterCommit([&] { ran = true; });
    ASSERT_TRUE(inner->Commit().ok());
  }
  EXPECT_EQ(Count(), 0);
  auto later = Transaction::Begin(*database_);
  ASSERT_TRUE(later->Commit().ok());
  EXPECT_FALSE(ran);
}

TEST_F(Sqlite, EachKindOfFailureHasItsCode) {
  EXPECT_EQ(database_->Execute("SELECT ?").error().code, ErrorCode::kInternal);
  auto missing = OpenSqlite(dir_.File("no.db"), SqliteMode::kReadWrite);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message, testing::HasSubstr("no.db"));
  std::ofstream(dir_.File("garbage.db")) << std::string(5000, 'x');
  auto garbage = OpenSqlite(dir_.File("garbage.db"), SqliteMode::kReadWrite);
  ASSERT_FALSE(garbage.ok());
  EXPECT_EQ(garbage.error().code, ErrorCode::kCorruption);
  EXPECT_THAT(garbage.error().message, testing::HasSubstr("garbage.db"));
}

TEST_F(Sqlite, ReadingRefusesWrites) {
  auto reader = OpenSqlite(path_, SqliteMode::kReadOnly);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->Execute("INSERT INTO t VALUES (1, 'a')").error().code,
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(Count(), 0);
}

TEST_F(Sqlite, ACopyIsOfOneMomentAndHasEveryRow) {
  {
    auto filling = Transaction::Begin(*database_);
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(Insert(i).ok());
    ASSERT_TRUE(filling->Commit().ok());
  }
  auto transaction = Transaction::Begin(*database_);
  ASSERT_TRUE(Insert(999).ok());
  ASSERT_TRUE(CopySqlite(path_, dir_.File("copy.db")).ok()) << "while another writes";
  ASSERT_TRUE(transaction->Commit().ok());
  auto copy = *OpenSqlite(dir_.File("copy.db"), SqliteMode::kReadOnly);
  EXPECT_EQ((*copy->Query("SELECT count(*) FROM t"))[0].Int(0), 500);
  EXPECT_EQ(CopySqlite(dir_.File("none.db"), dir_.File("x.db")).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(PathExists(dir_.File("x.db")));
}

TEST_F(Sqlite, ADamagedPageIsFoundByTheCheck) {
  auto transaction = Transaction::Begin(*database_);
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(Insert(i).ok());
  ASSERT_TRUE(transaction->Commit().ok());
  EXPECT_TRUE(database_->CheckIntegrity()->empty());
  database_.reset();
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);
  file << std::string(3000, '\x7f');
  file.close();
  auto opened = OpenSqlite(path_, SqliteMode::kReadWrite);
  ASSERT_TRUE(opened.ok());
  auto findings = (*opened)->CheckIntegrity();
  ASSERT_TRUE(findings.ok()) << findings.error().message;
  EXPECT_FALSE(findings->empty());
}

// Runs `body` in a child process; its exit code. No test state may be changed by it.
int InChild(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

TEST_F(Sqlite, AFolderThatMayNotBeWrittenIsSaid) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root to become another user";
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
  EXPECT_EQ(InChild([&] {
              if (::setuid(65534) != 0) return 50;
              auto opened = OpenSqlite(path_, SqliteMode::kReadWrite);
              if (opened.ok()) return 51;
              if (opened.error().code != ErrorCode::kPermissionDenied) return 52;
              if (opened.error().message.find(path_) == std::string::npos) return 53;
              return OpenSqlite(path_, SqliteMode::kReadOnly).ok() ? 0 : 54;
            }),
            0);
}

TEST_F(Sqlite, AFullDiskIsACleanErrorAndNothingChanges) {
  database_.reset();
  EXPECT_EQ(InChild([&] {
              ::signal(SIGXFSZ, SIG_IGN);
              auto opened = OpenSqlite(path_, SqliteMode::kReadWrite);
              if (!opened.ok()) return 50;
              const rlimit limit{64 << 10, 64 << 10};
              if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 51;
              Database& database = **opened;
              int64_t committed = 0;
              for (int64_t i = 0; i < 100; ++i) {
                auto transaction = Transaction::Begin(database);
                if (!transaction.ok()) return 52;
                auto done =
                    database.Execute("INSERT INTO t VALUES (?, ?)", {i, std::string(3000, 'x')});
                Status status = done.ok() ? transaction->Commit() : Status(done.error());
                if (status.ok()) {
                  ++committed;
                  continue;
                }
                if (status.error().code != ErrorCode::kUnavailable) return 53;
                if (status.error().message.find("no space") == std::string::npos) return 54;
                break;
              }
              auto rows = database.Query("SELECT count(*) FROM t");
              if (!rows.ok()) return 55;
              return committed > 3 && committed < 100 && (*rows)[0].Int(0) == committed ? 0 : 56;
            }),
            0);
  auto again = OpenSqlite(path_, SqliteMode::kReadWrite);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE((*again)->CheckIntegrity()->empty());
}

TEST_F(Sqlite, AfterAFailureInsideATransactionNothingRunsOutsideIt) {
  database_.reset();
  EXPECT_EQ(InChild([&] {
              ::signal(SIGXFSZ, SIG_IGN);
              auto opened = OpenSqlite(path_, SqliteMode::kReadWrite);
              if (!opened.ok()) return 50;
              const rlimit limit{24 << 10, 24 << 10};
              if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 51;
              Database& database = **opened;
              {
                auto transaction = Transaction::Begin(database);
                if (!transaction.ok()) return 52;
                bool failed = false;
                // Far more than the cache holds, so that it spills while the transaction is open.
                for (int64_t i = 0; i < 2000; ++i) {
                  auto done =
                      database.Execute("INSERT INTO t VALUES (?, ?)", {i, std::string(20000, 'x')});
                  failed = failed || !done.ok();
                  if (failed && done.ok()) return 53;
                }
                if (!failed) return 54;
                if (transaction->Commit().ok()) return 55;
              }
              return (*database.Query("SELECT count(*) FROM t"))[0].Int(0) == 0 ? 0 : 56;
            }),
            0);
}

}  // namespace
}  // namespace slipway
