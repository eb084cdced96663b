#include "slipway/registry/packages.h"

#include "slipway/registry/registry.h"
#include "slipway/registry/schema.h"
#include "slipway/registry/test_home.h"
#include "slipway/store/migrations.h"
#include "slipway/store/postgres.h"
#include "slipway/store/sqlite.h"

namespace slipway {
namespace {

using testing::HasSubstr;

class PackagesTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(home_.ok);
    auto opened = Registry::OpenForWriting(home_.path, "test");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    registry_ = *std::move(opened);
    ASSERT_TRUE(registry_->projects().Put("p", "{}", "ann").ok());
  }
  Packages& packages() { return registry_->packages(); }
  NewPackage Made(int64_t number, const std::string& content = "") {
    NewPackage package;
    package.project = "p";
    package.service = "fares";
    package.number = number;
    package.path = home_.File("zip", content.empty() ? "zip " + std::to_string(number) : content);
    package.content_hash = "c0ffee";
    package.definition_json = R"({"endpoints":{}})";
    package.summary_json = "{}";
    package.notes = "first";
    package.who = "ann";
    package.models = {{"price", "p", "fare", 2}, {"tip", "p", "tips", number}};
    return package;
  }
  TestHome home_;
  std::unique_ptr<Registry> registry_;
};

TEST_F(PackagesTest, APackageKeepsWhatItWasMadeFrom) {
  EXPECT_EQ(*packages().NextNumber("p", "fares"), 1);
  NewPackage made = Made(1);
  made.move_file = true;
  const auto added = packages().Add(made);
  ASSERT_TRUE(added.ok()) << added.error().message;
  EXPECT_FALSE(PathExists(made.path)) << "moved";
  EXPECT_EQ(added->number, 1);
  EXPECT_EQ(added->bytes, 5);
  EXPECT_EQ(added->notes, "first");
  EXPECT_EQ(added->created_by, "ann");
  ASSERT_EQ(added->models.size(), 2u);
  EXPECT_EQ(added->models[0].endpoint, "price");
  EXPECT_EQ(added->models[0].version, 2);
  EXPECT_EQ(*ReadFile(*packages().Path(*added)), "zip 1");
  EXPECT_EQ(packages().Get("p", "fares", 1)->blob, added->blob);
}

TEST_F(PackagesTest, NumbersNeverComeBack) {
  ASSERT_TRUE(packages().Add(Made(1)).ok());
  ASSERT_TRUE(packages().Add(Made(2)).ok());
  ASSERT_TRUE(packages().Delete("p", "fares", 2).ok());
  EXPECT_EQ(*packages().NextNumber("p", "fares"), 3);
  EXPECT_EQ((*packages().Latest("p", "fares"))->number, 1);
  const auto stale = packages().Add(Made(2));
  ASSERT_FALSE(stale.ok());
  EXPECT_EQ(stale.error().code, ErrorCode::kConflict);
  EXPECT_EQ(*packages().NextNumber("p", "fares"), 3) << "a refused number is not used up";
  ASSERT_TRUE(packages().Add(Made(3)).ok());
  EXPECT_EQ(packages().List("p", "fares")->size(), 2u);
  EXPECT_FALSE(packages().Latest("p", "other")->has_value());
}

TEST_F(PackagesTest, WhatDoesNotExistIsSaidWithWhatDoes) {
  auto none = packages().Get("p", "fares", 1);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(none.error().hint, HasSubstr("slipway service package p/fares"));
  ASSERT_TRUE(packages().Add(Made(1)).ok());
  ASSERT_TRUE(packages().Add(Made(2)).ok());
  auto wrong = packages().Get("p", "fares", 7);
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().hint, "it has v2, v1");
  EXPECT_FALSE(packages().Delete("p", "fares", 7).ok());
}

TEST_F(PackagesTest, AVersionKnowsThePackagesThatHoldIt) {
  ASSERT_TRUE(packages().Add(Made(1)).ok());
  ASSERT_TRUE(packages().Add(Made(2)).ok());
  EXPECT_EQ(packages().Holding("p", "fare", 2)->size(), 2u);
  ASSERT_EQ(packages().Holding("p", "tips", 2)->size(), 1u);
  EXPECT_EQ((*packages().Holding("p", "tips", 2))[0].number, 2);
  EXPECT_TRUE(packages().Holding("p", "fare", 9)->empty());
}

TEST_F(PackagesTest, TheZipLivesAsLongAsAPackageHasIt) {
  ASSERT_TRUE(packages().Add(Made(1, "same")).ok());
  ASSERT_TRUE(packages().Add(Made(2, "same")).ok());
  const std::string path = *packages().Path(*packages().Get("p", "fares", 1));
  ASSERT_TRUE(registry_->CollectGarbage(0).ok());
  EXPECT_TRUE(PathExists(path));
  ASSERT_TRUE(packages().Delete("p", "fares", 1).ok());
  ASSERT_TRUE(registry_->CollectGarbage(0).ok());
  EXPECT_TRUE(PathExists(path));
  ASSERT_TRUE(packages().Delete("p", "fares", 2).ok());
  ASSERT_TRUE(registry_->CollectGarbage(0).ok());
  EXPECT_FALSE(PathExists(path));
}

TEST_F(PackagesTest, AProjectWithPackagesGoesOnlyByForce) {
  ASSERT_TRUE(packages().Add(Made(1)).ok());
  auto refused = registry_->projects().Delete("p", false);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("services with packages: 'fares'"));
  ASSERT_TRUE(registry_->projects().Delete("p", true).ok());
  EXPECT_TRUE(packages().List("p")->empty());
  EXPECT_TRUE(registry_->CheckIntegrity(true)->empty());
}

// The home's registry without any table.
Result<std::unique_ptr<Database>> EmptyRegistry(const TestHome& home) {
  if (!OnPostgres()) {
    const std::string path = Home::Open(home.path)->DatabasePath();
    ::unlink(path.c_str());
    return OpenSqlite(path, OpenMode::kCreate);
  }
  ASSIGN_OR_RETURN(auto database, OpenPostgres(home.registry, OpenMode::kReadWrite));
  const std::string schema = home.registry.substr(home.registry.find("schema=") + 7);
  RETURN_IF_ERROR(
      database->ExecuteScript("DROP SCHEMA " + schema + " CASCADE; CREATE SCHEMA " + schema));
  return database;
}

TEST(PackagesOfAnOlderHome, TheTablesAreMadeWhenItIsOpened) {
  TestHome home;
  ASSERT_TRUE(home.ok);
  {
    auto database = EmptyRegistry(home);
    ASSERT_TRUE(database.ok()) << database.error().message;
    ASSERT_TRUE(Migrate(**database, RegistrySchema().first(1), "home").ok());
    ASSERT_FALSE(*IsMigrated(**database, RegistrySchema(), "home"));
    ASSERT_TRUE((*database)
                    ->Execute("INSERT INTO projects(name, definition, revision, etag, created_at, "
                              "created_by, updated_at, updated_by) VALUES ('old', '{}', 1, 'e', "
                              "'t', 'ann', 't', 'ann')")
                    .ok());
  }
  auto reading = Registry::OpenForReading(home.path);
  ASSERT_TRUE(reading.ok()) << reading.error().message;
  EXPECT_TRUE((*reading)->packages().List("old")->empty());
  EXPECT_EQ((*reading)->projects().Names()->size(), 1u);
  // What was there before is kept beside it, as a SQLite file whatever the registry is.
  auto before = OpenSqlite(JoinPath(home.path, "registry.db.v1"), OpenMode::kReadOnly);
  ASSERT_TRUE(before.ok()) << before.error().message;
  EXPECT_EQ(*SchemaVersion(**before), 1);
  EXPECT_EQ((*(*before)->Query("SELECT name FROM projects"))[0].Text(0), "old");
}

TEST(PackagesOfAnOlderHome, ItsJobsAreOnWhatTheyWorkedOn) {
  TestHome home;
  ASSERT_TRUE(home.ok);
  {
    auto database = EmptyRegistry(home);
    ASSERT_TRUE(Migrate(**database, RegistrySchema().first(6), "home").ok());
    ASSERT_TRUE((*database)
                    ->ExecuteScript(R"sql(
INSERT INTO published_services(name, project, created_at, created_by) VALUES ('s', 'p', 't', 'a');
INSERT INTO infras(name, type, stage, settings, created_at, created_by)
  VALUES ('dev', 'static', 'Test', '{}', 't', 'a');
INSERT INTO deployments(name, service, infra, desired, revision, state, reason, created_at,
    created_by, updated_at) VALUES ('live', 's', 'dev', '{}', 1, 'new', '', 't', 'a', 't');
INSERT INTO jobs(id, kind, project, targets, mode, status, who, created_at) VALUES
  (1, 'build', 'p', '["t","u"]', '', 'done', 'a', 't'),
  (2, 'package', 'p', '["s"]', '', 'done', 'a', 't'),
  (3, 'deploy', 'p', '["live"]', '', 'done', 'a', 't'),
  (4, 'deploy', 'p', '["gone"]', '', 'done', 'a', 't');
)sql")
                    .ok());
  }
  auto registry = Registry::OpenForReading(home.path);
  ASSERT_TRUE(registry.ok()) << registry.error().message;
  std::vector<std::string> scopes;
  for (const JobRecord& job : *(*registry)->jobs().List()) scopes.push_back(job.scope);
  EXPECT_EQ(scopes,
            (std::vector<std::string>{"project:p", "infra:dev", "service:p/s", "project:p"}));
}

TEST(PackagesOfAnOlderHome, CopiesFromBeforeMigrationsAreBounded) {
  TestHome home;
  ASSERT_TRUE(home.ok);
  {
    auto database = EmptyRegistry(home);
    ASSERT_TRUE(Migrate(**database, RegistrySchema().first(1), "home").ok());
  }
  for (const char* old : {"-5", "-4", "-3", "x"})
    std::ofstream(JoinPath(home.path, "registry.db.v" + std::string(old))) << "old";
  ASSERT_TRUE(Registry::OpenForWriting(home.path, "x").ok());
  EXPECT_TRUE(PathExists(JoinPath(home.path, "registry.db.v1")));
  EXPECT_TRUE(PathExists(JoinPath(home.path, "registry.db.v-4")));
  EXPECT_FALSE(PathExists(JoinPath(home.path, "registry.db.v-5")));
  EXPECT_TRUE(PathExists(JoinPath(home.path, "registry.db.vx"))) << "not ours";
}

}  // namespace
}  // namespace slipway
