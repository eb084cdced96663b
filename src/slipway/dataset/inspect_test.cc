// What Inspect finds, and what it refuses.
#include <fcntl.h>
#include <unistd.h>

#include "slipway/base/json.h"
#include "slipway/dataset/dataset_testing.h"

namespace slipway {
namespace {

class InspectTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, std::string_view text) {
    WriteText(dir_.File(name), text);
    return dir_.File(name);
  }
  std::string Message(const FilesSpec& spec) {
    const auto inspection = Inspect(spec);
    return inspection.ok() ? "ok" : inspection.error().message + "; " + inspection.error().hint;
  }
  TempDir dir_ = TempDir::Make().value();
};

TEST_F(InspectTest, FindsDialectTypesAndFiles) {
  Write("b.csv", "fare;at\n2,5;x\n");
  const std::string path =
      Write("a.csv", "id;fare;day;ok\n1;2.5;2020-01-02;true\n2;;2020-01-03;false\n");
  const auto inspection = Inspect(SpecOf({path}));
  ASSERT_OK(inspection);
  EXPECT_EQ(*inspection->spec.format, Format::kCsv);
  EXPECT_EQ(inspection->spec.dialect->delimiter, ';');
  EXPECT_EQ(inspection->spec.schema, (Schema{{{"id", Type::kInt64},
                                              {"fare", Type::kDouble},
                                              {"day", Type::kDate},
                                              {"ok", Type::kBoolean}}}));
  EXPECT_EQ(inspection->files, std::vector<std::string>{path});
  EXPECT_EQ(inspection->bytes, FileSize(path).value());
}

TEST_F(InspectTest, LaterFilesWidenTheTypes) {
  Write("1.csv", "a,b\n1,2\n");
  Write("2.csv", "b,a\nx,1.5\n");
  const auto inspection = Inspect(SpecOf({dir_.File("*.csv")}));
  ASSERT_OK(inspection);
  EXPECT_EQ(inspection->spec.schema, (Schema{{{"a", Type::kDouble}, {"b", Type::kString}}}));
  const auto rows = ReadSpec(inspection->spec);
  ASSERT_OK(rows);
  EXPECT_EQ(rows->cells, (Table{{"1", "2"}, {"1.5", "x"}}));
}

TEST_F(InspectTest, TheFormatIsSeenInTheContent) {
  EXPECT_EQ(*Inspect(SpecOf({Write("plain", "a,b\n1,2\n")}))->spec.format, Format::kCsv);
  EXPECT_EQ(*Inspect(SpecOf({Write("lines", " {\"a\":1}\n")}))->spec.format, Format::kJsonLines);
  ASSERT_OK(WriteRows(dir_.File("t.parquet"), Format::kParquet, {{{"a", Type::kInt64}}}, {{"1"}}));
  ASSERT_OK(RenameDurably(dir_.File("t.parquet"), dir_.File("column")));
  EXPECT_EQ(*Inspect(SpecOf({dir_.File("column")}))->spec.format, Format::kParquet);
  EXPECT_EQ(FormatFromPath("/x/A.CSV.GZ"), Format::kCsv);
  EXPECT_EQ(FormatFromPath("a.ndjson.zst"), Format::kJsonLines);
  EXPECT_EQ(FormatFromPath("a.parquet.gz"), std::nullopt);
}

TEST_F(InspectTest, NamesWhatIsMissing) {
  EXPECT_EQ(Message(SpecOf({dir_.File("*.csv")})).find("no file matches '" + dir_.File("*.csv")),
            0u);
  EXPECT_EQ(Message(SpecOf({dir_.File("no.csv")})).find("there is no file '"), 0u);
  EXPECT_NE(Message(SpecOf({dir_.path()})).find("is a folder"), std::string::npos);
  EXPECT_NE(Message(SpecOf({Write("empty.csv", "")})).find("empty.csv' is empty"),
            std::string::npos);
  EXPECT_NE(Message(SpecOf({Write("empty.jsonl", "\n\n")})).find("is empty"), std::string::npos);
  Write("1.csv", "a,b\n1,2\n");
  EXPECT_NE(Message(SpecOf({dir_.File("1.csv"), Write("2.jsonl", "{\"a\":1}\n")}))
                .find("2.jsonl' is jsonl"),
            std::string::npos);
}

TEST_F(InspectTest, AStatedSchemaIsChecked) {
  FilesSpec spec = SpecOf({Write("a.csv", "id,fare\n007,1\n")});
  spec.schema = {{{"id", Type::kString},
                  {"fare", Type::kDouble},
                  {"tip", Type::kDouble},
                  {"zone", Type::kString}}};
  EXPECT_NE(Message(spec).find("a.csv has no column 'tip' and 'zone'"), std::string::npos)
      << Message(spec);
  spec.schema = {{{"id", Type::kString}}};
  const auto inspection = Inspect(spec);
  ASSERT_OK(inspection);
  EXPECT_EQ(inspection->spec.schema, (Schema{{{"id", Type::kString}, {"fare", Type::kInt64}}}));
  ASSERT_EQ(inspection->warnings.size(), 1u);
  EXPECT_NE(inspection->warnings[0].find("'fare'"), std::string::npos);
  ASSERT_OK(WriteRows(dir_.File("t.parquet"), Format::kParquet, {{{"a", Type::kDate}}},
                      {{"2020-01-01"}}));
  FilesSpec parquet = SpecOf({dir_.File("t.parquet")});
  parquet.schema = {{{"a", Type::kDouble}}};
  EXPECT_NE(Message(parquet).find("column 'a' of"), std::string::npos);
}

TEST_F(InspectTest, ASpecSurvivesJson) {
  FilesSpec spec = SpecOf({"/a/*.csv"});
  spec.format = Format::kCsv;
  spec.dialect = CsvDialect{'\t', '\0', '\0', false, 3, "utf-8"};
  spec.schema = {{{"x", Type::kDate}}};
  spec.on_bad_rows = OnBadRows::kQuarantine;
  const auto back = FilesSpecFromJson(FilesSpecToJson(spec));
  ASSERT_OK(back);
  EXPECT_EQ(back->paths, spec.paths);
  EXPECT_EQ(back->format, spec.format);
  EXPECT_EQ(back->dialect, spec.dialect);
  EXPECT_EQ(back->schema, spec.schema);
  EXPECT_EQ(back->on_bad_rows, spec.on_bad_rows);
  EXPECT_FALSE(FilesSpecFromJson({{"paths", {"a"}}, {"format", "xls"}}).ok());
  EXPECT_FALSE(FilesSpecFromJson({{"paths", {"a"}}, {"on_bad_rows", "ignore"}}).ok());
  EXPECT_FALSE(FilesSpecFromJson({{"paths", {"a"}}, {"dialect", {{"delimiter", "ab"}}}}).ok());
}

struct Encoded {
  const char* name;
  const char* encoding;
  char escape;
  std::string text;
};

TEST_F(InspectTest, CsvThatIsNotPlainIsReadByTheEngineWithOurValues) {
  std::string utf16 = "\xFF\xFE";
  for (const char c : std::string("id,name,x\n01,caf\xE9,1.5\n2,\"a \"\"b\"\", c\",\n3,,abc\n")) {
    utf16 += c;
    utf16 += '\0';
  }
  const std::vector<Encoded> files = {
      {"latin.csv", "latin-1", '"', "id,name,x\n01,caf\xE9,1.5\n2,\"a \"\"b\"\", c\",\n3,,abc\n"},
      {"utf16.csv", "utf-16", '"', utf16},
      {"escape.csv", "utf-8", '\\',
       "id,name,x\n01,caf\xC3\xA9,1.5\n2,\"a \\\"b\\\", c\",\n3,,abc\n"}};
  for (const Encoded& file : files) {
    FilesSpec spec = SpecOf({Write(file.name, file.text)});
    spec.dialect = CsvDialect{};
    spec.dialect->encoding = file.encoding;
    spec.dialect->escape = file.escape;
    const auto inspection = Inspect(spec);
    ASSERT_OK(inspection);
    // "01" is no number, "abc" makes x a string.
    EXPECT_EQ(inspection->spec.schema,
              (Schema{{{"id", Type::kString}, {"name", Type::kString}, {"x", Type::kString}}}))
        << file.name;
    ReadOptions options;
    options.types = {{{"x", Type::kDouble}}};
    const auto rows = ReadSpec(inspection->spec, options, OnBadRows::kQuarantine);
    ASSERT_OK(rows);
    EXPECT_EQ(rows->cells, (Table{{"01", "caf\xC3\xA9", "1.5"}, {"2", "a \"b\", c", "NULL"}}))
        << file.name;
    ASSERT_EQ(rows->bad.size(), 1u);
    EXPECT_EQ(rows->bad[0].column, "x");
    EXPECT_EQ(CountRows(inspection->spec).value(), 3) << file.name;
  }
}

FilesSpec PartlyStated(const std::string& path, const Json& dialect) {
  return FilesSpecFromJson({{"paths", {path}}, {"dialect", dialect}}).value();
}

TEST_F(InspectTest, WhatIsNotStatedOfADialectIsSniffed) {
  const std::string plain = Write("plain.csv", "name;n\nUlm;1\nK\xC3\xB6ln;2\n");
  const std::string latin = Write("latin.csv", "name;n\nUlm;1\nK\xF6ln;2\n");
  const std::string quoted =
      Write("quoted.csv", "\xEF\xBB\xBF'name';n\n'U\\';lm';1\nO'r;2\n'\\';\\'';3\n");
  std::string utf16 = "\xFF\xFE";
  for (const char c : std::string("name\tn\nUlm\t1\nK\xF6ln\t2\n")) utf16 += {c, '\0'};
  const std::pair<std::string, Json> cases[] = {
      {plain, {{"header", true}}},
      {plain, {{"skip_lines", 0}}},
      {plain, {{"encoding", "utf-8"}}},
      {plain, {{"quote", ""}}},
      {plain, {{"quote", "'"}}},
      {plain, {{"escape", "\\"}}},
      {plain, {{"delimiter", ";"}}},
      {latin, {{"encoding", "latin-1"}}},
      {latin, {{"encoding", "latin-1"}, {"header", true}}},
      {Write("utf16.csv", utf16), {{"encoding", "utf-16"}}},
      {quoted, {{"quote", "'"}, {"escape", "\\"}}},
  };
  for (const auto& [path, dialect] : cases) {
    SCOPED_TRACE(path + DumpJson(dialect));
    const auto inspection = Inspect(PartlyStated(path, dialect));
    ASSERT_OK(inspection);
    EXPECT_FALSE(inspection->spec.sniff_delimiter || inspection->spec.sniff_header);
    EXPECT_EQ(inspection->spec.schema, (Schema{{{"name", Type::kString}, {"n", Type::kInt64}}}));
    const auto rows = ReadSpec(inspection->spec);
    ASSERT_OK(rows);
    const Table quotes = {{"U';lm", "1"}, {"O'r", "2"}, {"';'", "3"}};
    EXPECT_EQ(rows->cells, path == quoted ? quotes : (Table{{"Ulm", "1"}, {"K\xC3\xB6ln", "2"}}));
  }
  // The header too, and a stated one holds.
  const std::string numbers = Write("numbers.csv", "1;K\xF6ln\n2;Ulm\n");
  const auto none = Inspect(PartlyStated(numbers, {{"encoding", "latin-1"}}));
  ASSERT_OK(none);
  EXPECT_EQ(none->spec.schema.Names(), (std::vector<std::string>{"column1", "column2"}));
  const auto header = Inspect(PartlyStated(numbers, {{"encoding", "latin-1"}, {"header", true}}));
  ASSERT_OK(header);
  EXPECT_EQ(header->spec.schema.Names(), (std::vector<std::string>{"1", "K\xC3\xB6ln"}));
}

TEST_F(InspectTest, OnlyAStatedDelimiterIsBlamed) {
  const std::string path = Write("a.csv", "name;n\nK\xF6ln;1\n");
  EXPECT_NE(Message(PartlyStated(path, {{"encoding", "latin-1"}, {"delimiter", ","}}))
                .find("the stated delimiter ',' leaves one column, but ';' splits"),
            std::string::npos);
}

TEST_F(InspectTest, OldMacLinesOfOtherEncodingsAreStillRead) {
  const std::string path = Write("mac.csv", "name;n\rK\xF6ln;1\rUlm;2\r");
  const auto inspection =
      Inspect(PartlyStated(path, {{"encoding", "latin-1"}, {"delimiter", ";"}, {"header", true}}));
  ASSERT_OK(inspection);
  const auto rows = ReadSpec(inspection->spec);
  ASSERT_OK(rows);
  EXPECT_EQ(rows->cells, (Table{{"K\xC3\xB6ln", "1"}, {"Ulm", "2"}}));
}

// Puts `text` in place of standard input for its lifetime.
class StandardInput {
 public:
  explicit StandardInput(const std::string& path) : saved_(dup(STDIN_FILENO)) {
    const int fd = open(path.c_str(), O_RDONLY);
    dup2(fd, STDIN_FILENO);
    close(fd);
  }
  ~StandardInput() {
    dup2(saved_, STDIN_FILENO);
    close(saved_);
  }

 private:
  int saved_;
};

TEST_F(InspectTest, StandardInputIsReadFromItsBeginningAfterInspect) {
  std::string csv = "n,s\n", jsonl;
  for (int i = 0; i < 30000; ++i) {
    csv += std::to_string(i) + ",row " + std::to_string(i) +
           " and some more text to go beyond the head\n";
    jsonl += "{\"n\":" + std::to_string(i) + ",\"s\":\"row\"}\n";
  }
  for (const std::string& path : {Write("t.csv", csv), Write("t.jsonl", jsonl)}) {
    const StandardInput input(path);
    const auto inspection = Inspect(SpecOf({"-"}));
    ASSERT_OK(inspection);
    EXPECT_EQ(inspection->spec.schema, (Schema{{{"n", Type::kInt64}, {"s", Type::kString}}}));
    const auto rows = ReadSpec(inspection->spec);
    ASSERT_OK(rows);
    ASSERT_EQ(rows->cells.size(), 30000u);
    EXPECT_EQ(rows->cells[0][0], "0");
    EXPECT_EQ(rows->cells[29999][0], "29999");
  }
}

TEST(Fingerprint, FollowsTheContentAndNotTheTimes) {
  TempDir dir = TempDir::Make().value();
  const std::string path = dir.File("a.csv");
  WriteText(path, "a\n1\n");
  const auto first = FingerprintFiles(SpecOf({path}), "");
  ASSERT_OK(first);
  EXPECT_EQ(first->value.size(), 32u);
  EXPECT_EQ(first->bytes, 4);
  std::filesystem::last_write_time(
      path, std::filesystem::file_time_type::clock::now() - std::chrono::hours(5));
  const auto touched = FingerprintFiles(SpecOf({path}), first->state);
  ASSERT_OK(touched);
  EXPECT_EQ(touched->value, first->value);
  EXPECT_NE(touched->state, first->state);
  ASSERT_OK(MakeDirs(dir.File("copy")));
  std::filesystem::copy_file(path, dir.File("copy/a.csv"));
  EXPECT_EQ(FingerprintFiles(SpecOf({dir.File("copy/a.csv")}), "")->value, first->value);
  // The same size, and the time put back: the file is too young for its time to be believed the
  // first time.
  WriteText(path, "a\n2\n");
  EXPECT_NE(FingerprintFiles(SpecOf({path}), first->state)->value, first->value);
  WriteText(path, "a\n1\n");
  EXPECT_EQ(FingerprintFiles(SpecOf({path}), first->state)->value, first->value);
  EXPECT_EQ(FingerprintFiles(SpecOf({path}), "not json")->value, first->value);
  WriteText(dir.File("b.csv"), "");
  EXPECT_NE(FingerprintFiles(SpecOf({dir.File("*.csv")}), "")->value, first->value);
}

TEST(Fingerprint, AnUnchangedFileIsNotReadAgain) {
  TempDir dir = TempDir::Make().value();
  const std::string path = dir.File("a.csv");
  WriteText(path, "a\n1\n");
  std::filesystem::last_write_time(
      path, std::filesystem::file_time_type::clock::now() - std::chrono::hours(5));
  auto first = FingerprintFiles(SpecOf({path}), "");
  ASSERT_OK(first);
  Json state = ParseJson(first->state).value();
  state[0]["hash"] = "0123";  // would be mended if the file were read
  const auto second = FingerprintFiles(SpecOf({path}), DumpJson(state));
  ASSERT_OK(second);
  EXPECT_EQ(second->state, DumpJson(state));
}

}  // namespace
}  // namespace slipway
