#include "slipway/hub/dss_wire.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

TEST(DssPath, TakesBothPrefixesAndAnyNumberOfSlashes) {
  for (const char* path : {"/dip/publicapi/projects", "//dip//publicapi//projects//",
                           "/public/api/projects/", "/dip/publicapi/projects/"}) {
    EXPECT_TRUE(IsDssPath(path)) << path;
    EXPECT_EQ(DssPath(path), "/projects") << path;
  }
  EXPECT_EQ(DssPath("/dip/publicapi"), "/");
  EXPECT_EQ(DssPath("/public/api//"), "/");
}

TEST(DssPath, LeavesOtherPathsAlone) {
  for (const char* path : {"/api/v1/projects", "/dip", "/dip/publicapix/a", "/public/apis", "", "/",
                           "/x/dip/publicapi/projects", "/publicapi"}) {
    EXPECT_FALSE(IsDssPath(path)) << path;
  }
}

TEST(DssFlag, TakesPythonsBooleans) {
  EXPECT_EQ(*DssFlag("a", "True"), true);
  EXPECT_EQ(*DssFlag("a", "FALSE"), false);
  const auto bad = DssFlag("peek", "1");
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.error().message.find("'peek'"), std::string::npos);
}

TEST(DssError, HasTheThreeTextsThatClientsLookFor) {
  const Response response = DssError(NotFound("there is no model 'x'", "did you mean 'y'?"));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.content_type, "application/json");
  const auto body = ParseJson(response.body);
  ASSERT_TRUE(body.ok());
  EXPECT_EQ((*body)["errorType"], "NotFoundException");
  EXPECT_EQ((*body)["message"], "there is no model 'x'");
  EXPECT_EQ((*body)["detailedMessage"], "there is no model 'x' (did you mean 'y'?)");
}

TEST(DssError, LeavesAnswersThatAreNoProblem) {
  const Response fine = JsonResponse({{"a", 1}});
  EXPECT_EQ(DssErrorOf(fine).body, fine.body);
  EXPECT_EQ(DssNotSupported("x", "").status, 501);
}

TEST(DssMillis, ReadsTheHubsTimes) {
  EXPECT_EQ(DssMillis("1970-01-01T00:00:01Z"), 1000);
  EXPECT_EQ(DssMillis("2026-11-30T00:03:44Z"), 1795997024000);
  EXPECT_EQ(DssMillis("2026-11-30T00:03:44.250000Z"), 1795997024250);
  EXPECT_EQ(DssMillis(""), 0);
  EXPECT_EQ(DssMillis("yesterday"), 0);
}

TEST(DssLocalName, TakesItsOwnProjectsPrefix) {
  EXPECT_EQ(*DssLocalName("p", "p.fare"), "fare");
  EXPECT_EQ(*DssLocalName("p", "fare.v2"), "fare.v2");
  EXPECT_FALSE(DssLocalName("p", "").ok());
}

TEST(DssOnlyChanges, NamesWhatCannotBeChanged) {
  const Json read = {{"id", "s"}, {"a", Json::array({1, 2})}, {"none", nullptr}};
  EXPECT_TRUE(DssOnlyChanges(read, read, {}, "it").ok());
  EXPECT_TRUE(DssOnlyChanges(read, {{"id", "s"}, {"new", nullptr}}, {}, "it").ok());
  EXPECT_TRUE(DssOnlyChanges(read, {{"id", "t"}}, {"id"}, "it").ok());
  const Status changed = DssOnlyChanges(read, {{"a", Json::array({2, 1})}}, {"id"}, "it");
  ASSERT_FALSE(changed.ok());
  EXPECT_NE(changed.error().message.find("'a' of it"), std::string::npos);
  EXPECT_FALSE(DssOnlyChanges(read, {{"tags", Json::array()}}, {"id"}, "it").ok());
}

}  // namespace
}  // namespace slipway
