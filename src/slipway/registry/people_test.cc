// Accounts, keys and the audit log.
#include <gtest/gtest.h>

#include "slipway/base/secret.h"
#include "slipway/registry/test_home.h"

namespace slipway {
namespace {

class PeopleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Registry::OpenForWriting(home_.path, "test");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    registry_ = *std::move(opened);
  }
  Accounts& accounts() { return registry_->accounts(); }
  TestHome home_;
  std::unique_ptr<Registry> registry_;
};

TEST(Secret, APasswordIsKnownByItsHashAlone) {
  const auto hash = HashPassword("correct horse battery");
  ASSERT_TRUE(hash.ok());
  EXPECT_TRUE(hash->starts_with("$argon2id$"));
  EXPECT_TRUE(VerifyPassword("correct horse battery", *hash));
  EXPECT_FALSE(VerifyPassword("correct horse batterz", *hash));
  EXPECT_FALSE(VerifyPassword("", ""));
  EXPECT_FALSE(VerifyPassword("correct horse battery", ""));
  EXPECT_FALSE(HashPassword("short").ok());
  EXPECT_NE(NewToken("x_"), NewToken("x_"));
  EXPECT_EQ(NewToken("x_").size(), 45u);
}

TEST_F(PeopleTest, RolesAreGrantedOnScopesAndTakenAway) {
  ASSERT_TRUE(accounts().Add("ada", "", false, "me").ok());
  EXPECT_EQ(accounts().Add("ada", "", false, "me").error().code, ErrorCode::kConflict);
  EXPECT_FALSE(accounts().Add("a/b", "", false, "me").ok());
  ASSERT_TRUE(accounts().AddGrant("ada", {"write", "project:shop"}, "me").ok());
  ASSERT_TRUE(accounts().AddGrant("ada", {"write", "project:shop"}, "me").ok());  // is so already
  EXPECT_EQ(accounts().Get("ada")->grants.size(), 1u);
  EXPECT_EQ(accounts().RemoveGrant("ada", {"read", "project:shop"}).error().code,
            ErrorCode::kNotFound);
  ASSERT_TRUE(accounts().RemoveGrant("ada", {"write", "project:shop"}).ok());
  EXPECT_TRUE(accounts().Get("ada")->grants.empty());
  EXPECT_EQ(accounts().Get("adda").error().hint, "did you mean 'ada'?");
}

TEST_F(PeopleTest, ScopesAreChecked) {
  for (const char* fine : {"*", "project:p", "service:p/s", "infra:i"})
    EXPECT_TRUE(CheckScope(fine).ok()) << fine;
  for (const char* wrong : {"", "project", "project:", "project:a/b", "service:p", "service:p/",
                            "service:/s", "thing:x", "project:*", "**"})
    EXPECT_FALSE(CheckScope(wrong).ok()) << wrong;
}

TEST_F(PeopleTest, TheLastAdministratorStays) {
  ASSERT_TRUE(accounts().Add("ada", "", true, "me").ok());
  EXPECT_EQ(accounts().SetDisabled("ada", true).error().code, ErrorCode::kConflict);
  EXPECT_EQ(accounts().SetAdmin("ada", false).error().code, ErrorCode::kConflict);
  ASSERT_TRUE(accounts().Add("bob", "", true, "me").ok());
  EXPECT_TRUE(accounts().SetDisabled("ada", true).ok());
  EXPECT_EQ(accounts().SetAdmin("bob", false).error().code, ErrorCode::kConflict);
}

TEST_F(PeopleTest, SessionsExpireAndEndWithTheirAccount) {
  ASSERT_TRUE(accounts().Add("ada", "", false, "me").ok());
  const auto token = accounts().OpenSession("ada", 60);
  ASSERT_TRUE(token.ok());
  EXPECT_EQ((*accounts().FindSession(*token))->name, "ada");
  EXPECT_FALSE(accounts().FindSession("sws_other")->has_value());
  const auto over = accounts().OpenSession("ada", -1);
  EXPECT_FALSE(accounts().FindSession(*over)->has_value());
  ASSERT_TRUE(accounts().SetDisabled("ada", true).ok());
  ASSERT_TRUE(accounts().SetDisabled("ada", false).ok());
  EXPECT_FALSE(accounts().FindSession(*token)->has_value());
}

TEST_F(PeopleTest, AnInvitationMakesOneAdministrator) {
  const auto old = accounts().Invite(60);
  const auto token = accounts().Invite(60);
  EXPECT_FALSE(accounts().AcceptInvitation(*old, "eve", "").ok());
  ASSERT_TRUE(accounts().AcceptInvitation(*token, "ada", "hash").ok());
  EXPECT_TRUE(accounts().Get("ada")->admin);
  EXPECT_FALSE(accounts().AcceptInvitation(*token, "eve", "").ok());
  const auto late = accounts().Invite(60);
  EXPECT_EQ(accounts().AcceptInvitation(*late, "eve", "").error().code,
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(*accounts().Count(), 1);
}

TEST_F(PeopleTest, KeysAreFoundUntilTheyExpireOrAreRevoked) {
  const auto made = registry_->keys().Add(
      {.label = "ci", .account = "", .who = "me", .limit = {"read", "*"}, .seconds = {}});
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ((*registry_->keys().FindByKey(made->key))->id, made->id);
  EXPECT_FALSE(registry_->keys().FindByKey(made->id)->has_value());
  const auto over = registry_->keys().Add(
      {.label = "old", .account = "", .who = "me", .limit = {"admin", "*"}, .seconds = -1.0});
  EXPECT_FALSE(registry_->keys().FindByKey(over->key)->has_value());
  ASSERT_TRUE(registry_->keys().Revoke(made->id).ok());
  EXPECT_FALSE(registry_->keys().FindByKey(made->key)->has_value());
  EXPECT_FALSE(
      registry_->keys()
          .Add({.label = "", .account = "", .who = "me", .limit = {"admin", "*"}, .seconds = {}})
          .ok());
  EXPECT_FALSE(registry_->keys()
                   .Add({.label = "x",
                         .account = "nobody",
                         .who = "me",
                         .limit = {"admin", "*"},
                         .seconds = {}})
                   .ok());
}

TEST_F(PeopleTest, TheAuditLogTakesRowsAndGivesNoneUp) {
  AuditRecord record;
  record.who = "ada";
  record.project = "shop";
  record.before_json = "null";
  record.after_json = R"({"x":1})";
  EXPECT_EQ(*registry_->audit().LastId(), 0);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(registry_->audit().Append(record).ok());
  EXPECT_EQ(*registry_->audit().LastId(), registry_->audit().List({})->front().id);
  EXPECT_FALSE(registry_->database().Execute("UPDATE audit SET who = 'eve'").ok());
  EXPECT_FALSE(registry_->database().Execute("DELETE FROM audit").ok());
  if (registry_->database().dialect() == SqlDialect::kSqlite) {  // REPLACE deletes without asking
    EXPECT_FALSE(registry_->database()
                     .Execute("INSERT OR REPLACE INTO audit(id, at, who, how, action, project, "
                              "path, status, request_id, before, after) VALUES (1, 0, '', '', '', "
                              "'', '', 0, '', '', '')")
                     .ok());
  }
  AuditFilter filter;
  filter.limit = 3;
  const auto page = registry_->audit().List(filter);
  ASSERT_EQ(page->size(), 3u);
  filter.before = page->back().id;
  EXPECT_EQ(registry_->audit().List(filter)->size(), 2u);
  filter.before = 0;
  filter.project = "other";
  EXPECT_TRUE(registry_->audit().List(filter)->empty());
}

// The record and the change are one: both are there, or neither.
TEST_F(PeopleTest, WhatGoesIntoTheNextCommitSharesItsFate) {
  Database& database = registry_->database();
  const auto records = [&] { return registry_->audit().List({})->size(); };
  const auto write = [&] { return registry_->audit().Append({}); };
  {
    OnNextCommit hook(write);
    ASSERT_TRUE(accounts().Add("ada", "", false, "me").ok());
    EXPECT_TRUE(hook.done());
    ASSERT_TRUE(accounts().Add("bob", "", false, "me").ok());  // once only
  }
  EXPECT_EQ(records(), 1u);
  {
    OnNextCommit hook(write);
    auto transaction = Transaction::Begin(database);
    ASSERT_TRUE(accounts().Add("cyd", "", false, "me").ok());  // a part: not yet
    EXPECT_FALSE(hook.done());
  }
  EXPECT_EQ(records(), 1u);
  {
    OnNextCommit hook([] { return Status(Unavailable("no room")); });
    EXPECT_EQ(accounts().Add("dan", "", false, "me").error().message, "no room");
  }
  EXPECT_EQ(*accounts().Count(), 2);
}

TEST_F(PeopleTest, AnIdempotencyKeyThatIsInWorkIsAConflict) {
  Idempotency& keys = registry_->idempotency();
  ASSERT_TRUE(keys.Reserve("s", "k", "h").ok());
  EXPECT_EQ(keys.Find("s", "k", "h").error().code, ErrorCode::kConflict);
  EXPECT_FALSE(keys.Reserve("s", "k", "h").ok());
  ASSERT_TRUE(keys.Finish("s", "k", {201, "{}"}).ok());
  EXPECT_EQ((*keys.Find("s", "k", "h"))->status, 201);
  ASSERT_TRUE(keys.Release("s", "k").ok());  // no longer in work: stays
  EXPECT_TRUE(keys.Find("s", "k", "h")->has_value());
}

}  // namespace
}  // namespace slipway
