#include "slipway/base/text.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

TEST(Text, NumbersAreWholeTexts) {
  EXPECT_EQ(ParseDouble("1e3"), 1000.0);
  EXPECT_EQ(ParseDouble("+1"), 1.0);
  EXPECT_EQ(ParseDouble("1e-400"), 0.0);
  for (const char* text : {"", "+", "1x", " 1", "+-1", "0x1"})
    EXPECT_FALSE(ParseDouble(text)) << text;
  EXPECT_EQ(ParseInt64("-9223372036854775808"), std::numeric_limits<int64_t>::min());
  for (const char* text : {"", "9223372036854775808", "1.0", "+-1"})
    EXPECT_FALSE(ParseInt64(text)) << text;
}

TEST(Text, SuggestsOnlyWhatIsNear) {
  const std::vector<std::string> names = {"holdout", "seed", "time_column"};
  EXPECT_EQ(DidYouMean("holdot", names), "did you mean 'holdout'?");
  EXPECT_EQ(DidYouMean("sede", names), "did you mean 'seed'?");
  EXPECT_EQ(DidYouMean("banana", names), "");
}

TEST(Text, KnowsUtf8FromOtherBytes) {
  EXPECT_TRUE(IsValidUtf8("Zürich 東京 \xF0\x9F\x9A\x95"));
  for (const char* text : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe6\x9d"})
    EXPECT_FALSE(IsValidUtf8(text));
}

TEST(Text, FormatsForPeople) {
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatCount(-1234), "-1,234");
  EXPECT_EQ(FormatCount(-123), "-123");
  EXPECT_EQ(FormatBytes(12'345'678), "12.3 MB");
  EXPECT_EQ(FormatSeconds(63), "1 min 3 s");
  const std::vector<std::string> names = {"a", "b", "c"};
  EXPECT_EQ(QuotedList(names), "'a', 'b' and 'c'");
  EXPECT_EQ(QuotedList(names, 2), "'a', 'b' and 1 more");
}

TEST(Text, NamesAreSafeAsFileNames) {
  EXPECT_TRUE(IsValidName("ny_taxi-fares.2"));
  for (const char* name : {"", ".", "..", "-x", "a/b", "a b", "ü"})
    EXPECT_FALSE(IsValidName(name)) << name;
}

}  // namespace
}  // namespace slipway
