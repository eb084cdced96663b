// Which registry belongs to which home, and that both databases have the same schema.
#include "slipway/registry/home_database.h"

#include "slipway/registry/schema.h"
#include "slipway/registry/test_home.h"
#include "slipway/store/migrations.h"
#include "slipway/store/postgres.h"
#include "slipway/store/sqlite.h"

namespace slipway {
namespace {

using testing::HasSubstr;
using testing::Not;

// The environment of one test.
struct WithRegistry {
  explicit WithRegistry(const std::string& url) { ::setenv("SLIPWAY_REGISTRY", url.c_str(), 1); }
  ~WithRegistry() { ::unsetenv("SLIPWAY_REGISTRY"); }
};

TEST(HomeRegistry, AnotherHomesMetadataIsRefused) {
  const TestHome one, two;
  ASSERT_TRUE(one.ok && two.ok);
  if (OnPostgres()) {
    const WithRegistry wrong(one.registry);
    auto refused = Registry::OpenForWriting(two.path, "x");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
    EXPECT_THAT(refused.error().message, HasSubstr("another home"));
    TempDir dir = *TempDir::Make();
    EXPECT_EQ(InitHome(dir.File("third"), one.registry).error().code, ErrorCode::kConflict);
    EXPECT_FALSE(PathExists(dir.File("third/home.json")));
  } else {
    ASSERT_TRUE(CopySqlite(JoinPath(one.path, "registry.db"), JoinPath(two.path, "other.db")).ok());
    ASSERT_EQ(
        ::rename(JoinPath(two.path, "other.db").c_str(), JoinPath(two.path, "registry.db").c_str()),
        0);
    EXPECT_EQ(Registry::OpenForReading(two.path).error().code, ErrorCode::kConflict);
    EXPECT_EQ(Registry::OpenForWriting(two.path, "x").error().code, ErrorCode::kConflict);
  }
}

TEST(HomeRegistry, AHomeWithItsOwnFileIsNotTakenElsewhere) {
  if (OnPostgres()) GTEST_SKIP() << "is about registry.db";
  const TestHome home;
  const WithRegistry other("postgresql://h/d");
  auto refused = Registry::OpenForReading(home.path);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_THAT(refused.error().hint, HasSubstr("SLIPWAY_REGISTRY"));
}

TEST(HomeRegistry, AHomeOlderThanItsIdOpensAsEver) {
  if (OnPostgres()) GTEST_SKIP() << "such homes have a registry.db";
  const TestHome home;
  std::ofstream(JoinPath(home.path, "home.json"))
      << R"({"format":1,"created":"2026-11-01T00:00:00Z"})";
  EXPECT_TRUE(Registry::OpenForWriting(home.path, "x").ok());
}

TEST(HomeRegistry, TheUrlIsRememberedWithoutItsPasswordAndTheEnvironmentHasIt) {
  if (!OnPostgres()) GTEST_SKIP() << "is about URLs";
  TempDir dir = *TempDir::Make();
  std::string url = PostgresServer::Shared()->NewUrl();
  url.replace(0, std::string("postgresql://slipway@").size(), "postgresql://slipway:hunter2@");
  ASSERT_TRUE(InitHome(dir.File("h"), url).ok());
  const std::string text = *ReadFile(dir.File("h/home.json"));
  EXPECT_THAT(text, Not(HasSubstr("hunter2")));
  EXPECT_THAT(text, HasSubstr("postgresql://slipway@/postgres?host="));
  const WithRegistry with_password(url);
  EXPECT_TRUE(Registry::OpenForWriting(dir.File("h"), "x").ok());
  EXPECT_THAT(Home::Open(dir.File("h"))->RegistryName(), Not(HasSubstr("hunter2")));
}

TEST(HomeRegistry, AnInterruptedInitIsCompletedByTheNext) {
  const TestHome home;
  // As if it had been ended before home.json: the registry has the id that init.json has.
  const std::string id = Home::Open(home.path)->id();
  ASSERT_EQ(::unlink(JoinPath(home.path, "home.json").c_str()), 0);
  std::ofstream(JoinPath(home.path, "init.json")) << "{\"id\": \"" << id << "\"}";
  EXPECT_TRUE(*InitHome(home.path, home.registry));
  EXPECT_EQ(Home::Open(home.path)->id(), id);
  EXPECT_FALSE(PathExists(JoinPath(home.path, "init.json")));
  EXPECT_TRUE(Registry::OpenForWriting(home.path, "x").ok());
}

// "table.column" and "trigger name".
std::set<std::string> Shape(Database& database) {
  std::set<std::string> shape;
  const auto tables = *database.TableNames();
  for (const std::string& table : tables) {
    const auto columns =
        database.dialect() == SqlDialect::kSqlite
            ? *database.Query("SELECT name, \"notnull\" OR pk > 0 FROM pragma_table_info(?)",
                              {SqlText(table)})
            : *database.Query(
                  "SELECT column_name::text, is_nullable = 'NO' FROM information_schema.columns "
                  "WHERE table_schema = current_schema() AND table_name = ?",
                  {SqlText(table)});
    for (const SqlRow& row : columns)
      shape.insert(table + "." + row.Text(0) + (row.Int(1) != 0 ? "" : " NULL"));
  }
  for (const SqlRow& row :
       *database.Query(database.dialect() == SqlDialect::kSqlite
                           ? "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                           : "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal AND "
                             "tgrelid IN (SELECT oid FROM "
                             "pg_class WHERE relnamespace = current_schema()::regnamespace)"))
    shape.insert("trigger " + row.Text(0));
  return shape;
}

TEST(HomeRegistry, BothDatabasesHaveTheSameTablesColumnsAndTriggers) {
  if (!OnPostgres()) GTEST_SKIP() << "compares both";
  const TestHome home;
  TempDir dir = *TempDir::Make();
  auto sqlite = *OpenSqlite(dir.File("a.db"), OpenMode::kCreate);
  ASSERT_TRUE(Migrate(*sqlite, RegistrySchema(), "a").ok());
  auto postgres = *OpenPostgres(home.registry, OpenMode::kReadOnly);
  EXPECT_EQ(Shape(*sqlite), Shape(*postgres));
}

}  // namespace
}  // namespace slipway
