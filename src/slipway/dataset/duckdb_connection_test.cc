// The engine's door: what a connection may and may not touch.
#include "slipway/dataset/duckdb_connection.h"

#include "slipway/dataset/dataset_testing.h"

namespace slipway {
namespace {

class Lockdown : public testing::Test {
 protected:
  void SetUp() override {
    inside_ = dir_.File("inside.csv");
    outside_ = dir_.File("outside.csv");
    WriteText(inside_, "a\n1\n");
    WriteText(outside_, "a\n2\n");
    EngineOptions options;
    options.files = {inside_, dir_.File("out.parquet")};
    auto opened = DuckConnection::Open(options);
    ASSERT_OK(opened);
    connection_ = std::move(opened).value();
  }
  void Refused(const std::string& sql) { EXPECT_FALSE(connection_->Query(sql).ok()) << sql; }

  TempDir dir_ = TempDir::Make().value();
  std::string inside_, outside_;
  std::unique_ptr<DuckConnection> connection_;
};

TEST_F(Lockdown, ReadsAndWritesOnlyTheNamedFiles) {
  EXPECT_EQ(connection_->QueryInt("SELECT a FROM read_csv(" + SqlPath(inside_) + ")").value(), 1);
  ASSERT_OK(connection_->Query("COPY (SELECT 1 a) TO " + QuotedSqlText(dir_.File("out.parquet")) +
                               " (USE_TMP_FILE false)"));
  Refused("SELECT * FROM read_csv(" + SqlPath(outside_) + ")");
  Refused("SELECT * FROM read_csv(" + SqlPath(dir_.File("*.csv")) + ")");
  Refused("SELECT * FROM read_text('/etc/passwd')");
  Refused("SELECT * FROM glob('/etc/*')");
  Refused("SELECT * FROM '" + outside_ + "'");
  Refused("COPY (SELECT 1) TO " + QuotedSqlText(dir_.File("other.parquet")));
}

TEST_F(Lockdown, DotDotDoesNotLeadOut) {
  ASSERT_OK(MakeDirs(dir_.File("sub")));
  Refused("SELECT * FROM read_csv(" + QuotedSqlText(inside_ + "/../outside.csv") + ")");
  Refused("SELECT * FROM read_csv(" + QuotedSqlText(dir_.File("sub/../outside.csv")) + ")");
}

TEST_F(Lockdown, AttachLoadInstallAndSettingsAreRefused) {
  Refused("ATTACH " + QuotedSqlText(dir_.File("x.db")));
  Refused("INSTALL httpfs");
  Refused("LOAD httpfs");
  Refused("LOAD " + QuotedSqlText(dir_.File("x.duckdb_extension")));
  Refused("SET enable_external_access=true");
  Refused("SET lock_configuration=false");
  Refused("SET memory_limit='64GB'");
  Refused("SET temp_directory='/'");
  Refused("EXPORT DATABASE " + QuotedSqlText(dir_.File("dump")));
  Refused("SELECT * FROM read_csv('http://127.0.0.1:1/a.csv')");
}

TEST_F(Lockdown, NoFileAtAllWhenNoneIsNamed) {
  auto bare = DuckConnection::Open({});
  ASSERT_OK(bare);
  EXPECT_EQ((*bare)->QueryInt("SELECT 42::BIGINT").value(), 42);
  EXPECT_FALSE((*bare)->Query("SELECT * FROM read_csv(" + SqlPath(inside_) + ")").ok());
}

TEST(DuckConnection, PathsWithGlobCharactersNameOneFile) {
  TempDir dir = TempDir::Make().value();
  const std::string path = dir.File("a[1]*?.parquet");
  const Schema schema{{{"x", Type::kInt64}}};
  ASSERT_OK(WriteRows(path, Format::kParquet, schema, {{"7"}}));
  ASSERT_OK(WriteRows(dir.File("a1b.parquet"), Format::kParquet, schema, {{"8"}}));
  const auto read = ReadPath(path);
  ASSERT_OK(read);
  EXPECT_EQ(read->cells, (std::vector<std::vector<std::string>>{{"7"}}));
}

TEST(DuckConnection, MemoryLimitHolds) {
  EngineOptions options;
  options.memory_limit = 32 << 20;
  auto connection = DuckConnection::Open(options);
  ASSERT_OK(connection);
  const auto result = (*connection)->Query("SELECT list(range) FROM range(50000000)");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
}

TEST(TranslateDuckError, KeepsTheLineAndDropsTheKind) {
  const Error error =
      TranslateDuckError("Binder Error: Referenced column \"x\" not found\n\nLINE 1: SELECT x\n");
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(error.message, "referenced column \"x\" not found\n\nLINE 1: SELECT x\n");
  EXPECT_EQ(
      TranslateDuckError("IO Error: Could not write file \"a\": No space left on device").code,
      ErrorCode::kUnavailable);
  EXPECT_EQ(TranslateDuckError("INTERRUPT Error: Interrupted!").code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace slipway
