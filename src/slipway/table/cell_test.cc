#include "slipway/table/cell.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

std::string RoundTrip(Type type, std::string_view text) {
  Column column(type);
  if (!ParseCellInto(text, 0, &column)) return "BAD";
  std::string out;
  AppendCell(column.View(), 0, &out);
  return out.empty() ? "MISSING" : out;
}

TEST(Cell, ReadsEachTypeByItsGrammar) {
  EXPECT_EQ(RoundTrip(Type::kBoolean, "TRUE"), "true");
  EXPECT_EQ(RoundTrip(Type::kBoolean, " n "), "false");
  EXPECT_EQ(RoundTrip(Type::kBoolean, "2"), "BAD");
  EXPECT_EQ(RoundTrip(Type::kInt64, " 5"), "5");
  EXPECT_EQ(RoundTrip(Type::kInt64, "1e3"), "1000");
  EXPECT_EQ(RoundTrip(Type::kInt64, "9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(RoundTrip(Type::kInt64, "9223372036854775808"), "BAD");
  EXPECT_EQ(RoundTrip(Type::kInt64, "1.5"), "BAD");
  // 9007199254740993.0 was rounded to its neighbour, and a lookup found that one's row.
  EXPECT_EQ(RoundTrip(Type::kInt64, "9007199254740991.0"), "9007199254740991");
  EXPECT_EQ(RoundTrip(Type::kInt64, "-9007199254740991.0"), "-9007199254740991");
  for (const char* text : {"9007199254740992.0", "9007199254740993.0", "-9007199254740993.0"})
    EXPECT_EQ(RoundTrip(Type::kInt64, text), "BAD") << text;
  EXPECT_EQ(RoundTrip(Type::kInt64, "9007199254740993"), "9007199254740993");
  EXPECT_EQ(RoundTrip(Type::kDouble, "+1.50"), "1.5");
  EXPECT_EQ(RoundTrip(Type::kDouble, "-Infinity"), "-inf");
  EXPECT_EQ(RoundTrip(Type::kDouble, "1e999"), "inf");
  EXPECT_EQ(RoundTrip(Type::kDouble, "NaN"), "MISSING");
  EXPECT_EQ(RoundTrip(Type::kDouble, "0x10"), "BAD");
  EXPECT_EQ(RoundTrip(Type::kDouble, "1,5"), "BAD");
  EXPECT_EQ(RoundTrip(Type::kDouble, "5 "), "5");
  EXPECT_EQ(RoundTrip(Type::kString, " a "), " a ");
  EXPECT_EQ(RoundTrip(Type::kDate, "2024-02-29"), "2024-02-29");
  EXPECT_EQ(RoundTrip(Type::kDate, "2023-02-29"), "BAD");
  EXPECT_EQ(RoundTrip(Type::kDate, "2024-02-29T00:00:00Z"), "2024-02-29");
  EXPECT_EQ(RoundTrip(Type::kTimestamp, "2015-05-07 19:52:06 UTC"), "2015-05-07T19:52:06Z");
  EXPECT_EQ(RoundTrip(Type::kTimestamp, "2015-05-07T19:52:06.25+02:00"),
            "2015-05-07T17:52:06.250000Z");
  EXPECT_EQ(RoundTrip(Type::kTimestamp, "2015-05-07"), "2015-05-07T00:00:00Z");
  EXPECT_EQ(RoundTrip(Type::kTimestamp, "2015-05-07 25:00"), "BAD");
  for (Type type : {Type::kBoolean, Type::kInt64, Type::kDouble, Type::kString, Type::kDate,
                    Type::kTimestamp}) {
    EXPECT_EQ(RoundTrip(type, ""), "MISSING");
  }
}

Type Guess(std::initializer_list<std::string_view> texts) {
  TypeGuesser guesser;
  for (std::string_view text : texts) guesser.See(text);
  return guesser.type();
}

TEST(TypeGuesser, NarrowsToTheMostSpecificTypeThatFitsAll) {
  EXPECT_EQ(Guess({}), Type::kString);
  EXPECT_EQ(Guess({"", " "}), Type::kString);
  EXPECT_EQ(Guess({"1", "0", ""}), Type::kInt64);
  EXPECT_EQ(Guess({"1", "2.5"}), Type::kDouble);
  EXPECT_EQ(Guess({"1", "nan"}), Type::kDouble);
  EXPECT_EQ(Guess({"007", "1"}), Type::kString);
  EXPECT_EQ(Guess({"1234567890123456789"}), Type::kString);
  EXPECT_EQ(Guess({"true", "False"}), Type::kBoolean);
  EXPECT_EQ(Guess({"Y", "N"}), Type::kString);
  EXPECT_EQ(Guess({"2015-05-07", "2015-05-08"}), Type::kDate);
  EXPECT_EQ(Guess({"2015-05-07", "2015-05-08 10:00:00"}), Type::kTimestamp);
  EXPECT_EQ(Guess({"2015-05-07", "5"}), Type::kString);
  EXPECT_EQ(Guess({"1", "abc"}), Type::kString);
}

TEST(ConvertColumn, WidensAndNamesTheFirstRowThatDoesNotConvert) {
  Column in(Type::kString);
  in.strings()[0] = "1";
  in.strings()[1] = "x";
  in.strings()[2] = "2.5";
  for (int i = 0; i < 3; ++i) in.SetValid(i);
  Column out;
  int bad = -1;
  EXPECT_FALSE(ConvertColumn(in.View(), 3, Type::kDouble, &out, &bad));
  EXPECT_EQ(bad, 1);
  EXPECT_EQ(out.doubles()[2], 2.5);
  EXPECT_FALSE(out.valid(1));

  Column large(Type::kDouble);
  large.doubles()[0] = 0x1p53 - 1;
  large.doubles()[1] = 0x1p53;
  for (int i = 0; i < 2; ++i) large.SetValid(i);
  EXPECT_FALSE(ConvertColumn(large.View(), 2, Type::kInt64, &out, &bad));
  EXPECT_EQ(bad, 1);
  EXPECT_EQ(out.ints()[0], 9007199254740991);

  Column days(Type::kDate);
  days.dates()[0] = 1;
  days.SetValid(0);
  EXPECT_TRUE(ConvertColumn(days.View(), 1, Type::kTimestamp, &out, &bad));
  EXPECT_EQ(out.ints()[0], 86'400'000'000);
  EXPECT_FALSE(CanConvert(Type::kTimestamp, Type::kDouble));
}

TEST(AppendCell, DoublesReadBackToTheSameBits) {
  std::mt19937_64 random(7);
  Column column(Type::kDouble);
  column.SetAllValid();
  for (int i = 0; i < 20000; ++i) {
    const uint64_t bits = random();
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    if (std::isnan(value)) continue;
    column.doubles()[0] = value;
    std::string text;
    AppendCell(column.View(), 0, &text);
    double back = 0;
    ASSERT_EQ(ParseDoubleCell(text, &back), CellState::kValue) << text;
    uint64_t back_bits = 0;
    std::memcpy(&back_bits, &back, sizeof back);
    ASSERT_EQ(back_bits, bits) << text;
  }
}

}  // namespace
}  // namespace slipway
