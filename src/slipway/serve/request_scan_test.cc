#include "slipway/serve/request_scan.h"

#include <charconv>
#include <cmath>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slipway/http/server.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

// "" when the text is taken as one object, else the error. What follows the text are braces: a
// scanner that reads on finds what it hopes for.
std::string WhyNot(const std::string& text) {
  const std::string padded = text + std::string(kHttpPadding, '}');
  TextArena arena;
  RequestScanner scanner;
  std::string_view key, raw;
  if (scanner.Begin(std::string_view(padded).substr(0, text.size()), &arena) && scanner.Enter()) {
    while (scanner.NextKey(&key)) scanner.Skip(&raw);
    scanner.Finish();
  }
  return scanner.ok() ? "" : scanner.error().message;
}

TEST(RequestScan, TakesWhatJsonAllows) {
  for (const char* text :
       {"", "  \n", "{}", " { } ", R"({"a":1})", "{\"a\"\t:\r\n[ ] , \"b\":{}}",
        R"({"a":[1,-0,0.5,1e5,1E-5,1.25e+10,-12345678901234567890.5]})",
        R"({"":"","\u00e9":"\ud83d\ude00 \"\\\/\b\f\n\r\t"})", "{\"é\":\"日本\"}",
        R"({"a":true,"b":false,"c":null,"d":NaN,"e":Infinity,"f":-Infinity})",
        R"({"a":{"b":[{"c":[[]]},{}]}})", R"({"a":1,"a":2})"}) {
    EXPECT_EQ(WhyNot(text), "") << text;
  }
}

TEST(RequestScan, RefusesWhatItForbids) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[]", "must be a JSON object"},
      {"1", "must be a JSON object"},
      {"\xEF\xBB\xBF{}", "must be a JSON object"},
      {"{", "does not end"},
      {R"({"a":1)", "does not end"},
      {R"({"a":1}x)", "does not end"},
      {"{} {}", "text after the object"},
      {R"({"a":{"b":1})", "outermost object is not closed"},
      {R"({"a":{}, "b":{})", "outermost object is not closed"},
      {R"({"a":[{}})", "or ']' is missing"},
      {R"({"a" 1})", "':' is missing"},
      {R"({"a":})", "value is missing"},
      {R"({"a":,})", "value is missing"},
      {R"({"a":1,})", "key in double quotes"},
      {R"({,})", "key in double quotes"},
      {R"({a:1})", "key in double quotes"},
      {R"({'a':1})", "key in double quotes"},
      {R"({"a":1 "b":2})", "',' or '}' is missing"},
      {R"({"a":[1,]})", "value is missing"},
      {R"({"a":[1 2]})", "',' or ']' is missing"},
      {R"({"a":01})", "begins with 0"},
      {R"({"a":-01})", "begins with 0"},
      {R"({"a":-})", "digit is missing"},
      {R"({"a":--1})", "digit is missing"},
      {R"({"a":1.})", "digit is missing after the point"},
      {R"({"a":.5})", "value is missing"},
      {R"({"a":+1})", "value is missing"},
      {R"({"a":1e})", "digit is missing in the exponent"},
      {R"({"a":1e+})", "digit is missing in the exponent"},
      {R"({"a":0x10})", "',' or '}' is missing"},
      {R"({"a":1.2.3})", "',' or '}' is missing"},
      {R"({"a":tru})", "no JSON value"},
      {R"({"a":True})", "value is missing"},
      {R"({"a":nul})", "no JSON value"},
      {R"({"a":nan})", "no JSON value"},
      {R"({"a":Inf})", "no JSON value"},
      {R"({"a":-Inf})", "digit is missing"},
      {R"({"a":"b})", "has no end"},
      {R"({"a":"b\"})", "has no end"},
      {R"({"a":"\x"})", "no escape"},
      {R"({"a":"\u12"})", "no escape"},
      {R"({"a":"\u12g4"})", "no escape"},
      {R"({"a":"\ud800"})", "surrogate"},
      {R"({"a":"\udc00"})", "surrogate"},
      {R"({"a":"\ud800\u0041"})", "surrogate"},
      {"{\"a\":\"\n\"}", "control character"},
      {"{\"a\":\"\\n\n\"}", "control character"},
      {std::string("{\"a\":\"\0\"}", 9), "control character"},
      {"{\"a\":\"\xFF\"}", "UTF-8"},
      {"{\"a\":\"\xC0\xAF\"}", "UTF-8"},
      {"{\"a\":\"\xED\xA0\x80\"}", "UTF-8"},
      {"{\"\xE2\x82\":1}", "UTF-8"},
      {"{\"a\":\"\\n\xFF\"}", "UTF-8"},
      {std::string("{\"a\":1\0}", 8), "',' or '}' is missing"},
      {"{\"a\":/**/1}", "value is missing"},
      {"{\"a\":\xC2\xA0"
       "1}",
       "value is missing"},
  };
  for (const auto& [text, reason] : cases) EXPECT_THAT(WhyNot(text), HasSubstr(reason)) << text;
}

TEST(RequestScan, SaysWhereTheErrorIs) {
  EXPECT_THAT(WhyNot("{\n \"a\": 01\n}"), HasSubstr("at line 2, column 7 (byte 8)"));
}

TEST(RequestScan, DepthIsBounded) {
  const auto nested = [](int depth) {
    return "{\"a\":" + std::string(static_cast<size_t>(depth), '[') +
           std::string(static_cast<size_t>(depth), ']') + "}";
  };
  EXPECT_EQ(WhyNot(nested(63)), "");
  EXPECT_THAT(WhyNot(nested(64)), HasSubstr("64 deep"));
  EXPECT_THAT(WhyNot(nested(1'000'000)), HasSubstr("64 deep"));
}

TEST(RequestScan, AKeyIsFoundWhereverItStands) {
  for (size_t before = 0; before < 40; ++before) {
    for (size_t behind = 0; behind < 40; ++behind) {
      const std::string body = std::string(before, '"') + "\"dispatch\"" + std::string(behind, 'd');
      ASSERT_EQ(FindQuotedKey(body, "\"dispatch\""), before);
      ASSERT_EQ(FindQuotedKey(body, "\"dispatcher\""), std::string_view::npos);
      ASSERT_EQ(FindQuotedKey(std::string(before, '"') + "\"dispatch", "\"dispatch\""),
                std::string_view::npos);
    }
  }
}

TEST(RequestScan, EveryPrefixAndEveryByteIsSafe) {
  const std::string text =
      R"({"a":[1.5,-2e3,"x\u00e9\ud83d\ude00",{"b":null}],"c":{"d":true},"e":NaN,"f":-Infinity})";
  ASSERT_EQ(WhyNot(text), "");
  for (size_t size = 1; size < text.size(); ++size) EXPECT_NE(WhyNot(text.substr(0, size)), "");
  for (size_t at = 0; at < text.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = text;
      changed[at] = static_cast<char>(byte);
      WhyNot(changed);
    }
  }
}

double NumberOf(const std::string& text, bool* exact) {
  const std::string body = "{\"a\":" + text + "}" + std::string(kHttpPadding, '7');
  TextArena arena;
  RequestScanner scanner;
  std::string_view key;
  ScannedNumber number;
  EXPECT_TRUE(scanner.Begin(std::string_view(body).substr(0, body.size() - kHttpPadding), &arena));
  EXPECT_TRUE(scanner.Enter() && scanner.NextKey(&key));
  EXPECT_EQ(scanner.Peek(), JsonToken::kNumber);
  EXPECT_TRUE(scanner.Number(&number)) << text;
  EXPECT_EQ(number.text, text);
  *exact = number.exact;
  return number.value;
}

// A number's value is the nearest double, or it is left to who reads the text.
TEST(RequestScan, NumbersAreTheNearestDoubles) {
  std::mt19937_64 random(3);
  std::vector<std::string> texts = {"0",
                                    "-0",
                                    "0.0",
                                    "0.1",
                                    "-0.0000000000000000001",
                                    "9007199254740993",
                                    "9007199254740993.0",
                                    "1e22",
                                    "18446744073709551615",
                                    "18446744073709551616",
                                    "0.3000000000000000166533453694",
                                    "123456789012345678901234"};
  for (int i = 0; i < 200'000; ++i) {
    uint64_t whole = random() >> (random() % 64);
    int behind = static_cast<int>(random() % 20);
    if (i % 4 == 0) {  // half-way between two doubles, times a power of ten
      behind = static_cast<int>(random() % 4);
      whole = ((random() >> 11) | (uint64_t{1} << 53)) & ((uint64_t{1} << 54) - 1);
      whole |= 1;
      for (int b = 0; b < behind; ++b) whole *= 10;
    }
    std::string text = std::to_string(whole);
    if (behind > 0) {
      while (static_cast<int>(text.size()) <= behind) text.insert(0, "0");
      text.insert(text.size() - static_cast<size_t>(behind), ".");
    }
    texts.push_back((random() % 2 == 0 ? "-" : "") + text);
  }
  int64_t exact_ones = 0;
  for (const std::string& text : texts) {
    bool exact = false;
    const double found = NumberOf(text, &exact);
    double wanted = 0;
    std::from_chars(text.data(), text.data() + text.size(), wanted);
    if (!exact) continue;
    ++exact_ones;
    ASSERT_EQ(std::bit_cast<uint64_t>(found), std::bit_cast<uint64_t>(wanted)) << text;
  }
  EXPECT_GT(exact_ones, 150'000);
}

}  // namespace
}  // namespace slipway
