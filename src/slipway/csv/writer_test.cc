#include "slipway/csv/writer.h"

#include <sys/stat.h>

#include "slipway/base/file.h"
#include "slipway/csv/byte_source.h"
#include "slipway/csv/csv_testing.h"

namespace slipway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class WriterTest : public testing::Test {
 protected:
  // Writes a batch as one chunk.
  static Status WriteBatch(TableWriter* writer, const Batch& batch) {
    auto encoder = writer->NewEncoder();
    EncodedChunk chunk;
    RETURN_IF_ERROR(encoder->Encode(batch, &chunk));
    EXPECT_EQ(chunk.rows, batch.rows);
    return writer->Append(std::move(chunk));
  }
  // A table of strings through the writer; nullptr is a null.
  static Status WriteStrings(const std::string& path, const CsvDialect& dialect,
                             const std::vector<std::string>& names,
                             const std::vector<std::vector<const char*>>& rows) {
    OwnedBatch batch(Strings(names));
    for (const auto& row : rows) {
      for (size_t c = 0; c < row.size(); ++c) {
        if (row[c] == nullptr) continue;
        Column& column = batch.column(static_cast<int>(c));
        column.strings()[batch.rows] = column.Intern(row[c]);
        column.SetValid(batch.rows);
      }
      ++batch.rows;
    }
    ASSIGN_OR_RETURN(auto writer, CreateCsvWriter(path, dialect, batch.schema()));
    RETURN_IF_ERROR(WriteBatch(writer.get(), batch.View()));
    return writer->Finish();
  }
  std::string Content(const std::string& name) { return ReadFile(dir_.File(name)).value(); }
  std::vector<std::string> Files() { return ListDir(dir_.path()).value(); }

  TempDir dir_ = TempDir::Make().value();
};

TEST_F(WriterTest, QuotesOnlyWhereNeeded) {
  ASSERT_TRUE(WriteStrings(dir_.File("t.csv"), {}, {"a", "b,c"},
                           {{"x", "y z"},
                            {"1,2", "say \"hi\""},
                            {"l\nf", "c\rr"},
                            {" lead", "trail "},
                            {nullptr, ""}})
                  .ok());
  EXPECT_EQ(
      Content("t.csv"),
      "a,\"b,c\"\nx,y z\n\"1,2\",\"say \"\"hi\"\"\"\n\"l\nf\",\"c\rr\"\n\" lead\",\"trail \"\n,\n");
}

TEST_F(WriterTest, AllTypes) {
  OwnedBatch batch(Schema{{{"t", Type::kBoolean},
                           {"i", Type::kInt64},
                           {"d", Type::kDouble},
                           {"day", Type::kDate},
                           {"at", Type::kTimestamp}}});
  batch.rows = 2;
  batch.column(0).booleans()[0] = 1;
  batch.column(1).ints()[0] = -7;
  batch.column(2).doubles()[0] = 0.1;
  batch.column(3).dates()[0] = 1;
  batch.column(4).ints()[0] = 1'000'000;
  for (int c = 0; c < 5; ++c) batch.column(c).SetValid(0);
  const std::string path = dir_.File("t.csv");
  auto writer = CreateCsvWriter(path, {}, batch.schema()).value();
  ASSERT_TRUE(WriteBatch(writer.get(), batch.View()).ok());
  ASSERT_TRUE(writer->Finish().ok());
  EXPECT_EQ(Content("t.csv"), "t,i,d,day,at\ntrue,-7,0.1,1970-01-02,1970-01-01T00:00:01Z\n,,,,\n");
}

TEST_F(WriterTest, OtherDialects) {
  CsvDialect dialect;
  dialect.delimiter = ';';
  dialect.quote = dialect.escape = '\'';
  dialect.header = false;
  ASSERT_TRUE(
      WriteStrings(dir_.File("t.csv"), dialect, {"a", "b"}, {{"x;y", "it's"}, {"a,b", "\""}}).ok());
  EXPECT_EQ(Content("t.csv"), "'x;y';'it''s'\na,b;\"\n");
  dialect.quote = dialect.escape = '\0';
  auto status = WriteStrings(dir_.File("u.csv"), dialect, {"a", "b"}, {{"x;y", "z"}});
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("column 'a'"));
}

TEST_F(WriterTest, NumbersAreQuotedWhenTheDelimiterIsPartOfThem) {
  CsvDialect dialect;
  dialect.delimiter = '.';
  OwnedBatch batch(Schema{{{"d", Type::kDouble}, {"e", Type::kDouble}}});
  batch.rows = 1;
  for (int c = 0; c < 2; ++c) {
    batch.column(c).doubles()[0] = 2.5;
    batch.column(c).SetValid(0);
  }
  auto writer = CreateCsvWriter(dir_.File("t.csv"), dialect, batch.schema()).value();
  ASSERT_TRUE(WriteBatch(writer.get(), batch.View()).ok());
  ASSERT_TRUE(writer->Finish().ok());
  EXPECT_EQ(Content("t.csv"), "d.e\n\"2.5\".\"2.5\"\n");
}

TEST_F(WriterTest, NothingIsVisibleBeforeFinish) {
  const std::string path = dir_.File("t.csv");
  ASSERT_TRUE(WriteFileAtomic(path, "old").ok());
  {
    auto writer = CreateCsvWriter(path, {}, Strings({"a"})).value();
    ASSERT_TRUE(writer->Append(EncodedChunk{"x\n", {}, 1}).ok());
    EXPECT_EQ(Content("t.csv"), "old");
  }
  EXPECT_THAT(Files(), ElementsAre("t.csv")) << "the temporary file went with the writer";
  EXPECT_EQ(Content("t.csv"), "old");
  auto writer = CreateCsvWriter(path, {}, Strings({"a"})).value();
  ASSERT_TRUE(writer->Append(EncodedChunk{"x\n", {}, 1}).ok());
  ASSERT_TRUE(writer->Finish().ok());
  EXPECT_EQ(Content("t.csv"), "a\nx\n");
  EXPECT_THAT(Files(), ElementsAre("t.csv"));
  EXPECT_FALSE(writer->Finish().ok());
}

TEST_F(WriterTest, AFullDiskIsSaidWithThePath) {
  struct stat info{};
  if (::stat("/dev/full", &info) != 0) GTEST_SKIP() << "no /dev/full here";
  auto writer = CreateCsvWriter("/dev/full", {}, Strings({"a"}));
  Error error;
  if (!writer.ok()) {
    error = writer.error();
  } else {
    auto status = (*writer)->Append(EncodedChunk{"x\n", {}, 1});
    ASSERT_FALSE(status.ok());
    error = status.error();
  }
  EXPECT_EQ(error.code, ErrorCode::kUnavailable);
  EXPECT_THAT(error.message, HasSubstr("/dev/full"));
  EXPECT_THAT(error.message, HasSubstr("No space left"));
  ASSERT_EQ(::stat("/dev/full", &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode)) << "the device was not replaced by a file";
}

TEST_F(WriterTest, AbsentFoldersAndFoldersAreRefusedAtOnce) {
  auto absent = CreateCsvWriter(dir_.File("none/t.csv"), {}, Strings({"a"}));
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(absent.error().message, HasSubstr("none/t.csv'"));
  EXPECT_THAT(CreateCsvWriter(dir_.path(), {}, Strings({"a"})).error().message,
              HasSubstr("is a folder"));
}

TEST_F(WriterTest, RowTextPassesThroughVerbatim) {
  Schema read{{{"a", Type::kDouble}, {"b", Type::kString}}};
  ASSERT_TRUE(WriteFileAtomic(dir_.File("in.csv"), "a,b\n1.50,\"x\"\r\n+2,\"y\nz\"\n").ok());
  CsvReadOptions options;
  options.files = {dir_.File("in.csv")};
  options.schema = read;
  options.columns = {"a"};  // 'b' is not even read
  Schema written = read;
  written.fields.push_back({"p", Type::kDouble});
  CsvDialect semicolon;
  semicolon.delimiter = ';';

  auto source = OpenCsv(options).value();
  auto writer = CreateCsvWriter(dir_.File("out.csv"), {}, written, CsvDialect{}).value();
  auto refused = CreateCsvWriter(dir_.File("no.csv"), semicolon, written, CsvDialect{}).value();
  Chunk chunk;
  ASSERT_TRUE(source->Next(&chunk).value());
  std::vector<BadRow> bad;
  Column p(Type::kDouble);
  p.SetAllValid();
  const Status status = source->NewDecoder()->Decode(
      chunk,
      [&](const Batch& batch) -> Status {
        std::vector<ColumnView> columns(batch.columns.begin(), batch.columns.end());
        for (int r = 0; r < batch.rows; ++r) p.doubles()[r] = batch.columns[0].doubles()[r] * 2;
        columns.push_back(p.View());
        Batch wider = batch;
        wider.schema = &written;
        wider.columns = columns;
        EXPECT_FALSE(WriteBatch(refused.get(), wider).ok()) << "'b' would have to be formatted";
        return WriteBatch(writer.get(), wider);
      },
      &bad);
  ASSERT_TRUE(status.ok()) << status.error().message;
  ASSERT_TRUE(writer->Finish().ok());
  EXPECT_EQ(Content("out.csv"), "a,b,p\n1.50,\"x\",3\n+2,\"y\nz\",4\n");
}

TEST_F(WriterTest, NullsOfOneColumnSurvive) {
  ASSERT_TRUE(
      WriteStrings(dir_.File("t.csv"), {}, {"a"}, {{"x"}, {nullptr}, {""}, {nullptr}}).ok());
  CsvReadOptions options;
  options.files = {dir_.File("t.csv")};
  options.schema = Strings({"a"});
  auto content = ReadAllCsv(options);
  ASSERT_TRUE(content.ok());
  EXPECT_THAT(content->rows, ElementsAre(ElementsAre("x"), ElementsAre("<null>"),
                                         ElementsAre("<null>"), ElementsAre("<null>")));
}

TEST_F(WriterTest, AnEmptyCompressedFileIsValid) {
  CsvDialect bare;
  bare.header = false;
  for (const char* name : {"e.csv.gz", "e.csv.zst"}) {
    auto writer = CreateCsvWriter(dir_.File(name), bare, Strings({"a"})).value();
    ASSERT_TRUE(writer->Finish().ok());
    EXPECT_GT(FileSize(dir_.File(name)).value(), 0);
    auto source = ByteSource::Open(dir_.File(name)).value();
    EXPECT_EQ(source->Peek(10).value(), "");
  }
}

// A table of random values of every type.
class RandomTable {
 public:
  RandomTable(uint64_t seed, int columns) : random_(seed) {
    for (int c = 0; c < columns; ++c) {
      // Blanks around a name are cut when it is read.
      schema_.fields.push_back(
          {"n" + RandomText() + "#" + std::to_string(c), static_cast<Type>(random_() % 6)});
    }
  }
  const Schema& schema() const { return schema_; }

  std::unique_ptr<OwnedBatch> Rows(int rows) {
    auto batch = std::make_unique<OwnedBatch>(schema_);
    batch->rows = rows;
    for (int c = 0; c < schema_.size(); ++c) {
      for (int r = 0; r < rows; ++r) SetRandom(&batch->column(c), r);
    }
    return batch;
  }

 private:
  std::string RandomText() {
    static const std::vector<std::string> kParts = {"a",  ",",    "\"",  "\n", "\r",   " ",
                                                    "\t", ";",    "é",   "日", "\"\"", ",\"",
                                                    "0",  "\r\n", "x y", "'"};
    std::string text;
    for (uint64_t i = random_() % 6; i > 0; --i) text += kParts[random_() % kParts.size()];
    return text;
  }
  void SetRandom(Column* column, int r) {
    if (random_() % 5 == 0) return;
    column->SetValid(r);
    switch (column->type()) {
      case Type::kBoolean:
        column->booleans()[r] = random_() % 2;
        break;
      case Type::kInt64:
        column->ints()[r] = static_cast<int64_t>(random_()) >> (random_() % 64);
        break;
      case Type::kDouble: {
        const double value = std::bit_cast<double>(random_());
        column->doubles()[r] = std::isnan(value) ? 0.5 : value;
        break;
      }
      case Type::kString: {
        const std::string text = RandomText();
        if (text.empty()) {
          column->SetNull(r);  // an empty text is missing when read back
        } else {
          column->strings()[r] = column->Intern(text);
        }
        break;
      }
      case Type::kDate:
        column->dates()[r] = static_cast<int32_t>(random_() % 40'000);
        break;
      case Type::kTimestamp:
        column->ints()[r] = static_cast<int64_t>(random_() % 4'000'000'000'000'000);
        break;
    }
  }

  std::mt19937_64 random_;
  Schema schema_;
};

TEST_F(WriterTest, WhatIsWrittenReadsBackEqualAtEveryChunkSize) {
  int round = 0;
  for (const char* name : {"a.csv", "b.csv.gz", "c.csv.zst", "d.csv", "e.csv", "f.csv"}) {
    ++round;
    RandomTable table(static_cast<uint64_t>(round), 1 + round * 2 % 9);
    CsvDialect dialect;
    if (round == 4) dialect.delimiter = '\t';
    if (round == 5) dialect.quote = dialect.escape = '\'';
    if (round == 6) dialect.header = false;
    auto writer = CreateCsvWriter(dir_.File(name), dialect, table.schema());
    ASSERT_TRUE(writer.ok()) << writer.error().message;
    CsvContent expected;
    for (int rows : {100, 0, 1, 333}) {
      auto batch = table.Rows(rows);
      AppendRows(batch->View(), &expected);
      ASSERT_TRUE(WriteBatch(writer->get(), batch->View()).ok());
    }
    ASSERT_TRUE((*writer)->Finish().ok());
    CsvReadOptions options;
    options.files = {dir_.File(name)};
    options.dialect = dialect;
    options.schema = table.schema();
    for (size_t bytes : {1, 13, 64, 257, 1000, 4096, 1 << 20}) {
      options.chunk_bytes = bytes;
      auto content = ReadAllCsv(options);
      ASSERT_TRUE(content.ok()) << content.error().message;
      ASSERT_TRUE(content->bad.empty()) << content->bad[0].line << " " << content->bad[0].reason;
      ASSERT_EQ(content->rows, expected.rows) << name << " in chunks of " << bytes;
    }
    EXPECT_EQ(CountCsvRecords(options.files, dialect).value(),
              static_cast<int64_t>(expected.rows.size()));
  }
}

TEST(AppendCsvRecord, WritesOneLine) {
  std::string out;
  AppendCsvRecord({"a", "b,c", ""}, {}, &out);
  AppendCsvRecord({""}, {}, &out);
  EXPECT_EQ(out, "a,\"b,c\",\n\"\"\n");
}

}  // namespace
}  // namespace slipway
