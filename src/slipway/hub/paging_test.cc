#include "slipway/hub/paging.h"

#include <gtest/gtest.h>

#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

// A list that is asked for page by page while it changes.
class PagingTest : public ::testing::Test {
 protected:
  PagingTest() { route.details.paged = ListKey{"name"}; }

  // The names on the next page; empty when there was none.
  std::vector<std::string> Next(const std::string& list, const std::string& query = "limit=2") {
    Request request{.method = "GET", .path = "/api/v1/things"};
    for (const std::string& pair : Split(next.empty() ? query : next, '&')) {
      const size_t at = pair.find('=');
      request.query[pair.substr(0, at)] = pair.substr(at + 1);
    }
    auto wish = ReadPageWish(route, request);
    if (!wish.ok()) {
      ADD_FAILURE() << wish.error().message;
      return {};
    }
    request.page = *wish;
    Json items = Json::array();
    for (const std::string& name : Split(list, ' '))
      items.push_back({{route.details.paged->member, name}});
    const Response response = CutPage(route, request, JsonResponse(items));
    const auto link = response.headers.find("Link");
    next = link == response.headers.end()
               ? "end"
               : link->second.substr(link->second.find('?') + 1,
                                     link->second.find('>') - link->second.find('?') - 1);
    std::vector<std::string> names;
    for (const Json& item : *ParseJson(response.body))
      names.push_back(item[route.details.paged->member].get<std::string>());
    return names;
  }
  using Names = std::vector<std::string>;

  Route route;
  std::string next;
};

TEST_F(PagingTest, WhatIsAddedOrDeletedMeanwhileShiftsNothing) {
  EXPECT_EQ(Next("b d f h j"), (Names{"b", "d"}));
  EXPECT_EQ(Next("a b c d e f h j"), (Names{"e", "f"}));
  EXPECT_EQ(Next("a h j"), (Names{"h", "j"}));  // also the item that the cursor stands on
  EXPECT_EQ(next, "end");
}

TEST_F(PagingTest, NamesAreComparedPartByPart) {
  EXPECT_EQ(Next("a/x a/y a-b/x a-b/y"), (Names{"a/x", "a/y"}));
  EXPECT_EQ(Next("a/x a/y a-b/x a-b/y"), (Names{"a-b/x", "a-b/y"}));
  EXPECT_TRUE(ComesAfter(ListOrder::kNames, "a-b/x", "a/y"));
  EXPECT_FALSE(ComesAfter(ListOrder::kNames, "a/y", "a-b/x"));
  EXPECT_FALSE(ComesAfter(ListOrder::kNames, "a", "a"));
}

TEST_F(PagingTest, NumbersGoDownToo) {
  route.details.paged = ListKey{"job", ListOrder::kNumbersDown};
  EXPECT_EQ(Next("job-1000000 job-999999 job-000012"), (Names{"job-1000000", "job-999999"}));
  EXPECT_EQ(Next("job-1000001 job-1000000 job-999999 job-000012"), (Names{"job-000012"}));
  EXPECT_EQ(next, "end");
  EXPECT_TRUE(ComesAfter(ListOrder::kNumbers, "10", "9"));
}

TEST_F(PagingTest, AListInAnOrderOfItsOwnGoesOnAfterTheItem) {
  route.details.paged = ListKey{"name", ListOrder::kListed};
  EXPECT_EQ(Next("z a y b x"), (Names{"z", "a"}));
  EXPECT_EQ(Next("new z a y b x"), (Names{"y", "b"}));
  EXPECT_EQ(Next("new z a y x"), (Names{"x"}));  // b is gone: what followed it
}

TEST_F(PagingTest, ACursorIsOfItsListAndFiltersAlone) {
  EXPECT_EQ(Next("a b c", "limit=2&stage=T%201"), (Names{"a", "b"}));
  EXPECT_NE(next.find("stage=T%25201"), std::string::npos) << next;  // filters go on
  const std::string cursor = next.substr(next.find("cursor=") + 7, next.find("&stage") - 15);
  Request request{.method = "GET", .path = "/api/v1/things"};
  request.query = {{"cursor", cursor}, {"stage", "T%201"}};
  ASSERT_TRUE(ReadPageWish(route, request).ok());
  EXPECT_EQ((**ReadPageWish(route, request)).limit, 100);
  request.query["stage"] = "Test";
  EXPECT_NE(ReadPageWish(route, request).error().message.find("another list"), std::string::npos);
  request.query["stage"] = "T%201";
  request.path = "/api/v1/others";
  EXPECT_FALSE(ReadPageWish(route, request).ok());
  for (const std::string& wrong :
       {std::string(), std::string("p100"), std::string("c"), std::string("c0"), std::string("czz"),
        std::string("c20"), cursor + "0", cursor.substr(0, 11), "C" + cursor.substr(1)}) {
    request.path = "/api/v1/things";
    request.query["cursor"] = wrong;
    ASSERT_FALSE(ReadPageWish(route, request).ok()) << wrong;
    EXPECT_EQ(ReadPageWish(route, request).error().code, ErrorCode::kInvalidArgument);
  }
}

TEST_F(PagingTest, TheWholeListUnlessAPageIsAskedFor) {
  Request request{.method = "GET", .path = "/api/v1/things"};
  EXPECT_FALSE(ReadPageWish(route, request)->has_value());
  request.query = {{"limit", "7"}};
  EXPECT_EQ((**ReadPageWish(route, request)).limit, 7);
  EXPECT_FALSE((**ReadPageWish(route, request)).follows);
}

}  // namespace
}  // namespace slipway
