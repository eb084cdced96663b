// Every type, with everything that is awkward in it, through every format: equal values come back.
#include "slipway/dataset/dataset_testing.h"

namespace slipway {
namespace {

Schema AllTypes() {
  return {{{"flag", Type::kBoolean},
           {"count", Type::kInt64},
           {"fare", Type::kDouble},
           {"zone \"x\", y", Type::kString},
           {"day", Type::kDate},
           {"at", Type::kTimestamp}}};
}

std::vector<std::vector<std::string>> AwkwardRows() {
  return {{"true", "1", "0.1", "plain", "2015-05-07", "2015-05-07T19:52:06Z"},
          {"NULL", "NULL", "NULL", "NULL", "NULL", "NULL"},
          {"false", "-9223372036854775808", "-1.7976931348623157e+308",
           "quote \" comma , back\\slash", "1600-02-29", "1600-02-29T23:59:59.999999Z"},
          {"true", "9223372036854775807", "5e-324", "line\nbreak\r\n\ttab \x01", "2999-12-31",
           "2999-12-31T00:00:00Z"},
          {"true", "0", "nan", "  blanks  ", "1970-01-01", "1970-01-01T00:00:00.000001Z"},
          {"false", "7", "3.141592653589793", "gr\xC3\xBC\xC3\x9F \xF0\x9F\x9A\x95 \xE2\x80\xA8",
           "1969-12-31", "1969-12-31T23:59:59Z"}};
}

std::vector<std::vector<std::string>> NaNsAreMissing(std::vector<std::vector<std::string>> rows) {
  for (auto& row : rows) {
    for (std::string& cell : row) {
      if (cell == "nan") cell = "NULL";
    }
  }
  return rows;
}

class RoundTrip : public testing::TestWithParam<const char*> {
 protected:
  TempDir dir_ = TempDir::Make().value();
};

TEST_P(RoundTrip, KeepsEveryTypeWithNulls) {
  const std::string path = dir_.File(GetParam());
  const Format format = *FormatFromPath(path);
  ASSERT_OK(WriteRows(path, format, AllTypes(), AwkwardRows()));
  FilesSpec stated = SpecOf({path});
  stated.schema = AllTypes();
  const auto inspection = Inspect(stated);
  ASSERT_OK(inspection);
  EXPECT_EQ(inspection->spec.schema, AllTypes());
  const auto rows = ReadSpec(inspection->spec);
  ASSERT_OK(rows);
  EXPECT_EQ(rows->cells, NaNsAreMissing(AwkwardRows()));
  EXPECT_EQ(CountRows(inspection->spec).value(), 6);
  // Nothing but the file itself is left in the folder.
  EXPECT_EQ(ListDir(dir_.path()).value(), std::vector<std::string>{GetParam()});
}

TEST_P(RoundTrip, InfersTheTypesThatWereWritten) {
  const std::string path = dir_.File(GetParam());
  ASSERT_OK(WriteRows(path, *FormatFromPath(path), AllTypes(), AwkwardRows()));
  const auto inspection = Inspect(SpecOf({path}));
  ASSERT_OK(inspection);
  Schema expected = AllTypes();
  // A text of 19 digits may be an identifier: only Parquet knows that it is a number.
  if (*inspection->spec.format != Format::kParquet) expected.fields[1].type = Type::kString;
  EXPECT_EQ(inspection->spec.schema, expected);
}

TEST_P(RoundTrip, KeepsTheOrderOfManyRowsOnSeveralThreads) {
  const Schema schema{{{"n", Type::kInt64}, {"s", Type::kString}}};
  std::vector<std::vector<std::string>> rows;
  for (int i = 0; i < 50'000; ++i)
    rows.push_back({std::to_string(i), i % 7 == 0 ? "NULL" : "row " + std::to_string(i)});
  const std::string path = dir_.File(GetParam());
  const Format format = *FormatFromPath(path);
  ASSERT_OK(WriteRows(path, format, schema, rows));
  const auto inspection = Inspect(SpecOf({path}));
  ASSERT_OK(inspection);
  const std::string copy = dir_.File(std::string("copy-") + GetParam());
  ReadOptions options;
  options.threads = 2;
  const auto source = OpenSource(inspection->spec, options);
  ASSERT_OK(source);
  const auto writer = CreateWriter(copy, format, schema, {});
  ASSERT_OK(writer);
  const auto counts = CopyAll(**source, **writer);
  ASSERT_OK(counts);
  EXPECT_EQ(counts->rows, 50'000);
  const auto read = ReadPath(copy);
  ASSERT_OK(read);
  EXPECT_EQ(read->cells, rows);
}

TEST_P(RoundTrip, AWriterThatIsNotFinishedLeavesNothing) {
  {
    const auto writer = CreateWriter(dir_.File(GetParam()), *FormatFromPath(GetParam()),
                                     Schema{{{"a", Type::kInt64}}}, {});
    ASSERT_OK(writer);
    OwnedBatch batch(Schema{{{"a", Type::kInt64}}});
    batch.rows = 3;
    EncodedChunk chunk;
    ASSERT_OK((*writer)->NewEncoder()->Encode(batch.View(), &chunk));
    ASSERT_OK((*writer)->Append(std::move(chunk)));
  }
  EXPECT_EQ(ListDir(dir_.path()).value(), std::vector<std::string>{});
}

TEST_P(RoundTrip, AFolderThatIsNotThereIsKnownAtOnce) {
  const auto writer = CreateWriter(dir_.File(std::string("none/") + GetParam()),
                                   *FormatFromPath(GetParam()), Schema{{{"a", Type::kInt64}}}, {});
  ASSERT_FALSE(writer.ok());
  EXPECT_NE(writer.error().message.find("none"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Formats, RoundTrip,
                         testing::Values("t.csv", "t.tsv.gz", "t.csv.zst", "t.jsonl", "t.jsonl.gz",
                                         "t.ndjson.zst", "t.parquet"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(RoundTripInfinity, SurvivesWhereTheFormatHasIt) {
  TempDir dir = TempDir::Make().value();
  const Schema schema{{{"x", Type::kDouble}, {"y", Type::kInt64}}};
  const std::vector<std::vector<std::string>> rows = {{"inf", "1"}, {"-inf", "2"}, {"1.5", "3"}};
  for (const char* name : {"t.csv", "t.parquet"}) {
    ASSERT_OK(WriteRows(dir.File(name), *FormatFromPath(name), schema, rows));
    const auto read = ReadPath(dir.File(name));
    ASSERT_OK(read);
    EXPECT_EQ(read->cells, rows) << name;
  }
  // JSON has no infinity: null.
  ASSERT_OK(WriteRows(dir.File("t.jsonl"), Format::kJsonLines, schema, rows));
  EXPECT_EQ(ReadFile(dir.File("t.jsonl")).value(),
            "{\"x\":null,\"y\":1}\n{\"x\":null,\"y\":2}\n{\"x\":1.5,\"y\":3}\n");
}

TEST(RoundTripEmpty, ATableWithoutRowsKeepsItsColumns) {
  TempDir dir = TempDir::Make().value();
  ASSERT_OK(WriteRows(dir.File("t.parquet"), Format::kParquet, AllTypes(), {}));
  const auto read = ReadPath(dir.File("t.parquet"));
  ASSERT_OK(read);
  EXPECT_EQ(read->schema, AllTypes());
  EXPECT_TRUE(read->cells.empty());
}

}  // namespace
}  // namespace slipway
