// JSON lines: the same text means the same value as in CSV; what cannot be read is named.
#include "slipway/dataset/dataset_testing.h"
#include "slipway/dataset/jsonl_source.h"

namespace slipway {
namespace {

class JsonLines : public testing::Test {
 protected:
  Result<Rows> Read(std::string_view text, const Schema& schema, size_t chunk_bytes = 1 << 20,
                    OnBadRows policy = OnBadRows::kQuarantine) {
    WriteText(path_, text);
    JsonLinesReadOptions options;
    options.files = {path_};
    options.schema = schema;
    options.chunk_bytes = chunk_bytes;
    ASSIGN_OR_RETURN(const std::unique_ptr<ChunkSource> source, OpenJsonLines(std::move(options)));
    return ReadAll(*source, policy);
  }
  std::string Reason(std::string_view line, Type type = Type::kDouble) {
    const auto rows = Read(std::string(line) + "\n", {{{"a", type}}});
    if (!rows.ok()) return rows.error().message;
    if (rows->bad.size() != 1) return "good";
    EXPECT_EQ(rows->bad[0].line, 1);
    EXPECT_EQ(rows->bad[0].text, line);
    return rows->bad[0].reason;
  }

  TempDir dir_ = TempDir::Make().value();
  std::string path_ = dir_.File("t.jsonl");
};

TEST_F(JsonLines, TextsMeanWhatTheyMeanInCsv) {
  const Schema schema{{{"b", Type::kBoolean},
                       {"i", Type::kInt64},
                       {"d", Type::kDouble},
                       {"s", Type::kString},
                       {"t", Type::kTimestamp}}};
  const std::vector<std::vector<std::string>> values = {
      {"true", "1e3", "0.1", "1.50", "2020-01-01"},
      {"Yes", " 5 ", " 1e-7 ", "  x ", "2020-01-01T10:00:00+02:00"},
      {"", "", "", "", ""},
      {"0", "-0", "nan", "true", "2020-01-01 00:00"}};
  std::string csv = "b,i,d,s,t\n", jsonl;
  for (const auto& row : values) {
    for (size_t i = 0; i < row.size(); ++i) {
      csv += "\"" + row[i] + "\"" + (i + 1 == row.size() ? "\n" : ",");
      jsonl += (i == 0 ? "{" : ",") + ("\"" + schema.fields[i].name + "\":\"" + row[i] + "\"");
    }
    jsonl += "}\n";
  }
  WriteText(dir_.File("t.csv"), csv);
  FilesSpec spec = SpecOf({dir_.File("t.csv")});
  spec.schema = schema;
  const auto inspection = Inspect(spec);
  ASSERT_OK(inspection);
  const auto from_csv = ReadSpec(inspection->spec);
  const auto from_json = Read(jsonl, schema);
  ASSERT_OK(from_csv);
  ASSERT_OK(from_json);
  EXPECT_EQ(from_json->cells, from_csv->cells);
  EXPECT_TRUE(from_json->bad.empty());
}

TEST_F(JsonLines, TokensKeepTheirOwnText) {
  const auto rows = Read(
      "{\"a\":1.50}\n{\"a\":true}\n{\"a\":null}\n{}\n{\"a\":\"\"}\n{\"a\":12345678901234567890123}"
      "\n"
      "{\"a\":\"q\\\"\\u00e9\\n\"}\n{\"a\":{\"b\": [1, 2]} }\n",
      {{{"a", Type::kString}}});
  ASSERT_OK(rows);
  EXPECT_EQ(rows->cells, (Table{{"1.50"},
                                {"true"},
                                {"NULL"},
                                {"NULL"},
                                {"NULL"},
                                {"12345678901234567890123"},
                                {"q\"\xC3\xA9\n"},
                                {"{\"b\": [1, 2]}"}}));
}

TEST_F(JsonLines, WhatIsNotJsonIsABadRow) {
  for (const char* line : {"{\"a\":NaN}",
                           "{\"a\":Infinity}",
                           "{\"a\":-Infinity}",
                           "{\"a\":01}",
                           "{\"a\":1.}",
                           "{\"a\":+1}",
                           "{\"a\":tru}",
                           "{\"a\":}",
                           "{\"a\":1",
                           "{\"a\":1}}",
                           "{\"a\":1} x",
                           "{\"a\":1}{\"a\":2}",
                           "{\"a\" 1}",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{\"a\":\"x}",
                           "{\"a\":\"x\"y}",
                           "{\"a\":\"\\q\"}",
                           "{\"other\":tru}",
                           "{\"other\":[1,,2]}",
                           "{\"a\":\"\xFF\"}",
                           "{\"a\":'x'}",
                           "{\"a\":\"",
                           "{\"",
                           "{\"a\":\"x\":[1]},\"b\":2}",
                           "{\"a\":\"x\":1},\"b\":2}",
                           "{\"a\":1:2}",
                           "{\"a\":\"\\n\":[1]}",
                           "{\"a\":[1]:[2]}"}) {
    EXPECT_NE(Reason(line, Type::kString).find("not valid JSON"), std::string::npos)
        << line << ": " << Reason(line);
  }
  EXPECT_EQ(Reason("[1]"), "not a JSON object");
  EXPECT_EQ(Reason("1"), "not a JSON object");
  EXPECT_EQ(Reason("{\"a\":1,\"a\":2}"), "the key stands twice");
  EXPECT_EQ(Reason("{\"a\":\"abc\"}"), "'abc' is not a double");
  EXPECT_EQ(Reason("{\"a\":[1]}"), "an object or array is not a double");
  EXPECT_EQ(Reason("{\"a\":1,\"b\":[1,2,{\"c\":null}]}"), "good");
}

TEST_F(JsonLines, BadRowsNameFileAndLineAndLeaveTheOthers) {
  const auto rows =
      Read("\xEF\xBB\xBF{\"a\":1}\r\n\r\n{\"a\":}\r\n{\"a\":3}", {{{"a", Type::kInt64}}});
  ASSERT_OK(rows);
  EXPECT_EQ(rows->cells, (Table{{"1"}, {"3"}}));
  ASSERT_EQ(rows->bad.size(), 1u);
  EXPECT_EQ(BadRowMessage(rows->bad[0]).substr(0, path_.size() + 3), path_ + ":3:");
  const auto failed =
      Read("{\"a\":1}\n{\"a\":x}\n", {{{"a", Type::kInt64}}}, 1 << 20, OnBadRows::kFail);
  EXPECT_FALSE(failed.ok());
}

TEST_F(JsonLines, ABadRowLeavesNothingBehindInTheNextOne) {
  const auto rows =
      Read("{\"a\":\"x\",\"b\":oops}\n{\"b\":2}\n", {{{"a", Type::kString}, {"b", Type::kInt64}}});
  ASSERT_OK(rows);
  EXPECT_EQ(rows->cells, (Table{{"NULL", "2"}}));
}

TEST_F(JsonLines, ChunksOfEverySizeGiveTheSameRows) {
  std::string text;
  Table expected;
  for (int i = 0; i < 500; ++i) {
    const std::string value(static_cast<size_t>(i * 7 % 90), static_cast<char>('a' + i % 26));
    text +=
        "{\"a\":\"" + value + "\",\"n\":" + std::to_string(i) + "}" + (i % 11 == 0 ? "\n\n" : "\n");
    expected.push_back({value.empty() ? "NULL" : value, std::to_string(i)});
  }
  text.pop_back();
  for (size_t chunk : {16u, 33u, 100u, 4096u, 1u << 20}) {
    const auto rows = Read(text, {{{"a", Type::kString}, {"n", Type::kInt64}}}, chunk);
    ASSERT_OK(rows);
    EXPECT_EQ(rows->cells, expected) << chunk;
  }
  EXPECT_EQ(CountJsonLines({path_}).value(), 500);
}

TEST_F(JsonLines, KeysAreFoundInTheOrderOfTheirAppearance) {
  WriteText(path_, "{\"b\":1,\"a\":\"x\"}\n{\"c\":[1],\"b\":2.5}\n{\"d\":null}\n");
  const auto inspection = Inspect(SpecOf({path_}));
  ASSERT_OK(inspection);
  EXPECT_EQ(inspection->spec.schema, (Schema{{{"b", Type::kDouble},
                                              {"a", Type::kString},
                                              {"c", Type::kString},
                                              {"d", Type::kString}}}));
}

TEST_F(JsonLines, AnArrayIsExplained) {
  WriteText(path_, "[{\"a\":1}]\n");
  const auto inspection = Inspect(SpecOf({path_}));
  ASSERT_FALSE(inspection.ok());
  EXPECT_NE(inspection.error().message.find("a JSON array"), std::string::npos);
}

TEST_F(JsonLines, ALineWithoutEndStopsTheReading) {
  WriteText(path_, "{\"a\":1}\n" + std::string(5000, 'x'));
  JsonLinesReadOptions options;
  options.files = {path_};
  options.schema = {{{"a", Type::kInt64}}};
  options.chunk_bytes = 64;
  options.max_line_bytes = 1000;
  const auto source = OpenJsonLines(std::move(options));
  ASSERT_OK(source);
  const auto rows = ReadAll(**source);
  ASSERT_FALSE(rows.ok());
  EXPECT_NE(rows.error().message.find(":2: the line is longer"), std::string::npos)
      << rows.error().message;
}

}  // namespace
}  // namespace slipway
