#include "slipway/base/json.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

TEST(ParseJson, RefusesWhatIsNotOneDocument) {
  for (const char* text :
       {"", "{", "{\"a\":1} x", "{\"a\":1,\"a\":2}", "[NaN]", "{\"a\":01}", "\"\xff\"", "[1,]"}) {
    EXPECT_FALSE(ParseJson(text).ok()) << text;
  }
  EXPECT_EQ(ParseJson("{\"a\":1,\"a\":2}").error().message, "not valid JSON: duplicate key 'a'");
}

TEST(ParseJson, LimitsDepthAndSize) {
  EXPECT_TRUE(ParseJson(std::string(64, '[') + std::string(64, ']')).ok());
  EXPECT_FALSE(ParseJson(std::string(65, '[') + std::string(65, ']')).ok());
  EXPECT_FALSE(ParseJson(std::string(1 << 20, '[')).ok());
  EXPECT_FALSE(ParseJson("[1]", {.max_bytes = 2}).ok());
}

TEST(DumpJson, KeepsKeyOrderAndDoubleBits) {
  const Json value = {{"z", 0.1}, {"a", 1e300}};
  EXPECT_EQ(DumpJson(value), R"({"z":0.1,"a":1e+300})");
  EXPECT_EQ(DumpJson(Json("\xff")), "\"\xEF\xBF\xBD\"");
}

TEST(Json, TypedMembersNameTheKey) {
  const Json value = {{"n", 1.5}, {"s", "x"}};
  EXPECT_EQ(GetInt(value, "n").error().message, "'n' must be a whole number");
  EXPECT_EQ(GetString(value, "t").error().message, "missing key 't'");
  EXPECT_EQ(*GetString(value, "s"), "x");
  EXPECT_TRUE(std::isinf(*DoubleFromJson(DoubleToJson(-INFINITY))));
}

}  // namespace
}  // namespace slipway
