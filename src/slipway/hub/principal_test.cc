#include "slipway/hub/principal.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

Route RouteOf(const std::string& permission, bool filtered = false) {
  Route route;
  route.permission = permission;
  route.details.filtered = filtered;
  return route;
}

Principal With(std::vector<Grant> grants) {
  Principal principal;
  principal.kind = Principal::Kind::kAccount;
  principal.grants = std::move(grants);
  return principal;
}

const Resource kShop{"project", "shop"}, kOther{"project", "other"},
    kPrices{"service", "shop/prices"}, kInstance{};

TEST(Authorize, NobodyGetsNothingButWhatIsPublic) {
  const Principal nobody;
  for (const char* permission : {"read", "write", "deploy", "admin", "signed_in", "unknown"})
    EXPECT_EQ(Authorize(RouteOf(permission), kShop, nobody), Access::kUnauthenticated);
  EXPECT_EQ(Authorize(RouteOf("read", true), kInstance, nobody), Access::kUnauthenticated);
  EXPECT_EQ(Authorize(RouteOf("public"), kInstance, nobody), Access::kAllowed);
}

TEST(Authorize, APermissionThatNobodyKnowsIsRefused) {
  EXPECT_NE(Authorize(RouteOf("unknown"), kShop, LocalPrincipal("root")), Access::kAllowed);
}

TEST(Authorize, EachRoleGivesItsOwnAndReading) {
  struct Row {
    const char* role;
    bool read, write, deploy, admin;
  };
  for (const Row& row :
       {Row{"read", true, false, false, false}, Row{"write", true, true, false, false},
        Row{"deploy", true, false, true, false}, Row{"admin", true, true, true, true}}) {
    const Principal principal = With({{row.role, "project:shop"}});
    EXPECT_EQ(May(principal, "read", kShop), row.read);
    EXPECT_EQ(May(principal, "write", kShop), row.write);
    EXPECT_EQ(May(principal, "deploy", kShop), row.deploy);
    EXPECT_EQ(May(principal, "admin", kShop), row.admin);
    for (const char* permission : {"read", "write", "deploy", "admin"}) {
      EXPECT_FALSE(May(principal, permission, kOther));
      EXPECT_FALSE(May(principal, permission, kInstance));
    }
    EXPECT_EQ(May(principal, "write", kPrices), row.write);  // a part of its project
  }
}

TEST(Authorize, ARoleOnAServiceIsNoneOnItsProject) {
  const Principal principal = With({{"admin", "service:shop/prices"}});
  EXPECT_TRUE(May(principal, "write", kPrices));
  EXPECT_FALSE(May(principal, "read", kShop));
  EXPECT_FALSE(May(principal, "read", {"service", "shop/price"}));
  EXPECT_FALSE(May(principal, "read", {"infra", "shop/prices"}));
}

TEST(Authorize, AJobIsForWhoMayReadWhatItWorksOnOrStartedIt) {
  const Resource job = ResourceOfJob("infra:dev", "ann");
  const Route read = RouteOf("read"), abort = RouteOf("write");
  EXPECT_EQ(Authorize(read, job, With({{"deploy", "infra:dev"}})), Access::kAllowed);
  EXPECT_EQ(Authorize(abort, job, With({{"deploy", "infra:dev"}})), Access::kAllowed);
  EXPECT_EQ(Authorize(abort, job, With({{"write", "infra:dev"}})), Access::kForbidden);
  EXPECT_EQ(Authorize(abort, job, With({{"write", "project:shop"}})), Access::kHidden);
  EXPECT_EQ(Authorize(abort, ResourceOfJob("service:shop/prices", "ann"),
                      With({{"write", "service:shop/prices"}})),
            Access::kAllowed);
  Principal ann = With({});
  ann.name = "ann";
  EXPECT_EQ(Authorize(read, job, ann), Access::kHidden);  // a key's id, not an account
  ann.has_account = true;
  EXPECT_EQ(Authorize(read, job, ann), Access::kAllowed);
  EXPECT_EQ(Authorize(abort, job, ann), Access::kForbidden);
  ann.limit = Grant{"read", "project:shop"};
  EXPECT_EQ(Authorize(read, job, ann), Access::kHidden);
}

TEST(Authorize, WhatMayNotBeSeenIsHidden) {
  EXPECT_EQ(Authorize(RouteOf("write"), kShop, With({{"read", "project:shop"}})),
            Access::kForbidden);
  EXPECT_EQ(Authorize(RouteOf("write"), kShop, With({{"write", "project:other"}})),
            Access::kHidden);
  EXPECT_EQ(Authorize(RouteOf("admin"), kInstance, With({})), Access::kForbidden);
}

TEST(Authorize, AFilteredListIsForAllButOnlyWithoutAResource) {
  EXPECT_EQ(Authorize(RouteOf("read", true), kInstance, With({})), Access::kAllowed);
  EXPECT_EQ(Authorize(RouteOf("read", true), kShop, With({})), Access::kHidden);
  EXPECT_EQ(Authorize(RouteOf("write", true), kInstance, With({})), Access::kForbidden);
}

TEST(Authorize, AKeyIsNoMoreThanItsAccountAndItsLimit) {
  AccountRecord account;
  account.name = "ada";
  account.admin = true;
  ApiKeyRecord key;
  key.id = "key-1";
  key.account = "ada";
  key.limit = {"write", "project:shop"};
  const Principal admin = KeyPrincipal(key, &account);
  EXPECT_TRUE(May(admin, "write", kShop));
  EXPECT_FALSE(May(admin, "deploy", kShop));
  EXPECT_FALSE(May(admin, "read", kOther));
  account.admin = false;
  account.grants = {{"read", "project:shop"}};
  const Principal reader = KeyPrincipal(key, &account);
  EXPECT_TRUE(May(reader, "read", kShop));
  EXPECT_FALSE(May(reader, "write", kShop));
}

}  // namespace
}  // namespace slipway
