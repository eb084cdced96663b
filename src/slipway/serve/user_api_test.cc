#include <map>

#include <zlib.h>

#include "slipway/base/json.h"
#include "slipway/serve/allocation_for_test.h"
#include "slipway/serve/serve_for_test.h"
#include "slipway/serve/user_request.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

// A node with the package as generation v1 of service "shop".
class UserApiTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({}); }

  void Start(NodeConfig config) {
    api_.reset();
    parts_ = std::make_unique<NodeParts>();
    home_ = *TempDir::Make();
    parts_->config = std::move(config);
    parts_->config.home = home_.path();
    parts_->config.admission.workers = 2;
    parts_->admission = Admission::Make(parts_->config.admission);
    parts_->stats = std::make_unique<StatsRegistry>(parts_->slots());
    parts_->state = *NodeState::Open(home_.path(), parts_->stats.get());
    parts_->keys = *KeyStore::Open(home_.path());
    QueryLogOptions log;
    log.folder = home_.File("query-log");
    log.slots = parts_->slots();
    parts_->query_log = *QueryLog::Open(log);
    Serve("v1");
    api_ = std::make_unique<UserApi>(parts_.get());
  }
  void TearDown() override {
    if (parts_ && parts_->admission) parts_->admission->Drain();
    api_.reset();
  }

  void Serve(const std::string& id, const std::string& auth = "") {
    PackageManifest manifest = ServedManifestForTest(id);
    manifest.auth = auth;
    const ServedPackageForTest package(std::move(manifest));
    const Result<std::string> imported =
        parts_->state->Import("shop", package.zip(), true, std::nullopt);
    ASSERT_TRUE(imported.ok()) << imported.error().message;
    const Status mapped = parts_->state->SetMapping("shop", {{id, 1.0}}, std::nullopt);
    ASSERT_TRUE(mapped.ok()) << mapped.error().message;
  }

  // The reply, after a deferred answer too.
  HttpReply Ask(UserRequestForTest asked, bool* deferred = nullptr) {
    const std::string path = asked.path;
    ExchangeForTest exchange(std::move(asked));
    api_->Handle(path, exchange.request(), &exchange.reply(), &exchange);
    exchange.Wait();
    if (deferred != nullptr) *deferred = exchange.deferred();
    return exchange.reply();
  }
  HttpReply Post(const std::string& path, const std::string& body,
                 std::vector<std::pair<std::string, std::string>> headers = {}) {
    return Ask({"POST", "/public/api/v1/shop/" + path, "", body, std::move(headers)});
  }

  TempDir home_;
  std::unique_ptr<NodeParts> parts_;
  std::unique_ptr<UserApi> api_;
};

TEST_F(UserApiTest, PredictsOneRecord) {
  const HttpReply reply = Post("bare/predict", R"({"features": {"size": 1, "kind": 1}})");
  EXPECT_EQ(reply.status, 200) << reply.body;
  const Result<Json> answer = ParseJson(reply.body);
  ASSERT_TRUE(answer.ok()) << reply.body;
  EXPECT_EQ(DumpJson((*answer)["result"]), R"({"prediction":0.25,"ignored":false})");
  EXPECT_EQ((*answer)["timing"].size(), 6u);
  for (const Json& micros : (*answer)["timing"]) EXPECT_TRUE(micros.is_number_integer());
  EXPECT_EQ(DumpJson((*answer)["apiContext"]),
            R"({"serviceId":"shop","endpointId":"bare","serviceGeneration":"v1"})");
  EXPECT_EQ(reply.content_type, "application/json");
  EXPECT_THAT(reply.headers, HasSubstr("DSS-API-Version: "));
  EXPECT_THAT(reply.headers, HasSubstr("DSS-Version: "));
  EXPECT_THAT(reply.headers, HasSubstr("X-Request-Id: "));
}

std::string ErrorOf(const HttpReply& reply) {
  const Result<Json> body = ParseJson(reply.body);
  return body.ok() && body->contains("errorType") ? (*body)["message"].get<std::string>()
                                                  : "no error: " + reply.body;
}

constexpr const char* kSmall = R"({"features": {"size": 1, "kind": 1}})";

TEST_F(UserApiTest, RoutesAndTheirErrors) {
  EXPECT_EQ(Post("bare/predict-multi", R"({"items":[{"features":{"size":1}}]})").status, 200);
  EXPECT_EQ(Post("shops/lookup", R"({"data":{"shop_id":1}})").status, 200);
  EXPECT_EQ(Post("shops/lookup-multi", R"({"items":[{"data":{"shop_id":1}}]})").status, 200);
  const HttpReply simple =
      Ask({"GET", "/public/api/v1/shop/bare/predict-simple", "size=1&kind=1", "", {}});
  EXPECT_EQ(simple.status, 200);
  EXPECT_THAT(simple.body, HasSubstr("\"prediction\":0.25"));
  const HttpReply openapi = Ask({"GET", "/public/api/v1/shop/openapi.json", "", "", {}});
  EXPECT_EQ(openapi.status, 200);
  EXPECT_THAT(openapi.body, HasSubstr("3.1.0"));

  EXPECT_EQ(Post("bar/predict", kSmall).status, 404);
  EXPECT_THAT(ErrorOf(Post("bar/predict", kSmall)), HasSubstr("no endpoint 'bar'"));
  EXPECT_EQ(Post("bare/run", "").status, 404);
  EXPECT_EQ(Post("bare", "").status, 404);
  EXPECT_EQ(Post("bare/lookup", "{}").status, 404);
  EXPECT_THAT(ErrorOf(Post("shops/predict", kSmall)), HasSubstr("is a lookup endpoint"));
  EXPECT_EQ(Ask({"POST", "/public/api/v1/other/bare/predict", "", kSmall, {}}).status, 404);
  EXPECT_EQ(Ask({"POST", "/public/api/v1/", "", kSmall, {}}).status, 404);
  const HttpReply get = Ask({"GET", "/public/api/v1/shop/bare/predict", "", "", {}});
  EXPECT_EQ(get.status, 405);
  EXPECT_THAT(get.headers, HasSubstr("Allow: POST"));
  EXPECT_EQ(Ask({"POST", "/public/api/v1/shop/bare/predict-simple", "", "", {}}).status, 405);
  const HttpReply bad = Post("bare/predict", "{\"features\":");
  EXPECT_EQ(bad.status, 400);
  EXPECT_THAT(bad.body, HasSubstr("\"errorType\":\"InvalidArgumentException\""));
  EXPECT_THAT(bad.body, HasSubstr("detailedMessage"));
  EXPECT_THAT(bad.headers, HasSubstr("DSS-Version: "));
}

TEST_F(UserApiTest, AnyContentTypeIsTaken) {
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded", ""})
    EXPECT_EQ(Post("bare/predict", kSmall, {{"Content-Type", type}}).status, 200);
}

TEST_F(UserApiTest, RequestIdsAndTraceContextComeBack) {
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const HttpReply kept =
      Post("bare/predict", kSmall, {{"x-request-ID", "my-id:1"}, {"Traceparent", trace}});
  EXPECT_THAT(kept.headers, HasSubstr("X-Request-Id: my-id:1\r\n"));
  EXPECT_THAT(kept.headers, HasSubstr("traceparent: " + trace));
  for (const std::string& bad : {std::string("a b"), std::string("x\"y"), std::string(129, 'a')}) {
    const HttpReply replaced =
        Post("bare/predict", kSmall, {{"X-Request-Id", bad}, {"traceparent", "00-1-2-3"}});
    EXPECT_THAT(replaced.headers, ::testing::Not(HasSubstr(bad)));
    EXPECT_THAT(replaced.headers, HasSubstr("X-Request-Id: "));
    EXPECT_THAT(replaced.headers, ::testing::Not(HasSubstr("traceparent")));
  }
  const std::string state = "vendor=00f067aa0ba902b7,other=t61rcWkgMzE";
  EXPECT_THAT(Post("bare/predict", kSmall, {{"traceparent", trace}, {"TraceState", state}}).headers,
              HasSubstr("tracestate: " + state + "\r\n"));
  using Headers = std::vector<std::pair<std::string, std::string>>;
  for (const Headers& useless :
       {Headers{{"tracestate", state}}, Headers{{"traceparent", "00-1-2-3"}, {"tracestate", state}},
        Headers{{"traceparent", trace}, {"tracestate", state}, {"tracestate", "c=d"}},
        Headers{{"traceparent", trace}, {"tracestate", std::string(513, 'a')}}}) {
    EXPECT_THAT(Post("bare/predict", kSmall, useless).headers,
                ::testing::Not(HasSubstr("tracestate")));
  }
  const HttpReply error = Post("none/predict", kSmall, {{"X-Request-Id", "mine"}});
  EXPECT_THAT(error.body, HasSubstr("\"request_id\":\"mine\""));
}

TEST_F(UserApiTest, DispatchPicksTheGeneration) {
  Serve("v2");
  ASSERT_TRUE(parts_->state->SetMapping("shop", {{"v1", 0.5}, {"v2", 0.5}}, std::nullopt).ok());
  const auto generation_of = [&](const std::string& dispatch) {
    const HttpReply reply =
        Post("bare/predict", R"({"features":{"size":1},"dispatch":)" + dispatch + "}");
    const Result<Json> body = ParseJson(reply.body);
    return reply.status == 200 ? (*body)["apiContext"]["serviceGeneration"].get<std::string>()
                               : std::to_string(reply.status);
  };
  EXPECT_EQ(generation_of(R"({"forcedGeneration":"v1"})"), "v1");
  EXPECT_EQ(generation_of(R"({"forcedGeneration":"v2"})"), "v2");
  EXPECT_EQ(generation_of(R"({"forcedGeneration":"v2","dispatchKey":"a"})"), "v2");
  EXPECT_EQ(generation_of(R"({"forcedGeneration":"v9"})"), "404");
  EXPECT_THAT(
      Post("bare/predict", R"({"features":{},"dispatch":{"forcedGeneration":"v9"}})").body,
      AnyOf(HasSubstr(R"("hint":"loaded: v1, v2")"), HasSubstr(R"("hint":"loaded: v2, v1")")));
  EXPECT_EQ(generation_of(R"(["v1"])"), "400");
  EXPECT_EQ(generation_of(R"({"dispatchKey":{}})"), "400");
  std::map<std::string, int> random, keyed;
  for (int i = 0; i < 60; ++i) {
    ++random[generation_of("null")];
    const std::string key = generation_of(R"({"dispatchKey":"user )" + std::to_string(i) + "\"}");
    ++keyed[key];
    EXPECT_EQ(generation_of(R"({"forcedGeneration":null,"dispatchKey":"user )" + std::to_string(i) +
                            "\"}"),
              key);
  }
  EXPECT_EQ(random.size(), 2u);
  EXPECT_EQ(keyed.size(), 2u);
  const HttpReply escaped =
      Post("bare/predict", R"({"features":{},"\u0064ispatch":{"forcedGeneration":"v\u0031"}})");
  EXPECT_THAT(escaped.body, HasSubstr("\"serviceGeneration\":\"v1\""));
  for (const char* twice :
       {R"({"forcedGeneration":"v1","forcedGeneration":"v2"})",
        R"({"dispatchKey":"a","dispatchKey":"a"})", R"(null,"dispatch":{"dispatchKey":"a"})"})
    EXPECT_EQ(generation_of(twice), "400") << twice;
}

TEST_F(UserApiTest, ItemsSentToPredictAreToldWhereTheyBelong) {
  const HttpReply reply = Post("bare/predict", R"({"items":[{"features":{}}]})");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("predict-multi"));
}

TEST_F(UserApiTest, ADisabledServiceAnswers503) {
  ASSERT_TRUE(parts_->state->SetEnabled("shop", false, std::nullopt).ok());
  const HttpReply reply = Post("bare/predict", kSmall);
  EXPECT_EQ(reply.status, 503);
  EXPECT_THAT(reply.headers, HasSubstr("Retry-After: "));
  ASSERT_TRUE(parts_->state->SetEnabled("shop", true, std::nullopt).ok());
  EXPECT_EQ(Post("bare/predict", kSmall).status, 200);
}

TEST_F(UserApiTest, KeysOpenTheServicesTheyAreFor) {
  ServiceSettings settings;
  settings.auth = "api_keys";
  ASSERT_TRUE(parts_->state->SetSettings("shop", settings, std::nullopt).ok());
  const HttpReply none = Post("bare/predict", kSmall);
  EXPECT_EQ(none.status, 401);
  EXPECT_THAT(none.headers, HasSubstr("WWW-Authenticate: Basic"));
  EXPECT_THAT(none.body, HasSubstr("errorType"));
  EXPECT_EQ(Post("bare/predict", kSmall, {{"Authorization", "Bearer wrong"}}).status, 401);

  ApiKey right, other;
  right.label = "caller";
  right.services = {"shop"};
  other.services = {"elsewhere"};
  const Result<NewApiKey> made = parts_->keys->Create(right);
  const Result<NewApiKey> foreign = parts_->keys->Create(other);
  ASSERT_TRUE(made.ok() && foreign.ok());
  const std::string bearer = "Bearer " + made->secret;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Post("bare/predict", kSmall, {{"Authorization", bearer}}).status, 200);
    EXPECT_EQ(Post("bare/predict", kSmall, {{"Authorization", "Bearer " + foreign->secret}}).status,
              403);
  }
  ApiKey brief;
  brief.expires_at = 1000;
  const std::string old = parts_->keys->Create(brief)->secret;
  const HttpReply expired = Post("bare/predict", kSmall, {{"Authorization", "Bearer " + old}});
  EXPECT_EQ(expired.status, 401);
  EXPECT_THAT(expired.body, HasSubstr("the API key has expired"));
  ASSERT_TRUE(parts_->keys->DeleteById(made->key.id).ok());
  EXPECT_EQ(Post("bare/predict", kSmall, {{"Authorization", bearer}}).status, 401);

  settings.auth = "public";
  ASSERT_TRUE(parts_->state->SetSettings("shop", settings, std::nullopt).ok());
  EXPECT_EQ(Post("bare/predict", kSmall).status, 200);
  EXPECT_EQ(Post("bare/predict", kSmall, {{"Authorization", "Bearer wrong"}}).status, 200);
}

TEST_F(UserApiTest, OffLoopbackAKeyIsNeededUnlessSaid) {
  NodeConfig config;
  config.listen = {{"0.0.0.0", 12000}};
  Start(config);
  EXPECT_EQ(Post("bare/predict", kSmall).status, 401);
  config.allow_public = true;
  Start(config);
  EXPECT_EQ(Post("bare/predict", kSmall).status, 200);
}

TEST_F(UserApiTest, OffLoopbackAPackageOpensNothingByItself) {
  NodeConfig config;
  config.listen = {{"0.0.0.0", 12000}};
  Start(config);
  Serve("v2", "public");
  EXPECT_EQ(Post("bare/predict", kSmall).status, 401);
  ServiceSettings settings;
  settings.auth = "public";  // somebody said it on this node
  ASSERT_TRUE(parts_->state->SetSettings("shop", settings, std::nullopt).ok());
  EXPECT_EQ(Post("bare/predict", kSmall).status, 200);
  config.allow_public = true;
  Start(config);
  Serve("v2", "public");
  EXPECT_EQ(Post("bare/predict", kSmall).status, 200);
  Serve("v3", "api_keys");
  EXPECT_EQ(Post("bare/predict", kSmall).status, 401);
}

// One that was loaded to be looked at locked out the callers of the one that serves.
TEST_F(UserApiTest, AGenerationWithoutTrafficAsksForKeysOnlyWhenItIsForced) {
  Serve("v2", "api_keys");
  ASSERT_TRUE(parts_->state->SetMapping("shop", {{"v1", 1.0}}, std::nullopt).ok());
  ASSERT_TRUE(parts_->state->Preload("shop", "v2", std::nullopt).ok());
  EXPECT_EQ(Post("bare/predict", kSmall).status, 200);
  const std::string forced = R"({"features":{},"dispatch":{"forcedGeneration":"v2"}})";
  const HttpReply refused = Post("bare/predict", forced);
  EXPECT_EQ(refused.status, 401);
  EXPECT_THAT(refused.headers, HasSubstr("WWW-Authenticate: Basic"));
  EXPECT_THAT(refused.body, HasSubstr("generation 'v2' of service 'shop' needs an API key"));
  EXPECT_EQ(Post("bare/predict", forced, {{"Authorization", "Bearer wrong"}}).status, 401);
  const Result<NewApiKey> made = parts_->keys->Create({});
  ASSERT_TRUE(made.ok());
  const std::string bearer = "Bearer " + made->secret;
  EXPECT_EQ(Post("bare/predict", forced, {{"Authorization", bearer}}).status, 200);
  ServiceSettings settings;
  settings.shadow = "v2";
  ASSERT_TRUE(parts_->state->SetSettings("shop", settings, std::nullopt).ok());
  EXPECT_EQ(Post("bare/predict", kSmall).status, 200);
  ASSERT_TRUE(parts_->state->SetMapping("shop", {{"v1", 0.9}, {"v2", 0.1}}, std::nullopt).ok());
  EXPECT_EQ(Post("bare/predict", kSmall).status, 401);
}

TEST_F(UserApiTest, WhatIsRefusedBeforeAnEndpointIsCounted) {
  const auto count = [&](const std::string& service, int status) {
    const auto rows = parts_->refusals.Rows();
    const auto at = rows.find({service, status});
    return at == rows.end() ? 0 : at->second;
  };
  Post("bare/predict", kSmall);
  Post("bare/predict", "no json");
  EXPECT_EQ(parts_->refusals.Rows().size(), 0U);
  Post("nowhere/predict", kSmall);
  Post("bare/lookup", kSmall);
  EXPECT_EQ(count("shop", 404), 2);
  Ask({"GET", "/public/api/v1/shop/bare/predict", "", "", {}});
  EXPECT_EQ(count("shop", 405), 1);
  Ask({"POST", "/public/api/v1/elsewhere/bare/predict", "", kSmall, {}});
  EXPECT_EQ(count("", 404), 1);
  Post("bare/predict", "xx", {{"Content-Encoding", "gzip"}});
  EXPECT_EQ(count("shop", 400), 1);
  ServiceSettings settings;
  settings.rate_per_key = 1;
  settings.auth = "public";
  ASSERT_TRUE(parts_->state->SetSettings("shop", settings, std::nullopt).ok());
  for (int i = 0; i < 20; ++i) Post("bare/predict", kSmall);
  EXPECT_GE(count("shop", 429), 1);
  settings.auth = "api_keys";
  ASSERT_TRUE(parts_->state->SetSettings("shop", settings, std::nullopt).ok());
  Post("bare/predict", kSmall);
  EXPECT_EQ(count("shop", 401), 1);
  settings = {};
  ASSERT_TRUE(parts_->state->SetSettings("shop", settings, std::nullopt).ok());
  ASSERT_TRUE(parts_->state->SetEnabled("shop", false, std::nullopt).ok());
  Post("bare/predict", kSmall);
  EXPECT_EQ(count("shop", 503), 1);
}

TEST_F(UserApiTest, LongWorkGoesToAWorkerAndKeepsItsGeneration) {
  bool deferred = false;
  std::string items;
  for (int i = 0; i < 5000; ++i) items += (i == 0 ? "" : ",") + std::string(kSmall);
  const HttpReply reply = Ask({"POST",
                               "/public/api/v1/shop/bare/predict-multi",
                               "",
                               "{\"items\":[" + items + "]}",
                               {{"X-Request-Id", "mine"}}},
                              &deferred);
  EXPECT_TRUE(deferred);
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.headers, HasSubstr("X-Request-Id: mine"));
  const Result<Json> body = ParseJson(reply.body);
  ASSERT_TRUE(body.ok());
  EXPECT_EQ((*body)["results"].size(), 5000u);
  EXPECT_EQ((*body)["apiContext"]["serviceGeneration"], "v1");

  const HttpReply explained = Ask({"POST",
                                   "/public/api/v1/shop/sold/predict",
                                   "",
                                   R"({"features":{"size":1},"explanations":{"enabled":true}})",
                                   {}},
                                  &deferred);
  EXPECT_TRUE(deferred);
  EXPECT_EQ(explained.status, 200) << explained.body;
}

TEST_F(UserApiTest, TooManyRecordsAre413NamingTheLimit) {
  ServiceSettings settings;
  settings.max_records = 2;
  ASSERT_TRUE(parts_->state->SetSettings("shop", settings, std::nullopt).ok());
  const HttpReply reply =
      Post("bare/predict-multi", R"({"items":[{"features":{}},{"features":{}},{"features":{}}]})");
  EXPECT_EQ(reply.status, 413);
  EXPECT_THAT(ErrorOf(reply), HasSubstr("more than 2 records"));
}

TEST_F(UserApiTest, AnEndpointsSettingsAreInPlaceOfItsServices) {
  constexpr const char* kThree = R"({"items":[{"features":{}},{"features":{}},{"features":{}}]})";
  ServiceSettings settings;
  settings.auth = "api_keys";
  settings.max_records = 2;
  settings.endpoints["bare"].auth = "public";
  settings.endpoints["bare"].max_records = 3;
  ASSERT_TRUE(parts_->state->SetSettings("shop", settings, std::nullopt).ok());
  EXPECT_EQ(Post("bare/predict-multi", kThree).status, 200);
  EXPECT_EQ(Post("sold/predict-multi", kThree).status, 401);

  settings.auth = "public";
  settings.endpoints["bare"].auth = "api_keys";
  ASSERT_TRUE(parts_->state->SetSettings("shop", settings, std::nullopt).ok());
  EXPECT_EQ(Post("bare/predict", kSmall).status, 401);
  const HttpReply most = Post("sold/predict-multi", kThree);
  EXPECT_EQ(most.status, 413);
  EXPECT_THAT(ErrorOf(most), HasSubstr("more than 2 records"));

  // What an endpoint does not say is the service's.
  settings.endpoints["bare"] = {};
  settings.endpoints["bare"].rate_per_key = 0;
  ASSERT_TRUE(parts_->state->SetSettings("shop", settings, std::nullopt).ok());
  EXPECT_EQ(Post("bare/predict-multi", kThree).status, 413);
}

TEST_F(UserApiTest, WhatCannotBeAdmittedIsRefused) {
  parts_->admission->Drain();
  const HttpReply reply =
      Post("sold/predict", R"({"features":{"size":1},"explanations":{"enabled":true}})");
  EXPECT_EQ(reply.status, 503);
  EXPECT_THAT(reply.headers, HasSubstr("Retry-After: "));
  EXPECT_EQ(Post("bare/predict", kSmall).status, 200);  // short work needs no worker
}

TEST_F(UserApiTest, GzipBodiesAreInflatedAndBounded) {
  const auto gzip = [](const std::string& text) {
    z_stream stream{};
    EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string out(deflateBound(&stream, text.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
  };
  const std::vector<std::pair<std::string, std::string>> encoded = {{"Content-Encoding", "gzip"}};
  const HttpReply reply = Post("bare/predict", gzip(kSmall), encoded);
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_THAT(reply.body, HasSubstr("\"prediction\":0.25"));
  EXPECT_EQ(Post("bare/predict", kSmall, encoded).status, 400);
  const std::string whole = gzip(kSmall);
  EXPECT_EQ(Post("bare/predict", whole.substr(0, whole.size() - 3), encoded).status, 400);
  EXPECT_EQ(Post("bare/predict", whole + "x", encoded).status, 400);
  // RFC 1952 2.2: several members; RFC 9110 8.4.1: any case, and the older name.
  const std::string text(kSmall);
  const std::string two = gzip(text.substr(0, 5)) + gzip(text.substr(5));
  for (const char* coding : {"gzip", "x-gzip", "GZip"})
    EXPECT_EQ(Post("bare/predict", two, {{"Content-Encoding", coding}}).status, 200) << coding;
  EXPECT_EQ(Post("bare/predict", two + gzip(text.substr(5)), encoded).status, 400);
  const HttpReply bomb = Post("bare/predict", gzip(std::string(20 << 20, ' ')), encoded);
  EXPECT_EQ(bomb.status, 413);
  EXPECT_EQ(Post("bare/predict", kSmall, {{"Content-Encoding", "br"}}).status, 415);
  EXPECT_EQ(Post("bare/predict", kSmall, {{"Content-Encoding", "identity"}}).status, 200);
}

TEST_F(UserApiTest, CountsAndLogsWhatItAnswers) {
  Post("bare/predict", kSmall, {{"X-Request-Id", "logged-one"}});
  Post("bare/predict", "nonsense");
  Post("bare/predict-multi", R"({"items":[{"features":{"size":1}},{"features":{"size":"x"}}]})");
  const auto totals = parts_->stats->Get("shop", "bare", "v1")->Sum();
  EXPECT_EQ(totals.requests[static_cast<size_t>(Answered::kOk)], 2);
  EXPECT_EQ(totals.requests[static_cast<size_t>(Answered::kClientError)], 1);
  EXPECT_EQ(totals.records, 3);
  EXPECT_EQ(totals.failed, 1);
  parts_->query_log->Flush();
  EXPECT_EQ(parts_->query_log->stats().written, 4);  // three records, one refusal
}

TEST_F(UserApiTest, AWarmPredictAllocatesNothing) {
  ServiceSettings settings;
  settings.log_sample = 0;
  ASSERT_TRUE(parts_->state->SetSettings("shop", settings, std::nullopt).ok());
  const std::string path = "/public/api/v1/shop/sold/predict";
  ExchangeForTest exchange({"POST",
                            path,
                            "",
                            R"({"features": {"size": 1.25, "kind": "red"}})",
                            {{"Host", "localhost"}, {"Accept", "*/*"}}});
  AllocationCounter counter;
  for (int i = 0; i < 20; ++i) {
    if (i == 10) counter.Start();
    exchange.reply().Clear();
    api_->Handle(path, exchange.request(), &exchange.reply(), &exchange);
  }
  EXPECT_EQ(counter.Stop(), 0);
  EXPECT_EQ(exchange.reply().status, 200);
}

}  // namespace
}  // namespace slipway
