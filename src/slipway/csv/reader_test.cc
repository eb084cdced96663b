#include "slipway/csv/reader.h"

#include <thread>

#include <zlib.h>

#include "slipway/base/file.h"
#include "slipway/csv/csv_testing.h"
#include "slipway/csv/fast_cell.h"
#include "slipway/csv/sniff.h"

namespace slipway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class ReaderTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, std::string_view content) {
    const std::string path = dir_.File(name);
    EXPECT_TRUE(WriteFileAtomic(path, content).ok());
    return path;
  }
  CsvReadOptions Options(std::string_view text, Schema schema) {
    CsvReadOptions options;
    options.files = {Write("t.csv", text)};
    options.schema = std::move(schema);
    return options;
  }
  // Reads at many chunk sizes; all must agree.
  CsvContent Read(std::string_view text, Schema schema, CsvDialect dialect = {}) {
    CsvReadOptions options = Options(text, std::move(schema));
    options.dialect = dialect;
    auto whole = ReadAllCsv(options);
    EXPECT_TRUE(whole.ok()) << whole.error().message;
    if (!whole.ok()) return {};
    for (size_t bytes : {1, 2, 3, 5, 7, 16, 64, 100}) {
      options.chunk_bytes = bytes;
      auto cut = ReadAllCsv(options);
      EXPECT_TRUE(cut.ok()) << cut.error().message;
      if (!cut.ok()) return {};
      EXPECT_EQ(cut->rows, whole->rows) << "chunks of " << bytes;
      EXPECT_EQ(cut->row_text, whole->row_text) << "chunks of " << bytes;
      EXPECT_EQ(Messages(*cut), Messages(*whole)) << "chunks of " << bytes;
    }
    return *whole;
  }
  // "line|column|reason|text" of each bad row.
  static std::vector<std::string> Messages(const CsvContent& content) {
    std::vector<std::string> out;
    for (const BadRow& bad : content.bad) {
      out.push_back(std::to_string(bad.line) + "|" + bad.column + "|" + bad.reason + "|" +
                    bad.text);
    }
    return out;
  }
  TempDir dir_ = TempDir::Make().value();
};

const Schema kTwo{{{"a", Type::kInt64}, {"b", Type::kString}}};

TEST_F(ReaderTest, ReadsAllTypes) {
  const Schema schema{{{"t", Type::kBoolean},
                       {"i", Type::kInt64},
                       {"d", Type::kDouble},
                       {"s", Type::kString},
                       {"day", Type::kDate},
                       {"at", Type::kTimestamp}}};
  const CsvContent content = Read(
      "t,i,d,s,day,at\n"
      "yes, 7,1e3, x ,2020-02-29,2015-05-07 19:52:06 UTC\n"
      ",,,,,\n"
      "0,-5,nan,\"a,b\",2020-01-01,2015-05-07\n",
      schema);
  EXPECT_THAT(
      content.rows,
      ElementsAre(
          ElementsAre("true", "7", "1000", " x ", "2020-02-29", "2015-05-07T19:52:06Z"),
          ElementsAre("<null>", "<null>", "<null>", "<null>", "<null>", "<null>"),
          ElementsAre("false", "-5", "<null>", "a,b", "2020-01-01", "2015-05-07T00:00:00Z")));
  EXPECT_THAT(content.bad, IsEmpty());
}

TEST_F(ReaderTest, LineEndsByteOrderMarkAndBlankLines) {
  for (const char* text : {"a,b\n1,x\n2,y\n", "a,b\r\n1,x\r\n2,y\r\n",
                           "\xEF\xBB\xBF"
                           "a,b\n1,x\n2,y",
                           "\n\na,b\n\n1,x\n\r\n\n2,y\n\n\n", "a,b\r\n1,x\r\n2,y\r"}) {
    const CsvContent content = Read(text, kTwo);
    EXPECT_THAT(content.rows, ElementsAre(ElementsAre("1", "x"), ElementsAre("2", "y"))) << text;
    EXPECT_THAT(content.row_text, ElementsAre("1,x", "2,y"));
    EXPECT_THAT(content.bad, IsEmpty());
  }
}

TEST_F(ReaderTest, BlankLinesOfOneColumnAreMissingValuesSaveTheLast) {
  const Schema one{{{"a", Type::kInt64}}};
  EXPECT_THAT(Read("a\n1\n\n3\n\n", one).rows,
              ElementsAre(ElementsAre("1"), ElementsAre("<null>"), ElementsAre("3")));
  EXPECT_THAT(Read("a\n1\n\"\"\n", one).rows, ElementsAre(ElementsAre("1"), ElementsAre("<null>")));
}

TEST_F(ReaderTest, QuotedCellsMayHoldAnything) {
  const CsvContent content = Read(
      "a,b\n"
      "1,\"x\n\ny\r\nz\"\n"
      "\"2\",\"he said \"\"no\"\"\"\r\n"
      "3,\"\"\"\"\n"
      "4,\"\"\n"
      "5,in \"the\" middle\n"
      "6,\",\"\n",
      kTwo);
  EXPECT_THAT(content.rows,
              ElementsAre(ElementsAre("1", "x\n\ny\r\nz"), ElementsAre("2", "he said \"no\""),
                          ElementsAre("3", "\""), ElementsAre("4", "<null>"),
                          ElementsAre("5", "in \"the\" middle"), ElementsAre("6", ",")));
  EXPECT_THAT(content.bad, IsEmpty());
  EXPECT_EQ(content.row_text[1], "\"2\",\"he said \"\"no\"\"\"");
}

TEST_F(ReaderTest, BadRowsAreLeftOutWithLineColumnAndReason) {
  const CsvContent content = Read(
      "a,b\n"
      "1,\"two\nlines\"\n"  // 2, 3
      "x,y\n"               // 4
      "5\n"                 // 5
      "6,7,8\n"             // 6
      "7,\"q\"tail\n"       // 7
      "8,\xE9\n"            // 8
      "9,ok\n"
      "10,\"open\n11,z\n",  // 10
      kTwo);
  EXPECT_THAT(content.rows, ElementsAre(ElementsAre("1", "two\nlines"), ElementsAre("9", "ok")));
  EXPECT_THAT(Messages(content),
              ElementsAre("4|a|'x' is not an int64|x,y", "5||1 cell where 2 are expected|5",
                          "6||3 cells where 2 are expected|6,7,8",
                          "7|b|text follows a closing quote|7,\"q\"tail",
                          "8||the row holds bytes that are not UTF-8|8,\xE9",
                          "10|b|a quote is opened and never closed|10,\"open\n11,z\n"));
  EXPECT_THAT(content.bad[0].file, HasSubstr("t.csv"));
}

TEST_F(ReaderTest, NulBytesMakeARowBad) {
  const CsvContent content = Read(std::string_view("a,b\n1,x\n2,\0y\n3,z\n", 17), kTwo);
  EXPECT_THAT(content.rows, SizeIs(2));
  EXPECT_THAT(content.bad, SizeIs(1));
  EXPECT_EQ(content.bad[0].line, 3);
}

TEST_F(ReaderTest, OnlyTheFirstBadCellOfARowIsReported) {
  const Schema schema{{{"a", Type::kInt64}, {"b", Type::kDouble}, {"c", Type::kBoolean}}};
  const CsvContent content = Read("c,b,a\nmaybe,1,x\ntrue,y,z\nno,2,3\n", schema);
  EXPECT_THAT(Messages(content), ElementsAre("2|c|'maybe' is not a boolean|maybe,1,x",
                                             "3|b|'y' is not a double|true,y,z"));
  EXPECT_THAT(content.rows, ElementsAre(ElementsAre("3", "2", "false")));
}

TEST_F(ReaderTest, ManyBadRowsAmongManyGoodOnes) {
  std::string text = "a,b\n";
  std::vector<std::string> expected;
  for (int i = 0; i < 10'000; ++i) {
    const bool bad = i % 7 == 3 || (i > 4000 && i < 4500);
    text += bad ? "oops,b\n"
                : std::to_string(i) + "," + (i % 3 == 0 ? "" : "s" + std::to_string(i)) + "\n";
    if (!bad)
      expected.push_back(std::to_string(i) + (i % 3 == 0 ? "<null>" : "s" + std::to_string(i)));
  }
  auto content = ReadAllCsv(Options(text, kTwo));
  ASSERT_TRUE(content.ok());
  std::vector<std::string> rows;
  for (const auto& row : content->rows) rows.push_back(row[0] + row[1]);
  EXPECT_TRUE(rows == expected);
  EXPECT_EQ(content->bad.size() + rows.size(), 10'000u);
  EXPECT_EQ(content->largest_batch, kBatchRows);
  EXPECT_EQ(content->bad[0].line, 5);
}

TEST_F(ReaderTest, ColumnsNotAskedForAreNotReadNorChecked) {
  CsvReadOptions options = Options("a,b\nx,1\ny,2\n", kTwo);
  options.columns = {"b"};
  auto content = ReadAllCsv(options);
  ASSERT_TRUE(content.ok());
  EXPECT_THAT(content->rows,
              ElementsAre(ElementsAre("<unread>", "1"), ElementsAre("<unread>", "2")));
  options.columns = {"bb"};
  EXPECT_THAT(OpenCsv(options).error().message, HasSubstr("no column 'bb'"));
}

TEST_F(ReaderTest, FilesAreMatchedByName) {
  CsvReadOptions options;
  options.schema = kTwo;
  options.files = {Write("1.csv", "a,b\n1,x\n"), Write("2.csv", "b,a\ny,2\nz,no\n")};
  auto content = ReadAllCsv(options);
  ASSERT_TRUE(content.ok()) << content.error().message;
  EXPECT_THAT(content->rows, ElementsAre(ElementsAre("1", "x"), ElementsAre("2", "y")));
  EXPECT_THAT(content->row_text, ElementsAre("1,x")) << "the second file's order differs";
  ASSERT_THAT(content->bad, SizeIs(1));
  EXPECT_EQ(content->bad[0].file, options.files[1]);
  EXPECT_EQ(content->bad[0].line, 3);
  EXPECT_EQ(content->bad[0].column, "a");
}

TEST_F(ReaderTest, FilesWithOtherColumnsAreNamed) {
  CsvReadOptions options;
  options.schema = kTwo;
  options.files = {Write("1.csv", "a,b\n1,x\n"), Write("2.csv", "a,c\n1,x\n")};
  const Error error = OpenCsv(options).error();
  EXPECT_THAT(error.message,
              HasSubstr("2.csv' lacks the column 'b' and has the unexpected column 'c'"));
  options.files[1] = Write("3.csv", "");
  EXPECT_THAT(OpenCsv(options).error().message, HasSubstr("3.csv' is empty"));
  options.files[1] = Write("4.csv", "a,b,b\n");
  EXPECT_THAT(OpenCsv(options).error().message, HasSubstr("'b' more than once"));
  options.files[1] = dir_.File("none.csv");
  EXPECT_EQ(OpenCsv(options).error().code, ErrorCode::kNotFound);
}

TEST_F(ReaderTest, HeaderOnlyHasNoRows) {
  for (const char* text : {"a,b", "a,b\n", "a,b\r\n\r\n"}) {
    EXPECT_THAT(Read(text, kTwo).rows, IsEmpty()) << text;
  }
}

TEST_F(ReaderTest, OtherDialects) {
  CsvDialect pipes;
  pipes.delimiter = '|';
  pipes.quote = pipes.escape = '\'';
  pipes.header = false;
  pipes.skip_lines = 2;
  EXPECT_THAT(Read("made\nby\n1|'a|b'\n2|\"\n", kTwo, pipes).rows,
              ElementsAre(ElementsAre("1", "a|b"), ElementsAre("2", "\"")));
  CsvDialect bare;
  bare.quote = bare.escape = '\0';
  EXPECT_THAT(Read("a,b\n1,\"x\n2,\"\n", kTwo, bare).rows,
              ElementsAre(ElementsAre("1", "\"x"), ElementsAre("2", "\"")));
  CsvDialect wrong;
  wrong.delimiter = '"';
  EXPECT_FALSE(OpenCsv([&] {
                 CsvReadOptions options = Options("a\n", kTwo);
                 options.dialect = wrong;
                 return options;
               }())
                   .ok());
}

TEST_F(ReaderTest, LineNumbersCountSkippedLinesAndLineFeedsInQuotes) {
  CsvDialect dialect;
  dialect.skip_lines = 1;
  const CsvContent content =
      Read("note\r\n\r\n\"a\",b\r\n1,\"x\r\ny\r\n\"\r\nbad,z\r\n", kTwo, dialect);
  ASSERT_THAT(content.bad, SizeIs(1));
  EXPECT_EQ(content.bad[0].line, 7);
}

TEST_F(ReaderTest, ARecordAboveTheLimitIsAnErrorWithItsLine) {
  CsvReadOptions options = Options("a,b\n1,x\n2,\"" + std::string(5000, 'y') + "\n3,z\n", kTwo);
  options.max_record_bytes = 1000;
  options.chunk_bytes = 100;
  auto content = ReadAllCsv(options);
  ASSERT_FALSE(content.ok());
  EXPECT_THAT(content.error().message, HasSubstr("line 3: a record is longer than the limit"));
  options.max_record_bytes = 10'000;
  ASSERT_TRUE(ReadAllCsv(options).ok());
}

TEST_F(ReaderTest, AThousandColumns) {
  Schema schema;
  std::string text;
  for (int c = 0; c < 1000; ++c) {
    schema.fields.push_back({"c" + std::to_string(c), c % 2 == 0 ? Type::kInt64 : Type::kString});
    text += (c > 0 ? ",c" : "c") + std::to_string(c);
  }
  text += "\n";
  for (int r = 0; r < 3000; ++r) {
    for (int c = 0; c < 1000; ++c) text += (c > 0 ? "," : "") + std::to_string((r + c) % 100);
    text += "\n";
  }
  auto content = ReadAllCsv(Options(text, schema));
  ASSERT_TRUE(content.ok()) << content.error().message;
  ASSERT_EQ(content->rows.size(), 3000u);
  EXPECT_GT(content->chunks, 5);
  for (size_t r = 0; r < 3000; r += 37) {
    for (size_t c = 0; c < 1000; ++c) ASSERT_EQ(content->rows[r][c], std::to_string((r + c) % 100));
  }
}

TEST_F(ReaderTest, RecordsAreCountedAsTheyAreRead) {
  for (const char* text :
       {"a,b\n1,x\n\n2,y\n", "a,b\n1,\"x\n\ny\"\n\n2,z", "a,b\n", "a\n1\n\n2\n\n", "a\n\"\"\n\n"}) {
    const std::string path = Write("count.csv", text);
    CsvReadOptions options;
    options.files = {path};
    options.schema = Strings(SniffCsvFile(path, CsvDialect{}).value().names);
    EXPECT_EQ(CountCsvRecords({path, path}, {}).value(),
              2 * static_cast<int64_t>(ReadAllCsv(options).value().rows.size()))
        << text;
  }
}

TEST_F(ReaderTest, StandardInputMayBeSniffedFirst) {
  const std::string path = Write("in.csv", "a,b\n1,x\n2,y\n");
  std::shared_ptr<ByteSource> source = ByteSource::Open(path).value();
  auto sniff = SniffCsvSource(source.get(), {});
  ASSERT_TRUE(sniff.ok());
  CsvReadOptions options;
  options.files = {"-"};
  options.standard_input = source;  // stands in for the pipe
  options.dialect = sniff->dialect;
  options.schema = kTwo;
  auto content = ReadAllCsv(options);
  ASSERT_TRUE(content.ok());
  EXPECT_THAT(content->rows, SizeIs(2));
}

TEST_F(ReaderTest, ProgressReachesOne) {
  std::string text = "a,b\n";
  for (int i = 0; i < 300'000; ++i) text += "1,abcdefgh\n";
  auto source = OpenCsv(Options(text, kTwo)).value();
  EXPECT_EQ(source->progress(), 0);
  Chunk chunk;
  ASSERT_TRUE(source->Next(&chunk).value());
  EXPECT_GT(source->progress(), 0.1);
  EXPECT_LT(source->progress(), 0.9);
  int64_t number = 0;
  while (source->Next(&chunk).value()) EXPECT_EQ(chunk.number, ++number);
  EXPECT_EQ(source->progress(), 1);
}

TEST_F(ReaderTest, AnErrorOfTheConsumerStopsTheDecoder) {
  auto source = OpenCsv(Options("a,b\n1,x\n", kTwo)).value();
  Chunk chunk;
  ASSERT_TRUE(source->Next(&chunk).value());
  std::vector<BadRow> bad;
  const Status status = source->NewDecoder()->Decode(
      chunk, [](const Batch&) -> Status { return Cancelled("enough"); }, &bad);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "enough");
}

// The quick ways and the functions of table/cell.h must agree to the bit.
TEST(FastCell, AgreesWithTheCellFunctions) {
  std::mt19937_64 random(11);
  std::vector<std::string> texts = {"",
                                    "-",
                                    ".",
                                    "-.",
                                    "5.",
                                    ".5",
                                    "-0",
                                    "0.0",
                                    "-0.0",
                                    "1.2.3",
                                    "+1",
                                    "1e5",
                                    " 1",
                                    "1 ",
                                    "007",
                                    "9007199254740993",
                                    "9007199254740992",
                                    "9223372036854775807",
                                    "999999999999999999",
                                    "-999999999999999999",
                                    "0.1",
                                    "1.7976931348623157e308",
                                    "nan",
                                    "00000000000000000000001",
                                    "123456789012345678.5",
                                    "--1"};
  for (int i = 0; i < 200'000; ++i) {
    std::string text = i % 3 == 0 ? "-" : "";
    const int before = static_cast<int>(random() % 12);
    const int behind = static_cast<int>(random() % 12);
    for (int d = 0; d < before; ++d) text += static_cast<char>('0' + random() % 10);
    if (i % 2 == 0) text += '.';
    for (int d = 0; d < behind; ++d) text += static_cast<char>('0' + random() % 10);
    texts.push_back(std::move(text));
  }
  for (const std::string& text : texts) {
    double fast = 0, slow = 0;
    if (FastDouble(text, &fast)) {
      ASSERT_EQ(ParseDoubleCell(text, &slow), CellState::kValue) << text;
      ASSERT_EQ(std::bit_cast<uint64_t>(fast), std::bit_cast<uint64_t>(slow)) << text;
    }
    int64_t fast_int = 0, slow_int = 0;
    if (FastInt64(text, &fast_int)) {
      ASSERT_EQ(ParseInt64Cell(text, &slow_int), CellState::kValue) << text;
      ASSERT_EQ(fast_int, slow_int) << text;
    }
  }
  double value = 0;
  EXPECT_TRUE(FastDouble("-12.75", &value)) << "the test would prove nothing";
}

TEST(RecordCells, AreCutOutAsTheyStand) {
  const std::string record = R"(a,"b ""x"", y",, 5 ,"",q"u"o,"z")";
  const auto cut = [&](const std::vector<int>& cells) {
    std::string out;
    AppendRecordCells(record, {}, cells, &out);
    return out;
  };
  EXPECT_EQ(cut({0, 1, 2, 3, 4, 5, 6}), record);
  EXPECT_EQ(cut({6, 1}), R"("z","b ""x"", y")");
  EXPECT_EQ(cut({3, 2, 4, 5}), R"( 5 ,,"",q"u"o)");
  EXPECT_EQ(cut({}), "");
}

}  // namespace
}  // namespace slipway
