// Rights end with the project, service or infrastructure that they are on.
#include <gtest/gtest.h>

#include "slipway/registry/test_home.h"

namespace slipway {
namespace {

class EndedRightsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Registry::OpenForWriting(home_.path, "test");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    registry_ = *std::move(opened);
    ASSERT_TRUE(registry_->accounts().Add("bob", "", false, "me").ok());
    ASSERT_TRUE(Put(R"({"project":"p","services":{"s":{},"t":{}}})").ok());
    for (const char* scope :
         {"project:p", "project:pp", "service:p/s", "service:p/t", "service:pp/s", "infra:p", "*"})
      Give(scope);
  }
  Status Put(const char* definition) {
    auto put = registry_->projects().Put("p", definition, "ada");
    return put.ok() ? Status() : Status(put.error());
  }
  void Give(const std::string& scope) {
    ASSERT_TRUE(registry_->accounts().AddGrant("bob", {"admin", scope}, "me").ok());
    NewApiKey key;
    key.label = scope;
    key.limit = {"read", scope};
    ASSERT_TRUE(registry_->keys().Add(key).ok());
  }
  // The scopes on which there are rights; those of grants and of keys are alike.
  std::string Scopes() {
    std::string grants, keys;
    for (const Grant& grant : registry_->accounts().Get("bob")->grants) grants += grant.scope + " ";
    std::set<std::string> valid;
    for (const ApiKeyRecord& key : *registry_->keys().List()) {
      if (!key.revoked) valid.insert(key.limit.scope);
    }
    for (const std::string& scope : valid) keys += scope + " ";
    EXPECT_EQ(grants, keys);
    return grants;
  }

  TestHome home_;
  std::unique_ptr<Registry> registry_;
};

TEST_F(EndedRightsTest, AProjectsRightsAndThoseOfItsServicesEndWithIt) {
  ASSERT_TRUE(registry_->projects().Delete("p", false, "", "ada").ok());
  EXPECT_EQ(Scopes(), "* infra:p project:pp service:pp/s ");
  const auto told = registry_->audit().List({});
  ASSERT_TRUE(told.ok());
  ASSERT_EQ(told->size(), 1u);
  EXPECT_EQ(told->at(0).who, "ada");
  EXPECT_EQ(told->at(0).project, "p");
  EXPECT_NE(
      told->at(0).before_json.find(R"({"account":"bob","role":"admin","scope":"service:p/s"})"),
      std::string::npos);
}

TEST_F(EndedRightsTest, AServicesRightsEndWithItsDefinition) {
  ASSERT_TRUE(Put(R"({"project":"p","services":{"t":{"description":"x"}}})").ok());
  EXPECT_EQ(Scopes(), "* infra:p project:p project:pp service:p/t service:pp/s ");
  ASSERT_TRUE(Put(R"({"project":"p"})").ok());
  EXPECT_EQ(Scopes(), "* infra:p project:p project:pp service:pp/s ");
}

TEST_F(EndedRightsTest, AnInfrastructuresRightsEndWithIt) {
  NewInfra infra;
  infra.name = "p";
  infra.type = "static";
  infra.stage = "Test";
  ASSERT_TRUE(registry_->infras().Add(infra).ok());
  EXPECT_NE(Scopes().find("infra:p"), std::string::npos);
  ASSERT_TRUE(registry_->infras().Delete("p", "ada").ok());
  EXPECT_EQ(Scopes(), "* project:p project:pp service:p/s service:p/t service:pp/s ");
}

TEST_F(EndedRightsTest, RightsOnWhatIsNotThereYetStay) {
  Give("project:later");
  ASSERT_TRUE(registry_->projects().Put("later", R"({"project":"later"})", "ada").ok());
  EXPECT_NE(Scopes().find("project:later"), std::string::npos);
  EXPECT_TRUE(registry_->audit().List({})->empty());
}

}  // namespace
}  // namespace slipway
