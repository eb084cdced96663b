#include "slipway/serve/lookup_endpoint.h"

#include "slipway/base/json.h"
#include "slipway/serve/serve_for_test.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

class LookupEndpointTest : public ::testing::Test {
 protected:
  // With these policies for a missing key, no match and several matches.
  void Load(LookupPolicy missing, LookupPolicy none, LookupPolicy several) {
    PackageManifest manifest = ServedManifestForTest("v1");
    TableUse& use = manifest.endpoints[3].tables[0];
    use.missing_key = missing;
    use.no_match = none;
    use.several_matches = several;
    package_ = std::make_unique<ServedPackageForTest>(manifest);
    generation_ = package_->Load();
  }
  std::string Ask(Verb verb, const std::string& body, int64_t most = 0) {
    const EndpointAnswerForTest answer = AskEndpoint(*generation_->Find("shops"), verb, body, most);
    outcome_ = answer.outcome;
    return answer.outcome.error ? "error: " + answer.outcome.error->message : answer.text;
  }
  std::string Lookup(const std::string& data) {
    return Ask(Verb::kLookup, "{\"data\":" + data + "}");
  }

  std::unique_ptr<ServedPackageForTest> package_;
  std::shared_ptr<const Generation> generation_;
  CallOutcome outcome_;
};

TEST_F(LookupEndpointTest, AnswersAnArrayOnTheSingleFormToo) {
  Load(LookupPolicy::kContinue, LookupPolicy::kContinue, LookupPolicy::kContinue);
  EXPECT_EQ(Lookup(R"({"shop_id":1})"),
            R"({"results":[{"data":{"size":1,"kind":"green","since":"1970-01-01"}}]})");
  EXPECT_EQ(Lookup(R"({"shop_id":" 1 ","other":[]})"), Lookup(R"({"shop_id":1.0})"));
  EXPECT_EQ(Lookup(R"({"shop_id":3})"),
            R"({"results":[{"data":{"size":null,"kind":null,"since":"1970-01-04"}}]})");
  // continue: the first of several; nothing of none
  EXPECT_THAT(Lookup(R"({"shop_id":2})"), HasSubstr(R"("kind":"red")"));
  EXPECT_EQ(Lookup(R"({"shop_id":9})"), R"({"results":[{"data":{}}]})");
  EXPECT_EQ(Lookup(R"({"shop_id":null})"), R"({"results":[{"data":{}}]})");
  EXPECT_EQ(Lookup("{}"), R"({"results":[{"data":{}}]})");
}

TEST_F(LookupEndpointTest, PoliciesIgnoreOrFail) {
  Load(LookupPolicy::kIgnore, LookupPolicy::kError, LookupPolicy::kIgnore);
  EXPECT_EQ(Lookup("{}"),
            R"({"results":[{"data":{},"ignored":true,"ignoreReason":"MISSING_LOOKUP_KEY"}]})");
  EXPECT_EQ(Lookup(R"({"shop_id":2})"),
            R"({"results":[{"data":{},"ignored":true,"ignoreReason":"MULTIPLE_LOOKUP_MATCHES"}]})");
  EXPECT_EQ(Lookup(R"({"shop_id":9})"), "error: table 'shops' has no row of the record's key");
  const Result<Json> many = ParseJson(Ask(
      Verb::kLookupMulti,
      R"({"items":[{"data":{"shop_id":9}},{"data":{"shop_id":1}},{"data":{"shop_id":"x"}},{}]})"));
  ASSERT_TRUE(many.ok());
  const Json& results = (*many)["results"];
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[0]["ignoreReason"], "NO_LOOKUP_MATCH");
  EXPECT_TRUE(results[0].contains("error"));
  EXPECT_EQ(results[1]["data"]["kind"], "green");
  EXPECT_FALSE(results[1].contains("ignored"));
  EXPECT_EQ(results[2]["ignoreReason"], "BAD_RECORD");
  EXPECT_EQ(results[2]["error"]["message"], "field 'shop_id': 'x' is not a whole number");
  EXPECT_EQ(results[3]["error"]["message"], "the record has no 'data'");
  EXPECT_EQ(outcome_.records, 4);
  EXPECT_EQ(outcome_.failed, 3);
}

// The same table twice: what the first finds for "size" is the key of the second.
TEST_F(LookupEndpointTest, ALaterTableMayUseAsAKeyWhatAnEarlierOneFound) {
  const auto load = [&](LookupPolicy missing) {
    PackageManifest manifest = ServedManifestForTest("v1");
    std::vector<TableUse>& tables = manifest.endpoints[3].tables;
    tables[0].columns = {{"size", "next"}, {"kind", "kind"}};
    tables[0].several_matches = LookupPolicy::kContinue;
    TableUse second = tables[0];
    second.keys = {{"shop", "next"}};
    second.columns = {{"kind", "kind_of_next"}, {"opened", "since"}};
    second.missing_key = missing;
    second.no_match = LookupPolicy::kIgnore;
    tables.push_back(second);
    package_ = std::make_unique<ServedPackageForTest>(manifest);
    generation_ = package_->Load();
  };
  load(LookupPolicy::kContinue);
  // Shop 1 has size 1.0, which is read as the whole number that the key is.
  EXPECT_EQ(
      Lookup(R"({"shop_id":1})"),
      R"({"results":[{"data":{"next":1,"kind":"green","kind_of_next":"green","since":"1970-01-01"}}]})");
  // The record's own key stands; the answer is the tables'.
  EXPECT_EQ(
      Lookup(R"({"shop_id":1,"next":3})"),
      R"({"results":[{"data":{"next":1,"kind":"green","kind_of_next":null,"since":"1970-01-04"}}]})");
  EXPECT_EQ(Lookup(R"({"next":3})"),
            R"({"results":[{"data":{"kind_of_next":null,"since":"1970-01-04"}}]})");
  // Shop 2 has size 5, shop 3 none.
  EXPECT_THAT(Lookup(R"({"shop_id":2})"), HasSubstr("NO_LOOKUP_MATCH"));
  EXPECT_EQ(Lookup(R"({"shop_id":3})"), R"({"results":[{"data":{"next":null,"kind":null}}]})");
  // One record's finds are not the next one's.
  EXPECT_EQ(Ask(Verb::kLookupMulti, R"({"items":[{"data":{"shop_id":1}},{"data":{"shop_id":3}}]})"),
            R"({"results":[{"data":{"next":1,"kind":"green","kind_of_next":"green","since":)"
            R"("1970-01-01"}},{"data":{"next":null,"kind":null}}]})");
  load(LookupPolicy::kError);
  EXPECT_EQ(Lookup(R"({"shop_id":3})"),
            "error: the record has no 'next', which table 'shops' is looked up by");
}

TEST_F(LookupEndpointTest, WrongBodiesAreErrors) {
  Load(LookupPolicy::kContinue, LookupPolicy::kContinue, LookupPolicy::kContinue);
  EXPECT_EQ(Ask(Verb::kLookup, ""), "error: the body has no 'data'");
  EXPECT_EQ(Ask(Verb::kLookup, R"({"data":1})"), "error: data is no object");
  EXPECT_EQ(Ask(Verb::kLookupMulti, R"({"items":{}})"), "error: items is no array");
  EXPECT_THAT(Ask(Verb::kLookupMulti, R"({"items":[{"data":{}},]})"), HasSubstr("missing"));
  EXPECT_THAT(Lookup(R"({"shop_id":1,"shop_id":1})"), HasSubstr("'shop_id' stands twice"));
  EXPECT_THAT(Ask(Verb::kLookupMulti, R"({"items":[{"data":{}},{"data":{}}]})", 1),
              HasSubstr("more than 1 records"));
  EXPECT_EQ(outcome_.status, 413);
}

}  // namespace
}  // namespace slipway
