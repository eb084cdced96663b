#include <map>

#include "slipway/base/json.h"
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

  void Serve(const std::string& id) {
    const ServedPackageForTest package(ServedManifestForTest(id));
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

}  // namespace
}  // namespace slipway
