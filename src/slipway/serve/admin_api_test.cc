#include "slipway/serve/admin_api_for_test.h"

namespace slipway {
namespace {

TEST_F(AdminApiTest, EveryRouteAsksForTheAdminKey) {
  const NewApiKey scoring = *parts_.keys->Create({.label = "scores"});
  const Router router = MakeAdminRouter(&parts_);
  EXPECT_GT(router.routes().size(), 25u);
  for (const Route& route : router.routes()) {
    SCOPED_TRACE(route.method + " " + route.pattern);
    EXPECT_EQ(route.permission, "admin");
    std::string path = route.pattern;
    for (size_t at = path.find('{'); at != std::string::npos; at = path.find('{'))
      path.replace(at, path.find('}') - at + 1, "x");
    const AdminReply none = Ask(route.method, path, "", {}, false);
    EXPECT_EQ(none.status, 401);
    EXPECT_NE(none.headers.find("WWW-Authenticate: Basic"), std::string::npos);
    EXPECT_NE(none.json().value("errorType", ""), "");
    EXPECT_NE(none.headers.find("DSS-Version: "), std::string::npos);
    EXPECT_EQ(Ask(route.method, path, "", {{"Authorization", "Bearer wrong"}}, false).status, 401);
    EXPECT_EQ(
        Ask(route.method, path, "", {{"Authorization", "Bearer " + scoring.secret}}, false).status,
        403);
    const AdminReply with_key = Ask(route.method, path);
    EXPECT_NE(with_key.status, 401);
    EXPECT_NE(with_key.status, 403);
    EXPECT_NE(with_key.headers.find("DSS-Version: "), std::string::npos);
  }
}

TEST_F(AdminApiTest, ThePlanKeepsStrangersFromTheDisk) {
  HttpReply refusal;
  UserRequestForTest asked;
  asked.path = "/admin/api/services/shop/generations";
  ExchangeForTest stranger(asked);
  EXPECT_TRUE(api_->PlanBody(asked.path, stranger.request(), &refusal).refuse);
  EXPECT_EQ(refusal.status, 401);
  asked.headers = {{"Authorization", "Bearer " + key_}};
  ExchangeForTest admin(asked);
  HttpBodyPlan plan = api_->PlanBody(asked.path, admin.request(), &refusal);
  EXPECT_EQ(plan.spool_folder, JoinPath(home_, "spool"));
  EXPECT_EQ(plan.max_bytes, static_cast<size_t>(parts_.config.upload_bytes));
  for (const char* path : {"/admin/api/services/shop/generations/v1/preload", "/admin/api/services",
                           "/admin/api/services/generations"}) {
    plan = api_->PlanBody(path, admin.request(), &refusal);
    EXPECT_EQ(plan.spool_folder, "") << path;
    EXPECT_LE(plan.max_bytes, size_t{1} << 20) << path;
  }
}

TEST_F(AdminApiTest, APageOfAnotherSiteChangesNothing) {
  const std::string body = R"({"serviceId": "shop"})";
  EXPECT_EQ(Ask("POST", "/admin/api/services", body, {{"Sec-Fetch-Site", "cross-site"}}).status,
            403);
  EXPECT_EQ(Ask("POST", "/admin/api/services", body,
                {{"Host", "node:12000"}, {"Origin", "https://evil.example"}})
                .status,
            403);
  EXPECT_EQ(Ask("GET", "/admin/api/services", "", {{"Sec-Fetch-Site", "cross-site"}}).status, 200);
  EXPECT_EQ(Ask("POST", "/admin/api/services", body,
                {{"Host", "node:12000"}, {"Origin", "http://node:12000"}})
                .status,
            200);
}

TEST_F(AdminApiTest, RefusedCallsAreLoggedAndTellStrangersNoPath) {
  const NewApiKey scoring = *parts_.keys->Create({.label = "scores"});
  const LogForAdminTest log;
  struct Case {
    std::string authorization, who;
    int status;
    std::string origin;
  };
  for (const Case& each : {Case{"", "?", 401, ""}, Case{"Bearer wrong-secret", "?", 401, ""},
                           Case{"Bearer " + scoring.secret, "key:" + scoring.key.id, 403, ""},
                           Case{"Bearer " + key_, "admin", 403, "https://evil.example"}}) {
    SCOPED_TRACE(each.who + each.origin);
    const AdminReply reply =
        Ask("DELETE", "/admin/api/services/shop", "",
            {{"Authorization", each.authorization}, {"Origin", each.origin}}, false);
    EXPECT_EQ(reply.status, each.status);
    EXPECT_EQ(reply.body.find(home_), std::string::npos) << reply.body;
    const Json line = log.last();
    EXPECT_EQ(line["level"], "warning");
    EXPECT_EQ(line["who"], each.who);
    EXPECT_EQ(line["remote"], "127.0.0.1");
    EXPECT_EQ(line["method"], "DELETE");
    EXPECT_EQ(line["path"], "/admin/api/services/shop");
    EXPECT_EQ(line["status"], each.status);
    EXPECT_EQ(line["error"], reply.message());
    EXPECT_NE(reply.json().value("request_id", ""), "");
    EXPECT_EQ(line["request_id"], reply.json()["request_id"]);
  }
  EXPECT_EQ(Split(Trim(log.text()), '\n').size(), 4u);
  for (const std::string& secret : {std::string("wrong-secret"), scoring.secret, key_})
    EXPECT_EQ(log.text().find(secret), std::string::npos);
}

TEST_F(AdminApiTest, TheLogSaysWhatWasSet) {
  ASSERT_EQ(Import({.id = "v1"}).status, 200);
  ASSERT_EQ(Import({.id = "v2"}).status, 200);
  const LogForAdminTest log;
  const std::string shop = "/admin/api/services/shop";
  ASSERT_EQ(
      Ask("POST", shop + "/actions/setMapping",
          R"({"entries": [{"generation": "v1", "proba": 1}, {"generation": "v2", "proba": 0}]})")
          .status,
      200);
  EXPECT_EQ(log.last()["change"], "v1=1 v2=0");
  ASSERT_EQ(Ask("PUT", shop + "/settings", R"({"auth": "api_keys", "max_records": 0})").status,
            200);
  EXPECT_EQ(log.last()["change"], "auth=api_keys");
  ASSERT_EQ(Ask("POST", shop + "/actions/switchToNewest").status, 200);
  EXPECT_EQ(log.last()["change"], "generation=v2");
  const AdminReply key = Ask("POST", "/admin/api/keys", R"({"label": "tills"})");
  EXPECT_EQ(log.last()["change"], "id=" + key.json().value("id", "") + " label=tills");
  EXPECT_EQ(log.text().find(key.json().value("key", "none")), std::string::npos);
}

TEST_F(AdminApiTest, AnUploadThatTheDiskCannotHoldIsRefusedAtOnce) {
  const LogForAdminTest log;
  parts_.config.upload_bytes = int64_t{1} << 62;
  const AdminReply reply = Ask("POST", "/admin/api/services/shop/generations", "",
                               {{"Content-Length", std::to_string(int64_t{1} << 61)}});
  EXPECT_EQ(reply.status, 507);
  EXPECT_NE(reply.message().find("no space"), std::string::npos);
  EXPECT_EQ(log.last()["status"], 507);
  EXPECT_EQ(log.last()["who"], "admin");
}

TEST_F(AdminApiTest, AnImportSaysWhatItFound) {
  const AdminReply first = Import({.id = "v1"});
  EXPECT_EQ(first.json()["import"], "new");
  EXPECT_EQ(first.json()["mappedPercent"], 0);
  ASSERT_EQ(Ask("POST", "/admin/api/services/shop/actions/switchToNewest").status, 200);
  const AdminReply again = Import({.id = "v1"});
  EXPECT_EQ(again.json()["import"], "unchanged");
  EXPECT_EQ(again.json()["mappedPercent"], 100);
  EXPECT_EQ(again.json()["enabled"], true);

  const std::string model = JoinPath(home_, "generations/shop/v1/bare.txt");
  ASSERT_TRUE(WriteFileAtomic(model, "damaged").ok());
  ASSERT_EQ(Ask("POST", "/admin/api/services/shop/actions/disable").status, 200);
  const AdminReply refused = Ask("POST", "/admin/api/services/shop/actions/enable");
  EXPECT_EQ(refused.status, 422);
  EXPECT_NE(refused.json().value("hint", "").find("import the same package again"),
            std::string::npos)
      << refused.body;
  EXPECT_EQ(Import({.id = "v1"}).json()["import"], "repaired");
  EXPECT_EQ(Ask("POST", "/admin/api/services/shop/actions/enable").status, 200);
  ASSERT_TRUE(RemoveAll(JoinPath(home_, "generations/shop/v1")).ok());
  ASSERT_EQ(Ask("POST", "/admin/api/services/shop/actions/disable").status, 200);
  const AdminReply gone = Ask("POST", "/admin/api/services/shop/actions/enable");
  EXPECT_EQ(gone.status, 422);
  EXPECT_NE(gone.json().value("hint", "").find("import the same package again"), std::string::npos)
      << gone.body;
}

TEST_F(AdminApiTest, AMappedGenerationWithoutTrafficIsShown) {
  ASSERT_EQ(Import({.id = "v1"}).status, 200);
  ASSERT_EQ(Import({.id = "v2"}).status, 200);
  ASSERT_EQ(Import({.id = "v3"}).status, 200);
  const Json mapping = {
      {"entries",
       {{{"generation", "v1"}, {"proba", 1.0}}, {{"generation", "v2"}, {"proba", 0.0}}}}};
  ASSERT_EQ(Ask("POST", "/admin/api/services/shop/actions/setMapping", DumpJson(mapping)).status,
            200);
  EXPECT_EQ(Ask("GET", "/admin/api/services/shop").json()["mapping"], mapping);
  const Json list = Ask("GET", "/admin/api/services/shop/generations").json()["generations"];
  for (const auto& [at, mapped] : {std::pair{0, true}, {1, true}, {2, false}})
    EXPECT_EQ(list[static_cast<size_t>(at)]["mapped"], mapped) << at;
}

TEST_F(AdminApiTest, TheLifeOfAService) {
  EXPECT_EQ(Ask("GET", "/admin/api/services").json(), Json::array());
  EXPECT_EQ(Ask("POST", "/admin/api/services", R"({"serviceId": "shop"})").json()["ok"], true);
  EXPECT_EQ(Ask("POST", "/admin/api/services", R"({"serviceId": "shop"})").status, 409);
  const AdminReply imported = Import({.id = "v1"});
  EXPECT_EQ(imported.status, 200) << imported.body;
  EXPECT_EQ(imported.json()["generation"], "v1");
  ASSERT_EQ(Import({.id = "v2", .answer = 0.5, .expected = 0.5}).status, 200);

  const AdminReply newest = Ask("POST", "/admin/api/services/shop/actions/switchToNewest");
  EXPECT_EQ(newest.json()["generation"], "v2");
  EXPECT_EQ(PublishedMapping(*parts_.state, "shop"), "v2=1");
  EXPECT_EQ(Ask("POST", "/admin/api/services/shop/actions/switchTo/v1").json()["ok"], true);
  EXPECT_EQ(PublishedMapping(*parts_.state, "shop"), "v1=1");
  EXPECT_EQ(
      Ask("POST", "/admin/api/services/shop/actions/setMapping",
          R"({"entries": [{"generation": "v1", "proba": 0.5}, {"generation": "v2", "proba": 0.5}]})")
          .status,
      200);
  for (const char* spelling : {"service", "services"}) {
    const Json generations =
        Ask("GET", std::string("/admin/api/") + spelling + "/shop/generations").json();
    ASSERT_EQ(generations["generations"].size(), 2u);
    const Json& first = generations["generations"][0];
    EXPECT_EQ(first["generationId"], "v1");
    EXPECT_EQ(first["createdOn"], 1767323045000);
    EXPECT_EQ(first["mounted"], true);
    EXPECT_EQ(first["mappedPercent"], 50);
  }
  EXPECT_EQ(Ask("POST", "/admin/api/services/shop/actions/disable").status, 200);
  EXPECT_EQ(Ask("GET", "/admin/api/services").json()[0]["enabled"], false);
  EXPECT_EQ(Ask("POST", "/admin/api/services/shop/actions/enable").status, 200);
  EXPECT_EQ(Ask("DELETE", "/admin/api/services/shop/generations/v1").status, 409);
  const Json outcomes = Ask("POST", "/admin/api/services/shop/generations/v2/actions/test").json();
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0]["ok"], true);
  EXPECT_EQ(Ask("POST", "/admin/api/services/shop/actions/switchTo/v2").status, 200);
  EXPECT_EQ(Ask("DELETE", "/admin/api/services-clean-unused").json()["removed"],
            Json::array({"shop/v1"}));
  EXPECT_EQ(Ask("DELETE", "/admin/api/services/shop").json()["ok"], true);
  EXPECT_EQ(Ask("GET", "/admin/api/services").json(), Json::array());
}

TEST_F(AdminApiTest, ErrorsSayWhatAndHow) {
  ASSERT_EQ(Import({.id = "v1"}).status, 200);
  const AdminReply empty = Ask("POST", "/admin/api/services/shop/actions/setMapping");
  EXPECT_EQ(empty.status, 400);
  EXPECT_NE(empty.message().find("entries"), std::string::npos);
  EXPECT_EQ(empty.json()["code"], "invalid_argument");
  EXPECT_NE(empty.json().value("request_id", ""), "");
  EXPECT_EQ(Ask("POST", "/admin/api/services/shop/actions/setMapping", "{").status, 400);
  EXPECT_EQ(Ask("POST", "/admin/api/services/shop/actions/setMapping", "[]").status, 400);
  EXPECT_EQ(Ask("POST", "/admin/api/services/nobody/actions/switchToNewest").status, 404);
  EXPECT_EQ(Ask("POST", "/admin/api/services/shop/generations").status, 400);
  const AdminReply bad = Import({.id = "bad", .expected = 9});
  EXPECT_EQ(bad.status, 200);
  const AdminReply refused = Ask("POST", "/admin/api/services/shop/actions/switchTo/bad");
  EXPECT_EQ(refused.status, 422);
  EXPECT_NE(refused.message().find("test query 'small'"), std::string::npos);
  const AdminReply outside = Ask(
      "POST",
      "/admin/api/services/shop/generations/actions/importFromArchive?filePath=%2Fetc%2Fpasswd");
  EXPECT_EQ(outside.status, 403);
  EXPECT_NE(outside.json().value("hint", "").find(JoinPath(home_, "import")), std::string::npos);
  EXPECT_EQ(Ask("GET", "/admin/api/nothing").status, 404);
  EXPECT_EQ(Ask("PATCH", "/admin/api/services").status, 405);
  const AdminReply named =
      Ask("GET", "/admin/api/services/nobody", "", {{"X-Request-Id", "my-own"}});
  EXPECT_EQ(named.json()["request_id"], "my-own");
}

TEST_F(AdminApiTest, EpochsAreRead) {
  const std::string body = R"({"serviceId": "shop"})";
  EXPECT_EQ(Ask("POST", "/admin/api/services", body, {{"X-Slipway-Epoch", "7"}}).status, 200);
  EXPECT_EQ(Ask("DELETE", "/admin/api/services/shop", "", {{"X-Slipway-Epoch", "6"}}).status, 409);
  EXPECT_EQ(Ask("DELETE", "/admin/api/services/shop", "", {{"X-Slipway-Epoch", "x"}}).status, 400);
  EXPECT_EQ(Ask("DELETE", "/admin/api/services/shop", "", {{"x-slipway-epoch", "7"}}).status, 200);
  EXPECT_EQ(Ask("POST", "/admin/api/keys", "{}", {{"X-Slipway-Epoch", "6"}}).status, 409);
  EXPECT_EQ(Ask("POST", "/admin/api/keys", "{}", {{"X-Slipway-Epoch", "8"}}).status, 200);
  EXPECT_EQ(Ask("GET", "/admin/api/metrics").json()["epoch"], 8);
}

TEST_F(AdminApiTest, Settings) {
  ASSERT_EQ(Ask("POST", "/admin/api/services", R"({"serviceId": "shop"})").status, 200);
  EXPECT_EQ(
      Ask("PUT", "/admin/api/services/shop/settings", R"({"auth": "api_keys", "redact": ["name"]})")
          .status,
      200);
  const Json settings = Ask("GET", "/admin/api/services/shop/settings").json();
  EXPECT_EQ(settings["auth"], "api_keys");
  EXPECT_EQ(settings["redact"], Json::array({"name"}));
  const AdminReply wrong = Ask("PUT", "/admin/api/services/shop/settings", R"({"atuh": "public"})");
  EXPECT_EQ(wrong.status, 400);
  EXPECT_NE(wrong.body.find("auth"), std::string::npos);
  const AdminReply nobody = Ask("PUT", "/admin/api/services/shop/settings", R"({"auth": "jwt"})");
  EXPECT_EQ(nobody.status, 409);
  EXPECT_NE(nobody.json().value("hint", "").find("[auth.jwt]"), std::string::npos);
}

TEST_F(AdminApiTest, SettingsOfEndpoints) {
  const std::string path = "/admin/api/services/shop/settings";
  ASSERT_EQ(Ask("POST", "/admin/api/services", R"({"serviceId": "shop"})").status, 200);
  const AdminReply put =
      Ask("PUT", path,
          R"({"max_records": 9, "endpoints": {"a": {"max_records": 5, "auth": null}, "b": {}}})");
  ASSERT_EQ(put.status, 200) << put.body;
  const Json settings = Ask("GET", path).json();
  EXPECT_EQ(settings["endpoints"], Json({{"a", {{"max_records", 5}}}}));
  const AdminReply wrong = Ask("PUT", path, R"({"endpoints": {"a": {"max_recrods": 5}}})");
  EXPECT_EQ(wrong.status, 400);
  EXPECT_NE(wrong.body.find("endpoint 'a'"), std::string::npos) << wrong.body;
  EXPECT_NE(wrong.body.find("max_records"), std::string::npos) << wrong.body;
  EXPECT_EQ(Ask("PUT", path, R"({"endpoints": {"a": {"auth": "maybe"}}})").status, 400);
  EXPECT_EQ(Ask("PUT", path, R"({"endpoints": {"a": {"redact": ["x"]}}})").status, 400);
  EXPECT_EQ(Ask("PUT", path, R"({"endpoints": []})").status, 400);
  EXPECT_EQ(Ask("PUT", path, "{}").status, 200);
  EXPECT_FALSE(Ask("GET", path).json().contains("endpoints"));
}

TEST_F(AdminApiTest, Keys) {
  EXPECT_EQ(Ask("GET", "/admin/api/keys").json(), Json::array());
  const AdminReply made =
      Ask("POST", "/admin/api/keys",
          R"({"label": "a", "description": null, "createdBy": null, "expiry": null})");
  ASSERT_EQ(made.status, 200) << made.body;
  const std::string secret = made.json()["key"], id = made.json()["id"];
  EXPECT_TRUE(parts_.keys->Find(secret, 0));
  EXPECT_FALSE(made.json().contains("warnings"));
  const AdminReply elsewhere = Ask("POST", "/admin/api/keys", R"({"services": ["nothere"]})");
  ASSERT_EQ(elsewhere.status, 200);
  EXPECT_NE(elsewhere.json()["warnings"].dump().find("nothere"), std::string::npos);
  EXPECT_EQ(Ask("DELETE", "/admin/api/keys/" + elsewhere.json().value("id", "") + "/key").status,
            200);
  const AdminReply listed = Ask("GET", "/admin/api/keys");
  EXPECT_EQ(listed.json()[0]["label"], "a");
  EXPECT_EQ(listed.body.find(secret), std::string::npos);
  EXPECT_EQ(Ask("DELETE", "/admin/api/keys/" + id + "/key").status, 200);
  EXPECT_EQ(Ask("DELETE", "/admin/api/keys/" + id + "/key").status, 404);
  for (const char* body :
       {R"({"expiry": 1})", R"({"expiry": 0})", R"({"expiry": ""})", R"({"expiry": "yesterday"})",
        R"({"label": 7})", R"({"services": "shop"})", R"({"admin": true, "services": ["shop"]})"})
    EXPECT_EQ(Ask("POST", "/admin/api/keys", body).status, 400) << body;
  for (const char* body : {R"({"expiry": 4102444800})", R"({"expiry": 4102444800000})",
                           R"({"expiry": "2100-01-01T00:00:00Z"})", R"({"expiry": "2100-01-01"})"})
    EXPECT_EQ(Ask("POST", "/admin/api/keys", body).json()["expiry"], 4102444800000) << body;
  const std::string admin = Ask("POST", "/admin/api/keys", R"({"admin": true})").json()["key"];
  EXPECT_EQ(
      Ask("GET", "/admin/api/services", "", {{"Authorization", "Bearer " + admin}}, false).status,
      200);
}

TEST_F(AdminApiTest, CallsThatHaveNothingToDoHereSaySo) {
  EXPECT_EQ(Ask("POST", "/admin/api/model-cache?modelArchivePath=/x").json()["cached"], false);
  EXPECT_EQ(Ask("DELETE", "/admin/api/model-cache").json()["ok"], true);
  EXPECT_EQ(Ask("DELETE", "/admin/api/cached-code-envs").json()["ok"], true);
  EXPECT_EQ(Ask("POST", "/admin/api/cached-code-envs?fileDir=/x&language=PYTHON").status, 501);
  EXPECT_EQ(Ask("POST", "/admin/api/register-global-code-env").status, 501);
}

TEST(AdminStatusTest, AFullDiskIs507) {
  EXPECT_EQ(AdminStatus(FileError("write", "x", ENOSPC)), 507);
  EXPECT_EQ(AdminStatus(FileError("write", "x", EDQUOT)), 507);
  EXPECT_EQ(AdminStatus(Unavailable("busy")), 503);
  EXPECT_EQ(AdminStatus(Corruption("x")), 422);
}

TEST(TimestampMillisTest, ReadsWhatPackagesSay) {
  EXPECT_EQ(TimestampMillis("2026-01-02T03:04:05Z"), 1767323045000);
  EXPECT_EQ(TimestampMillis("2026-01-02T03:04:05.678901Z"), 1767323045678);
  EXPECT_EQ(TimestampMillis("2026-01-02"), std::nullopt);
  EXPECT_EQ(TimestampMillis(""), std::nullopt);
}

}  // namespace
}  // namespace slipway
