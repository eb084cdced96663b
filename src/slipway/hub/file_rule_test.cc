#include "slipway/hub/file_rule.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "slipway/base/file.h"

namespace slipway {
namespace {

namespace fs = std::filesystem;

class FileRuleTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDir::Make();
    ASSERT_TRUE(made.ok());
    folder_ = *std::move(made);
    for (const char* name : {"allowed/home/nodes/1", "outside"})
      ASSERT_TRUE(MakeDirs(At(name)).ok());
    for (const char* file : {"allowed/a.csv", "allowed/home/hub.token",
                             "allowed/home/nodes/1/admin.key", "outside/secret.csv"})
      ASSERT_TRUE(WriteFileAtomic(At(file), "a\n1\n").ok());
    auto rule = FileRule::Make({At("allowed")}, At("allowed/home"));
    ASSERT_TRUE(rule.ok());
    rule_ = *std::move(rule);
  }
  std::string At(const std::string& name) const { return JoinPath(folder_.path(), name); }
  bool Named(const std::string& name) const { return rule_.CheckNamed({At(name)}).ok(); }
  bool Stored(const std::string& name) const { return rule_.CheckStored({At(name)}).ok(); }
  void Link(const std::string& to, const std::string& name) const {
    fs::remove(At(name));
    fs::create_symlink(At(to), At(name));
  }

  TempDir folder_;
  FileRule rule_;
};

TEST_F(FileRuleTest, WhatIsBelowAnAllowedFolderIsRead) {
  for (const char* name :
       {"allowed/a.csv", "allowed/*.csv", "allowed/later.csv", "allowed/x/*.csv"})
    EXPECT_TRUE(Named(name)) << name;
  for (const char* name : {"outside/secret.csv", "outside/*.csv", "allowed/../outside/secret.csv"})
    EXPECT_FALSE(Named(name)) << name;
  EXPECT_FALSE(rule_.CheckNamed({"a.csv"}).ok());
  EXPECT_FALSE(FileRule().CheckNamed({At("allowed/a.csv")}).ok());
}

TEST_F(FileRuleTest, NothingOfTheHomeIsRead) {
  Link("allowed/home", "allowed/alias");
  Link("allowed/home/hub.token", "allowed/token.csv");
  for (const char* name :
       {"allowed/home", "allowed/home/hub.token", "allowed/home/new.csv", "allowed/h*/hub.token",
        "allowed/home/n*/*/admin.key", "allowed/*/nodes/1/admin.key", "allowed/alias/hub.token",
        "allowed/al*/hub.token", "allowed/token.csv", "allowed/t*.csv"}) {
    EXPECT_FALSE(Named(name)) << name;
    EXPECT_FALSE(Stored(name)) << name;
  }
}

TEST_F(FileRuleTest, LinksThatAGlobGoesThroughAreFollowed) {
  Link("outside", "allowed/lnk");
  EXPECT_FALSE(Named("allowed/ln*/secret.csv"));
  EXPECT_FALSE(Named("allowed/lnk/s*.csv"));
  EXPECT_FALSE(Named("allowed/.?/outside/secret.csv"));
  Link("allowed/a.csv", "allowed/b.csv");
  EXPECT_TRUE(Named("allowed/b*.csv"));
}

TEST_F(FileRuleTest, AFileThatBecameALinkIsNoLongerRead) {
  ASSERT_TRUE(WriteFileAtomic(At("allowed/t.csv"), "a\n1\n").ok());
  EXPECT_TRUE(Named("allowed/t.csv"));
  EXPECT_TRUE(Stored("allowed/t.csv"));
  Link("outside/secret.csv", "allowed/t.csv");
  EXPECT_FALSE(Stored("allowed/t.csv"));
  EXPECT_FALSE(Stored("allowed/t?.csv") && Stored("allowed/t*.csv"));
}

TEST_F(FileRuleTest, WhatTheHomesOwnCommandsNamedElsewhereStays) {
  EXPECT_TRUE(Stored("outside/secret.csv"));
  EXPECT_TRUE(FileRule().CheckStored({At("outside/secret.csv")}).ok());
}

TEST_F(FileRuleTest, AnAliasOfAnAllowedFolderMustBeTheOneThatWasAllowed) {
  Link("allowed", "alias");
  EXPECT_FALSE(Named("alias/a.csv"));  // a later look could not tell that it was allowed
  const auto rule = FileRule::Make({At("alias")}, At("allowed/home"));
  ASSERT_TRUE(rule.ok());
  EXPECT_TRUE(rule->CheckNamed({At("alias/a.csv")}).ok());
  EXPECT_TRUE(rule->CheckNamed({At("allowed/a.csv")}).ok());
}

TEST_F(FileRuleTest, TheHomeItselfCannotBeAllowed) {
  for (const char* name : {"allowed/home", "allowed/home/nodes"}) {
    const auto rule = FileRule::Make({At(name)}, At("allowed/home"));
    ASSERT_FALSE(rule.ok());
    EXPECT_NE(rule.error().message.find("own home"), std::string::npos);
  }
}

}  // namespace
}  // namespace slipway
