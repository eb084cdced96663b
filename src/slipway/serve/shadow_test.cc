#include "slipway/serve/shadow.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

struct Compared {
  bool fine = false;
  int64_t equal = 0, different = 0;
  double largest = 0;
};

Compared Compare(std::string_view a, std::string_view b) {
  Compared out;
  out.fine = CompareShadow(a, b, &out.equal, &out.different, &out.largest);
  return out;
}

TEST(CompareShadow, RecordsAreComparedOneByOne) {
  const Compared same = Compare(R"("result":{"prediction":1.5,"ignored":false})",
                                R"("result":{"ignored":false,"prediction":1.5})");
  EXPECT_TRUE(same.fine);
  EXPECT_EQ(same.equal, 1);
  EXPECT_EQ(same.different, 0);
  EXPECT_EQ(same.largest, 0);

  const Compared other = Compare(
      R"("results":[{"prediction":1.5},{"prediction":2},{"prediction":null},{"ignored":true}])",
      R"("results":[{"prediction":1.5},{"prediction":-1},{"prediction":0},{"prediction":1}])");
  EXPECT_TRUE(other.fine);
  EXPECT_EQ(other.equal, 1);
  EXPECT_EQ(other.different, 3);
  EXPECT_EQ(other.largest, 3);
}

TEST(CompareShadow, ProbabilitiesCountAndExplanationsDoNot) {
  const Compared out =
      Compare(R"("result":{"prediction":"a","probas":{"a":0.75,"b":0.25},"explanations":{"x":1}})",
              R"("result":{"prediction":"a","probas":{"a":0.5,"b":0.5}})");
  EXPECT_EQ(out.different, 1);
  EXPECT_EQ(out.largest, 0.25);
  EXPECT_EQ(Compare(R"("result":{"prediction":1,"explanations":{"x":1}})",
                    R"("result":{"prediction":1,"explanations":{"y":2}})")
                .equal,
            1);
}

TEST(CompareShadow, WhatIsNoAnswer) {
  EXPECT_FALSE(Compare("", R"("result":{})").fine);
  EXPECT_FALSE(Compare(R"("results":[{}])", R"("results":[])").fine);
  EXPECT_FALSE(Compare(R"("results":{})", R"("results":{})").fine);
  EXPECT_TRUE(Compare(R"("results":[])", R"("results":[])").fine);
}

}  // namespace
}  // namespace slipway
