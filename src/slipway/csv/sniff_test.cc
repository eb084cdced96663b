#include "slipway/csv/sniff.h"

#include "slipway/base/file.h"

namespace slipway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CsvSniff Sniff(std::string_view text) {
  auto sniff = SniffCsv(text, true, {});
  EXPECT_TRUE(sniff.ok()) << sniff.error().message;
  return sniff.ok() ? *sniff : CsvSniff{};
}

Error Refused(std::string_view text, const KnownDialect& stated = {}) {
  auto sniff = SniffCsv(text, true, stated);
  EXPECT_FALSE(sniff.ok());
  return sniff.ok() ? Error{} : sniff.error();
}

TEST(Sniff, FindsEachDelimiter) {
  for (const char d : {',', ';', '\t', '|'}) {
    std::string text = "id?fare?name\n1?2.5?ann, b\n2?3?bob\n";
    std::replace(text.begin(), text.end(), '?', d);
    if (d == ',') text.replace(text.find(", b"), 3, "  b");
    const CsvSniff sniff = Sniff(text);
    EXPECT_EQ(sniff.dialect.delimiter, d);
    EXPECT_TRUE(sniff.dialect.header);
    EXPECT_THAT(sniff.names, ElementsAre("id", "fare", "name"));
    EXPECT_THAT(sniff.types, ElementsAre(Type::kInt64, Type::kDouble, Type::kString));
    EXPECT_EQ(sniff.records, 2);
  }
}

TEST(Sniff, DecimalCommasDoNotMakeCommaTheDelimiter) {
  EXPECT_EQ(Sniff("a;b\n1,5;2,5\n3,5;4,5\n").dialect.delimiter, ';');
}

TEST(Sniff, ByteOrderMarkAndCrlfAreNotPartOfNamesAndValues) {
  const CsvSniff sniff = Sniff("\xEF\xBB\xBFid,day\r\n1,2020-01-02\r\n");
  EXPECT_THAT(sniff.names, ElementsAre("id", "day"));
  EXPECT_THAT(sniff.types, ElementsAre(Type::kInt64, Type::kDate));
}

TEST(Sniff, QuotedNamesMayHoldDelimitersAndLineFeeds) {
  const CsvSniff sniff = Sniff("\"a,b\",\"c\nd\",\"e \"\"f\"\"\"\n1,2,3\n");
  EXPECT_THAT(sniff.names, ElementsAre("a,b", "c\nd", "e \"f\""));
}

TEST(Sniff, TellsHeadersFromData) {
  EXPECT_TRUE(Sniff("a,b\n1,x\n").dialect.header);
  EXPECT_TRUE(Sniff("a,b\nx,y\n").dialect.header) << "all text: assumed";
  EXPECT_TRUE(Sniff("name,2019,2020\nann,1,2\nbob,3,4\n").dialect.header == false)
      << "numbers over numbers, text over text: data";
  EXPECT_TRUE(Sniff("id,2019,2020\n1,1,2\n").dialect.header) << "'id' is no number";
  EXPECT_TRUE(Sniff("a,b\n").dialect.header);
  const CsvSniff none = Sniff("1,2.5,x\n2,3.5,y\n");
  EXPECT_FALSE(none.dialect.header);
  EXPECT_THAT(none.names, ElementsAre("column1", "column2", "column3"));
  EXPECT_EQ(none.records, 2);
  EXPECT_FALSE(Sniff("3\n4\n").dialect.header);
}

TEST(Sniff, HeaderOnlyIsATableWithoutRows) {
  for (const char* text : {"a,b\n", "a,b", "a,b\r\n", "\n\na,b\n\n"}) {
    const CsvSniff sniff = Sniff(text);
    EXPECT_THAT(sniff.names, ElementsAre("a", "b")) << text;
    EXPECT_EQ(sniff.records, 0);
  }
}

TEST(Sniff, OneColumnOfTextWithCommasStaysOneColumn) {
  const CsvSniff sniff = Sniff("review\ngood, but slow\nbad\n");
  EXPECT_THAT(sniff.names, ElementsAre("review"));
}

TEST(Sniff, RaggedFileIsNotOneColumn) {
  const Error error = Refused("a,b,c\n1\n2\n3,4\n5\n");
  EXPECT_THAT(error.message, HasSubstr("first line has 3 cells"));
  EXPECT_THAT(error.message, HasSubstr("line 2 has 1"));
}

TEST(Sniff, AFewRaggedLinesDoNotHideTheDelimiter) {
  const CsvSniff sniff = Sniff("a,b\n1,2\n3\n4,5\n6,7\n");
  EXPECT_THAT(sniff.names, ElementsAre("a", "b"));
}

TEST(Sniff, StatedDelimiterThatLeavesOneColumnIsRefused) {
  CsvDialect stated;
  stated.delimiter = ';';
  const Error error = Refused("a,b\n1,2\n", stated);
  EXPECT_THAT(error.message, HasSubstr("the stated delimiter ';' leaves one column"));
  EXPECT_THAT(error.hint, HasSubstr("delimiter: \",\""));
}

TEST(Sniff, StatedDialectIsTakenAsItStands) {
  CsvDialect stated;
  stated.delimiter = ':';
  stated.header = false;
  stated.skip_lines = 1;
  auto sniff = SniffCsv("# made by hand\na:b\nc:d\n", true, stated);
  ASSERT_TRUE(sniff.ok()) << sniff.error().message;
  EXPECT_EQ(sniff->dialect, stated);
  EXPECT_THAT(sniff->names, ElementsAre("column1", "column2"));
  EXPECT_EQ(sniff->records, 2);
}

TEST(Sniff, WhatIsNotStatedIsSniffed) {
  const std::string_view text = "# made by hand\nname;2019\nann;1\nbob;2\n";
  KnownDialect known;
  known.dialect.skip_lines = 1;
  auto sniff = SniffCsv(text, true, known);
  ASSERT_TRUE(sniff.ok()) << sniff.error().message;
  EXPECT_EQ(sniff->dialect.delimiter, ';');
  EXPECT_FALSE(sniff->dialect.header);
  known.header = true;
  sniff = SniffCsv(text, true, known);
  ASSERT_TRUE(sniff.ok()) << sniff.error().message;
  EXPECT_EQ(sniff->dialect.delimiter, ';');
  EXPECT_THAT(sniff->names, ElementsAre("name", "2019"));
  KnownDialect delimiter;
  delimiter.dialect.delimiter = ':';
  delimiter.delimiter = true;
  sniff = SniffCsv("1:2,5\n3:4,5\n", true, delimiter);
  ASSERT_TRUE(sniff.ok()) << sniff.error().message;
  EXPECT_EQ(sniff->dialect.delimiter, ':');
  EXPECT_FALSE(sniff->dialect.header);
}

TEST(Sniff, TheStatedQuoteIsNoDelimiter) {
  for (const char quote : {',', ';', '|', '\0'}) {
    KnownDialect known;
    known.dialect.quote = known.dialect.escape = quote;
    auto sniff = SniffCsv("a\tb\n1\t2\n", true, known);
    ASSERT_TRUE(sniff.ok()) << sniff.error().message;
    EXPECT_EQ(sniff->dialect.delimiter, '\t');
    sniff = SniffCsv("a\n1\n", true, known);
    ASSERT_TRUE(sniff.ok()) << sniff.error().message;
    EXPECT_THAT(sniff->names, ElementsAre("a"));
  }
}

TEST(Sniff, StatedDialectMustBePlain) {
  CsvDialect latin;
  latin.encoding = "latin-1";
  EXPECT_THAT(Refused("a\n", latin).message, HasSubstr("not a plain CSV dialect"));
}

TEST(Sniff, DuplicateNamesAreNamed) {
  const Error error = Refused("a,b,a,c,b\n1,2,3,4,5\n");
  EXPECT_THAT(error.message, HasSubstr("'a' and 'b' more than once"));
}

TEST(Sniff, EmptyNamesAreRefusedWithTheirPositionSaveTheFirst) {
  EXPECT_THAT(Refused("a,,c\n1,2,3\n").message, HasSubstr("column 2 has no name"));
  EXPECT_THAT(Sniff(",a,b\n0,1,2\n").names, ElementsAre("column1", "a", "b"));
  EXPECT_THAT(Refused(",column1\n0,1\n").message, HasSubstr("'column1' more than once"));
}

TEST(Sniff, EmptyFilesAreRefused) {
  EXPECT_THAT(Refused("").message, HasSubstr("the file is empty"));
  EXPECT_THAT(Refused("\n\r\n").message, HasSubstr("only blank lines"));
  EXPECT_THAT(Refused("\xEF\xBB\xBF").message, HasSubstr("only blank lines"));
}

TEST(Sniff, OtherEncodingsAreNamedWithLineAndFix) {
  const Error latin = Refused("name,x\nann,1\nJos\xE9,2\n");
  EXPECT_THAT(latin.message, HasSubstr("line 3"));
  EXPECT_THAT(latin.hint, HasSubstr("encoding: latin-1"));
  EXPECT_THAT(Refused(std::string_view("\xFF\xFE"
                                       "a\0,\0b\0\n\0",
                                       10))
                  .hint,
              HasSubstr("utf-16"));
  EXPECT_THAT(Refused(std::string_view("a\0,\0b\0\n\0", 8)).hint, HasSubstr("utf-16"));
  const Error nul = Refused(std::string_view("a,b\n1,2\n\0,4\n5,6\n7,8\n9,10\n", 25));
  EXPECT_THAT(nul.message, HasSubstr("line 3 holds a NUL byte"));
}

TEST(Sniff, AHeadCutWithinACharacterOrRecordIsFine) {
  std::string text = "name,x\nann,1\nJos\xC3\xA9,2\n";
  auto sniff = SniffCsv(std::string_view(text).substr(0, text.find('\xA9')), false, {});
  ASSERT_TRUE(sniff.ok()) << sniff.error().message;
  EXPECT_EQ(sniff->records, 1);
  EXPECT_FALSE(SniffCsv("a,b", false, {}).ok());
}

TEST(Sniff, OldMacLineEndsAndBrokenHeadersAreRefused) {
  EXPECT_THAT(Refused("a,b\r1,2\r3,4\r").message, HasSubstr("CR alone"));
  EXPECT_THAT(Refused("a,\"b\n1,2\n").message, HasSubstr("never closed"));
  EXPECT_THAT(Refused("\"a\"x,b\n1,2\n").message, HasSubstr("text follows a closing quote"));
}

TEST(Sniff, FilesAreNamedInErrors) {
  TempDir dir = TempDir::Make().value();
  const std::string path = dir.File("t.csv");
  ASSERT_TRUE(WriteFileAtomic(path, "a,a\n").ok());
  auto sniff = SniffCsvFile(path, {});
  ASSERT_FALSE(sniff.ok());
  EXPECT_THAT(sniff.error().message, HasSubstr(path));
}

TEST(Sniff, LooksAtTheHeadOfALargeFileOnly) {
  TempDir dir = TempDir::Make().value();
  std::string text = "id,x\n";
  while (text.size() < kCsvSniffBytes * 2) text += "1,2.5\n";
  ASSERT_TRUE(WriteFileAtomic(dir.File("t.csv"), text + "x,y\n").ok());
  auto sniff = SniffCsvFile(dir.File("t.csv"), {});
  ASSERT_TRUE(sniff.ok());
  EXPECT_THAT(sniff->types, ElementsAre(Type::kInt64, Type::kDouble));
  EXPECT_LT(sniff->records, 200'000);
}

}  // namespace
}  // namespace slipway
