// What the admin API does not do, and what it keeps and says all the same.
#include "slipway/serve/admin_api_for_test.h"

namespace slipway {
namespace {

using AdminRefusalsTest = AdminApiTest;

TEST_F(AdminRefusalsTest, ARefusedChangeRaisesTheEpochToo) {
  int64_t epoch = 10;
  const auto refused = [&](const std::string& method, const std::string& path, int status,
                           const std::string& body = "") {
    ++epoch;
    EXPECT_EQ(Ask(method, path, body, {{"X-Slipway-Epoch", std::to_string(epoch)}}).status, status)
        << method << " " << path;
    EXPECT_EQ(parts_.state->epoch(), epoch) << method << " " << path;
  };
  refused("POST", "/admin/api/services", 400, R"({"serviceId": "no name"})");
  refused("POST", "/admin/api/services", 400, "{");
  refused("DELETE", "/admin/api/services/none", 404);
  refused("DELETE", "/admin/api/services/none/generations/v1", 404);
  refused("PUT", "/admin/api/services/none/settings", 400, R"({"auht": ""})");
  refused("POST", "/admin/api/keys", 400, R"({"label": 7})");
  refused("DELETE", "/admin/api/keys/none/key", 404);
}

TEST_F(AdminRefusalsTest, ABodysUnknownMembersAreRefused) {
  for (const char* body : {R"({"service": "shop"})", R"({"expires": 4102444800})",
                           R"({"services": []})", R"({"Admin": false})"})
    EXPECT_EQ(Ask("POST", "/admin/api/keys", body).status, 400) << body;
  EXPECT_TRUE(parts_.keys->List().empty());
  const AdminReply service = Ask("POST", "/admin/api/keys", R"({"service": "shop"})");
  EXPECT_NE(service.body.find("did you mean 'services'"), std::string::npos) << service.body;
  EXPECT_EQ(Ask("POST", "/admin/api/services", R"({"serviceId": "a", "auth": "x"})").status, 400);
  const AdminReply entry = Ask("POST", "/admin/api/services/a/actions/setMapping",
                               R"({"entries": [{"generation": "v1", "proba": 1, "weight": 2}]})");
  EXPECT_EQ(entry.status, 400);
  EXPECT_NE(entry.body.find("'weight'"), std::string::npos) << entry.body;
}

TEST_F(AdminRefusalsTest, NoKeyReachesTheLog) {
  const std::string secret = parts_.keys->Create({.label = "scores"})->secret;
  const LogForAdminTest log;
  Ask("DELETE", "/admin/api/keys/" + secret + "/key");    // taken for an id
  Ask("GET", "/admin/api/keys/" + secret + "/key");       // 405
  Ask("DELETE", "/admin/api/keys/" + secret + "/key/x");  // 404
  Ask("DELETE", "/admin/api/services/" + secret);         // anywhere
  Ask("PUT", "/admin/api/keyz/" + secret);                // a slip
  Ask("DELETE", "/admin/api/keys/" + secret + "x", "", {}, false);
  EXPECT_EQ(Split(Trim(log.text()), '\n').size(), 5u) << log.text();
  EXPECT_EQ(log.text().find(secret.substr(4)), std::string::npos) << log.text();
}

TEST_F(AdminRefusalsTest, SettingsThatCannotBeMeantAreRefused) {
  ASSERT_EQ(Import({}).status, 200);
  ASSERT_EQ(Ask("POST", "/admin/api/services/shop/actions/switchTo/v1").status, 200);
  const std::string path = "/admin/api/services/shop/settings";
  for (const char* body :
       {R"({"redact": [""]})", R"({"deadline_ms": 1e300})", R"({"rate_per_key": 1e300})",
        R"({"endpoints": {"bare": {"deadline_ms": 1e300}}})"})
    EXPECT_EQ(Ask("PUT", path, body).status, 400) << body;
  const AdminReply shadow = Ask("PUT", path, R"({"shadow": "v1"})");
  EXPECT_EQ(shadow.status, 409);
  EXPECT_NE(shadow.body.find("all the traffic"), std::string::npos) << shadow.body;
  EXPECT_EQ(Ask("PUT", path, R"({"shadow": "v1"})", {{"X-Slipway-Epoch", "1"}}).status, 200);
}

}  // namespace
}  // namespace slipway
