#include "slipway/querylog/search.h"

#include <gtest/gtest.h>

#include "slipway/base/file.h"

namespace slipway {
namespace {

std::string Line(const std::string& id, const std::string& time, const std::string& more = "") {
  return R"({"time":")" + time + R"(","request_id":")" + id +
         R"(","trace_id":null,"service":"fares","endpoint":"fare","generation":"v3","key":null,)" +
         R"("verb":"predict","status":200,"latency_us":42)" + more + "}\n";
}
std::string Record(int number, const std::string& text) {
  return R"(,"record":)" + std::to_string(number) + R"(,"batch":2,"features":{"a":")" + text +
         R"("},"result":{"prediction":1.5})";
}

class QueryLogSearchTest : public testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomic(JoinPath(folder_.path(), name), text).ok());
  }
  FoundQueries Find(const std::string& id, size_t most = 100) {
    auto found = FindInQueryLog(folder_.path(), {.request_id = id, .most_lines = most});
    EXPECT_TRUE(found.ok()) << found.error().message;
    return found.ok() ? *found : FoundQueries();
  }
  TempDir folder_ = *TempDir::Make();
};

TEST_F(QueryLogSearchTest, GivesEveryRecordOfTheNewestFileThatHasTheRequest) {
  Write("queries-20261123T054016Z-000001.jsonl", Line("mine", "1") + Line("other", "2"));
  Write("queries-20261124T054016Z-000002.jsonl",
        Line("other", "3") + Line("mine", "4", Record(0, "x")) + Line("mine", "4", Record(1, "y")));
  Write("notes.txt", Line("mine", "9"));
  const FoundQueries found = Find("mine");
  ASSERT_EQ(found.lines.size(), 2u);
  EXPECT_EQ(found.count, 2);
  EXPECT_EQ(found.files, 1);
  EXPECT_EQ(found.lines[1]["features"]["a"], "y");
  EXPECT_EQ(found.since, "3");
  EXPECT_TRUE(found.complete);
}

TEST_F(QueryLogSearchTest, SaysHowFarItLookedWhenThereIsNone) {
  Write("queries-20261123T054016Z-000001.jsonl", Line("a", "1"));
  Write("queries-20261124T054016Z-000002.jsonl", Line("b", "2"));
  const FoundQueries found = Find("mine");
  EXPECT_TRUE(found.lines.empty());
  EXPECT_EQ(found.files, 2);
  EXPECT_EQ(found.since, "1");
}

TEST_F(QueryLogSearchTest, AClientsOwnTextIsNoRequest) {
  // The id stands in a feature, in the context and in another request's longer id.
  Write("queries-1.jsonl",
        Line("x", "1", Record(0, R"(\"request_id\":\"mine\")")) +
            Line("y", "2", R"(,"record":0,"batch":1,"features":{"request_id":"mine"})") +
            Line("mine2", "3") + Line("notmine", "4"));
  EXPECT_EQ(Find("mine").count, 0);
}

TEST_F(QueryLogSearchTest, LinesThatAreNoJsonKeepWhatTheNodeItselfWrote) {
  Write("queries-1.jsonl", Line("mine", "1", R"(,"record":0,"batch":1,"features":{"a":1,"a":2})"));
  const FoundQueries found = Find("mine");
  ASSERT_EQ(found.lines.size(), 1u);
  EXPECT_EQ(found.lines[0]["service"], "fares");
  EXPECT_EQ(found.lines[0]["left_out"], true);
}

TEST_F(QueryLogSearchTest, MemoryIsBounded) {
  const std::string big(3 << 20, 'x');
  std::string text;
  for (int i = 0; i < 300; ++i) text += Line("mine", "1", Record(i, i % 50 == 0 ? big : "small"));
  Write("queries-1.jsonl", text);
  const FoundQueries found = Find("mine", 10);
  EXPECT_EQ(found.count, 300);
  ASSERT_EQ(found.lines.size(), 10u);
  EXPECT_EQ(found.lines[0]["left_out"], true);
  EXPECT_FALSE(found.lines[0].contains("features"));
  EXPECT_FALSE(found.lines[1].contains("left_out"));
}

TEST_F(QueryLogSearchTest, ATornFileCountsUpToTheTear) {
  const std::string whole = Line("mine", "1") + Line("mine", "2", Record(0, "x"));
  Write("queries-1.jsonl", whole + R"({"time":"3","request_id":"mi)");
  EXPECT_EQ(Find("mine").count, 2);
  // A zstd frame's first bytes, and nothing of the frame.
  Write("queries-2.jsonl.zst", std::string("\x28\xb5\x2f\xfd\x04\x00\x01", 7));
  const FoundQueries found = Find("mine");
  EXPECT_EQ(found.count, 2);
  EXPECT_NE(found.damaged.find("queries-2"), std::string::npos);
}

TEST_F(QueryLogSearchTest, LooksAcrossThePiecesOfAFile) {
  std::string text;
  while (text.size() < (3 << 20)) text += Line("other", "1", Record(0, std::string(1000, 'x')));
  text.insert(text.find('\n', (1 << 20) - 500) + 1, Line("mine", "2"));
  text.insert(text.find('\n', (2 << 20) - 100) + 1, Line("mine", "2"));
  Write("queries-1.jsonl", text + Line("mine", "2"));
  EXPECT_EQ(Find("mine").count, 3);
}

TEST(QueryLogSearch, TakesOneFileAndRefusesWhatIsNoIdOrNoLog) {
  const TempDir folder = *TempDir::Make();
  EXPECT_EQ(FindInQueryLog(folder.File("gone"), {.request_id = "a"}).error().code,
            ErrorCode::kNotFound);
  for (const std::string& id : {std::string(), std::string("a\"b"), std::string(129, 'a')})
    EXPECT_EQ(FindInQueryLog(folder.path(), {.request_id = id}).error().code,
              ErrorCode::kInvalidArgument);
  ASSERT_TRUE(WriteFileAtomic(folder.File("any.name"), Line("a", "1")).ok());
  EXPECT_EQ(FindInQueryLog(folder.File("any.name"), {.request_id = "a"})->count, 1);
}

TEST(QueryLogSearch, OfAnIdUsedTwiceTheLastRequestCounts) {
  std::vector<Json> lines;
  for (const char* time : {"1", "1", "2", "2"})
    lines.push_back({{"time", time}, {"service", "s"}, {"endpoint", "e"}});
  EXPECT_EQ(LastRequest(lines).size(), 2u);
  EXPECT_EQ(LastRequest(lines)[0]["time"], "2");
  EXPECT_EQ(LastRequest({Json::object()}).size(), 1u);
  EXPECT_TRUE(LastRequest({}).empty());
}

}  // namespace
}  // namespace slipway
