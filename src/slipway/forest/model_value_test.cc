#include "slipway/forest/model_value.h"

#include <cmath>

namespace slipway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::string_literals;  // NOLINT(google-build-using-namespace)

TEST(ModelJson, NumbersAreTheFloat32ValuesThatWereWritten) {
  const Result<ModelValue> value = ParseModelJson(
      " [ 1 , -2, 0.1, 1E-45, 3.4028235E38, -0, 9007199254740992, true ,Infinity,-Infinity] ");
  ASSERT_TRUE(value.ok()) << value.error().message;
  EXPECT_THAT(value->numbers, ElementsAre(1, -2, 0.1F, 0x1p-149F, 3.4028235e38F, 0, 0x1p53, 1,
                                          HUGE_VAL, -HUGE_VAL));
  EXPECT_TRUE(std::signbit(value->numbers[5]));
  EXPECT_TRUE(std::isnan(ParseModelJson("[NaN]")->numbers[0]));
}

TEST(ModelJson, TextsAndNestingAreRead) {
  const Result<ModelValue> value = ParseModelJson(
      "{\"a\":[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"],\"b\":null,"
      "\"c\":[],\"d\":{\"e\":[[1],[2]]},\"f\":false}");
  ASSERT_TRUE(value.ok()) << value.error().message;
  const ModelValue* const a = value->Find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->items[0].text, "\"\\/\b\f\n\r\t");
  EXPECT_EQ(a->items[1].text, "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  EXPECT_EQ(value->Find("b"), nullptr);
  EXPECT_EQ(value->Find("c")->kind, ModelValue::Kind::kNumbers);
  EXPECT_THAT(value->Find("d")->Find("e")->items[1].numbers, ElementsAre(2));
  EXPECT_EQ(value->Find("f")->kind, ModelValue::Kind::kBoolean);
}

TEST(ModelJson, WhatIsNotJsonIsRefusedAtItsByte) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "cut off"},
      {"[1", "cut off"},
      {"[1 2]", "byte 3: ']' belongs here"},
      {"[1,]", "a value belongs here"},
      {"{\"a\" 1}", "':' belongs here"},
      {"{a:1}", "a key belongs here"},
      {"{\"a\":1,}", "a key belongs here"},
      {"[01]", "leading 0"},
      {"[-]", "a digit"},
      {"[1.]", "a digit"},
      {"[.5]", "a value"},
      {"[1e]", "a digit"},
      {"[+1]", "a value"},
      {"[nan]", "a value"},
      {"[-NaN]", "a digit"},
      {"[tru]", "a value"},
      {"[9007199254740993]", "beyond 2^53"},
      {"[99999999999999999999]", "beyond 2^53"},
      {"[1e39]", "beyond float32"},
      {"[1,\"a\"]", "mixes"},
      {"[\"a\",1]", "mixes"},
      {"\"\\x\"", "an escape"},
      {"\"\\u12\"", "hexadecimal"},
      {"\"\\ud800\"", "surrogate"},
      {"\"\\udc00\"", "surrogate"},
      {"\"\\ud800\\u0041\"", "surrogate"},
      {"\"\x01\"", "control character"},
      {"\"\xff\"", "UTF-8"},
      {"[1]]", "follows"},
      {"{\"a\":1,\"a\":2}", "'a' stands twice"},
      {std::string(40, '['), "levels deep"},
  };
  for (const auto& [text, message] : cases) {
    const Result<ModelValue> value = ParseModelJson(text);
    ASSERT_FALSE(value.ok()) << text;
    EXPECT_THAT(value.error().message, HasSubstr(message)) << text;
    EXPECT_THAT(value.error().message, HasSubstr("byte ")) << text;
  }
}

TEST(Ubjson, EveryTypeIsRead) {
  const Result<ModelValue> value = ParseUbjson(
      "{i\x01"
      "a[i\xFFU\xFFI\x80\0l\x80\0\0\0L\0\0\0\1\0\0\0\0d\x3F\0\0\0D\x40\x09\x21\xFB\x54\x44\x2D\x18"
      "TF]U\x01"
      "b[$I#i\x02\x01\0\xFF\xFFI\0\x01"
      "cSi\2\xC3\xA9"
      "L\0\0\0\0\0\0\0\1dZi\1e[#i\2[]{}}"s);
  ASSERT_TRUE(value.ok()) << value.error().message;
  EXPECT_THAT(value->Find("a")->numbers, ElementsAre(-1, 255, -32768, -2147483648.0, 4294967296.0,
                                                     0.5, 3.141592653589793, 1, 0));
  EXPECT_THAT(value->Find("b")->numbers, ElementsAre(256, -1));
  EXPECT_EQ(value->Find("c")->text, "\xC3\xA9");
  EXPECT_EQ(value->Find("d"), nullptr);
  EXPECT_EQ(value->Find("e")->items[1].kind, ModelValue::Kind::kObject);
}

TEST(Ubjson, WhatIsWrongIsRefusedAtItsByte) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "cut off"},
      {"[", "cut off"},
      {"{i\1a", "cut off"},
      {"Si\5abc", "cut off"},
      {"Si\xFF", "below 0"},
      {"Sd\0\0\0\0"s, "not a whole number"},
      {"Si\1\xFF", "UTF-8"},
      {"H", "0x48 is not the mark of a value"},
      {"N", "not the mark"},
      {"[$S#i\1", "not of numbers"},
      {"[$Z#i\1", "not of numbers"},
      {"[$di\1", "no length"},
      {"[$d#L\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "beyond 2^53"},
      {"[$d#L\0\x0F\xFF\xFF\xFF\xFF\xFF\xFF"s, "cut off"},
      {"[$d#i\2\0\0\0\0"s, "cut off"},
      {"[#i\2i\1", "cut off"},
      {"[L\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF]", "beyond 2^53"},
      {"[$L#i\1\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "beyond 2^53"},
      {"{#i\1i\1aZ", "counted object"},
      {"{i\1aZi\1aZ}", "'a' stands twice"},
      {"[Zi\1]", "mixes"},
      {"ZZ", "1 more bytes"},
      {std::string(40, '['), "levels deep"},
  };
  for (const auto& [bytes, message] : cases) {
    const Result<ModelValue> value = ParseUbjson(bytes);
    ASSERT_FALSE(value.ok()) << bytes;
    EXPECT_THAT(value.error().message, HasSubstr(message)) << bytes;
    EXPECT_THAT(value.error().message, HasSubstr("byte ")) << bytes;
  }
}

TEST(ModelValue, ReadersHoldNoMoreThanTheirLimits) {
  const ModelValueLimits limits{.bytes = 60, .depth = 3, .values = 6, .numbers = 5, .members = 2};
  const auto refused = [&](const std::string& json, const std::string& message) {
    const Result<ModelValue> value = ParseModelJson(json, limits);
    ASSERT_FALSE(value.ok()) << json;
    EXPECT_THAT(value.error().message, HasSubstr(message)) << json;
  };
  EXPECT_TRUE(ParseModelJson("[[[[]]]]", limits).ok());
  refused("[[[[[]]]]]", "3 levels");
  EXPECT_TRUE(ParseModelJson("[[],[],[],[],[]]", limits).ok());
  refused("[[],[],[],[],[],[]]", "6 values");
  EXPECT_TRUE(ParseModelJson("[1,2,3,4,5]", limits).ok());
  refused("[1,2,3,4,5,6]", "5 numbers");
  refused("{\"a\":1,\"b\":1,\"c\":1}", "2 members");
  refused(std::string(61, ' '), "more than");
  EXPECT_FALSE(ParseUbjson("[$i#i\6abcdef", limits).ok());
  EXPECT_TRUE(ParseUbjson("[$i#i\5abcde", limits).ok());
  EXPECT_FALSE(ParseUbjson("[[[[[]]]]]", limits).ok());
  EXPECT_FALSE(ParseUbjson(std::string(61, 'Z'), limits).ok());
}

}  // namespace
}  // namespace slipway
