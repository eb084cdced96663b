#include "slipway/package/test_query.h"

#include "slipway/base/file.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

std::string Difference(const char* expected, const char* got, double tolerance = 0) {
  TestQuery query;
  query.expected = Json::parse(expected);
  query.tolerance = tolerance;
  return CompareAnswer(query, Json::parse(got));
}

TEST(TestQuery, ReadsBackAsItWasWritten) {
  TestQuery query{"fare", "short", Json{{"features", {{"x", 1}}}}, Json{{"prediction", 2.5}}, 1e-9};
  Result<std::vector<TestQuery>> read = TestQueriesFromJson(Json::array({TestQueryToJson(query)}));
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->size(), 1U);
  EXPECT_EQ(TestQueryToJson((*read)[0]), TestQueryToJson(query));
  // What a hand leaves out.
  read = TestQueriesFromJson(Json::parse(R"([{"endpoint": "fare", "request": {"features": {}}}])"));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ((*read)[0].name, "query 1");
  EXPECT_TRUE((*read)[0].expected.is_null());
  EXPECT_EQ((*read)[0].tolerance, 0);
}

TEST(TestQuery, WhatIsNoQueryIsRefused) {
  const auto refusal = [](const char* text) {
    const Result<std::vector<TestQuery>> read = TestQueriesFromJson(Json::parse(text));
    EXPECT_FALSE(read.ok()) << text;
    return read.ok() ? "" : read.error().message;
  };
  EXPECT_THAT(refusal("{}"), HasSubstr("not a list"));
  EXPECT_THAT(refusal("[3]"), HasSubstr("test query 1: it is not an object"));
  EXPECT_THAT(refusal(R"([{"endpoint": "e"}])"), HasSubstr("test query 1: missing key 'request'"));
  EXPECT_THAT(refusal(R"([{"request": {}}])"), HasSubstr("missing key 'endpoint'"));
  EXPECT_THAT(refusal(R"([{"endpoint": "a b", "request": {}}])"), HasSubstr("no name"));
  EXPECT_THAT(refusal(R"([{"endpoint": "e", "request": []}])"), HasSubstr("'request' must be"));
  EXPECT_THAT(refusal(R"([{"endpoint": "e", "request": {}, "expected": 3}])"),
              HasSubstr("'expected' must be"));
  EXPECT_THAT(refusal(R"([{"endpoint": "e", "request": {}, "tolerance": -1}])"),
              HasSubstr("'tolerance'"));
  EXPECT_THAT(refusal(R"([{"endpoint": "e", "request": {}, "expcted": {}}])"),
              HasSubstr("unknown key 'expcted'"));
}

TEST(TestQuery, AFileThatIsNoListIsCorrupt) {
  Result<TempDir> folder = TempDir::Make();
  ASSERT_TRUE(WriteFileAtomic(folder->File("test_queries.json"), "[{]").ok());
  EXPECT_EQ(ReadTestQueries(folder->path()).error().code, ErrorCode::kCorruption);
  ASSERT_TRUE(WriteFileAtomic(folder->File("test_queries.json"), "[]").ok());
  EXPECT_TRUE(ReadTestQueries(folder->path())->empty());
}

TEST(TestQuery, EqualAnswersHaveNoDifference) {
  EXPECT_EQ(Difference("null", R"({"prediction": 1})"), "");
  EXPECT_EQ(Difference(R"({"prediction": 2})", R"({"prediction": 2.0, "more": 1})"), "");
  EXPECT_EQ(Difference(R"({"prediction": 2.0})", R"({"prediction": 2})"), "");
  EXPECT_EQ(Difference(R"({"a": 0.0})", R"({"a": -0.0})"), "");
  EXPECT_EQ(
      Difference(R"({"a": null, "b": "x", "c": true})", R"({"a": null, "b": "x", "c": true})"), "");
  EXPECT_EQ(Difference(R"({"probas": {"no": 0.25, "yes": 0.75}})",
                       R"({"probas": {"yes": 0.75, "no": 0.25}, "prediction": "yes"})"),
            "");
  EXPECT_EQ(Difference(R"({"l": [1, {"x": 2}]})", R"({"l": [1.0, {"x": 2, "y": 3}]})"), "");
  EXPECT_EQ(Difference(R"({"a": 9007199254740993})", R"({"a": 9007199254740993})"), "");
}

TEST(TestQuery, DifferencesNameTheMemberAndBothValues) {
  EXPECT_EQ(Difference(R"({"prediction": 12.75})", R"({"prediction": 12.5})"),
            "prediction: got 12.5, expected 12.75");
  EXPECT_EQ(Difference(R"({"a": 0.1})", R"({"a": 0.10000000000000002})"),
            "a: got 0.10000000000000002, expected 0.1");
  EXPECT_EQ(Difference(R"({"a": 9007199254740993})", R"({"a": 9007199254740992.0})"),
            "a: got 9.007199254740992e+15, expected 9007199254740993");
  EXPECT_EQ(Difference(R"({"a": 1})", "{}"), "a: missing, expected 1");
  EXPECT_EQ(Difference(R"({"a": "1"})", R"({"a": 1})"), "a: got 1, expected \"1\"");
  EXPECT_EQ(Difference(R"({"a": true})", R"({"a": false})"), "a: got false, expected true");
  EXPECT_EQ(Difference(R"({"a": null})", R"({"a": 0})"), "a: got 0, expected null");
  EXPECT_EQ(Difference(R"({"probas": {"yes": 0.5, "no": 0.5}})", R"({"probas": {"yes": 0.25}})"),
            "probas.no: missing, expected 0.5; probas.yes: got 0.25, expected 0.5");
  EXPECT_EQ(Difference(R"({"l": [1, 2]})", R"({"l": [1]})"), "l: got [1], expected [1,2]");
  EXPECT_EQ(Difference(R"({"l": [1, 2]})", R"({"l": [1, 3]})"), "l[1]: got 3, expected 2");
  EXPECT_EQ(Difference(R"({"a": 1})", "7"), "the answer: got 7, expected {\"a\":1}");
  std::string many = Difference(R"({"a":1,"b":1,"c":1,"d":{"x":1,"y":1,"z":1},"e":1})",
                                R"({"a":2,"b":2,"c":2,"d":{"x":2,"y":2,"z":2},"e":2})");
  EXPECT_THAT(many, ::testing::EndsWith("; and more"));
}

TEST(TestQuery, ToleranceIsRelativeToTheLarger) {
  EXPECT_EQ(Difference(R"({"a": 100})", R"({"a": 101})", 0.01), "");
  EXPECT_EQ(Difference(R"({"a": 100})", R"({"a": 102})", 0.01),
            "a: got 102, expected 100 (tolerance 0.01)");
  EXPECT_EQ(Difference(R"({"a": -1e-300})", R"({"a": 1e-300})", 0.5),
            "a: got 1e-300, expected -1e-300 (tolerance 0.5)");
}

TEST(TestQuery, DepthIsNoStack) {
  Json expected = 1, got = 2;
  for (int i = 0; i < 2000; ++i) {
    expected = Json{{"a", std::move(expected)}};
    got = Json{{"a", std::move(got)}};
  }
  TestQuery query;
  query.expected = std::move(expected);
  EXPECT_THAT(CompareAnswer(query, got), HasSubstr("got 2, expected 1"));
}

}  // namespace
}  // namespace slipway
