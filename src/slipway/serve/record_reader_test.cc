#include "slipway/serve/record_reader.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slipway/http/server.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

const std::vector<Field>& AllTypes() {
  static const std::vector<Field> fields = {
      {"boolean", Type::kBoolean}, {"int", Type::kInt64}, {"double", Type::kDouble},
      {"string", Type::kString},   {"date", Type::kDate}, {"timestamp", Type::kTimestamp}};
  return fields;
}

// One record after the other through one reader, as a warm endpoint does it.
class Reading {
 public:
  explicit Reading(const std::vector<Field>& fields = AllTypes())
      : layout_(fields), reader_(&layout_), rows_(layout_, 1) {}

  // The row as texts; "null" where missing. Sets bad() or json_error().
  std::vector<std::string> Read(const std::string& record) {
    body_ = "{\"r\":" + record + "}" + std::string(kHttpPadding, '9');
    std::string_view key;
    rows_.Begin(0);
    bad_.reset();
    json_error_.clear();
    EXPECT_TRUE(
        scanner_.Begin(std::string_view(body_).substr(0, body_.size() - kHttpPadding), &arena_));
    EXPECT_TRUE(scanner_.Enter() && scanner_.NextKey(&key));
    if (!reader_.Read(&scanner_, &rows_, 0, &bad_) || scanner_.NextKey(&key) ||
        !scanner_.Finish()) {
      json_error_ = scanner_.error().message;
    }
    return Texts();
  }
  std::vector<std::string> ReadQuery(const std::string& query) {
    body_ = query;
    rows_.Begin(0);
    bad_.reset();
    reader_.ReadQuery(body_, &arena_, &rows_, 0, &bad_);
    return Texts();
  }
  std::string bad() const { return bad_ ? bad_->message : ""; }
  const std::string& json_error() const { return json_error_; }
  RecordRows& rows() { return rows_; }

 private:
  std::vector<std::string> Texts() {
    std::vector<std::string> texts;
    for (const ColumnView& column : rows_.views()) {
      std::string& text = texts.emplace_back(column.valid(0) ? "" : "null");
      AppendCell(column, 0, &text);
    }
    return texts;
  }

  RecordLayout layout_;
  RecordReader reader_;
  RecordRows rows_;
  TextArena arena_;
  RequestScanner scanner_;
  std::optional<Error> bad_;
  std::string body_, json_error_;
};

using Texts = std::vector<std::string>;

TEST(RecordReader, ReadsEveryTypeAndForgetsTheLastRecord) {
  Reading reading;
  EXPECT_EQ(reading.Read(R"({"boolean":true,"int":-5,"double":0.1,"string":"é\n",)"
                         R"("date":"2015-05-07","timestamp":"2015-05-07 19:52:06 UTC"})"),
            (Texts{"true", "-5", "0.1", "é\n", "2015-05-07", "2015-05-07T19:52:06Z"}));
  EXPECT_EQ(reading.Read("{}"), (Texts(6, "null")));
  EXPECT_EQ(reading.Read(R"({"timestamp":"2020-01-01","date":null,"string":"","double":NaN,)"
                         R"("int":-Infinity,"boolean":0,"unknown":{"a":[1,{}]}})"),
            (Texts{"false", "null", "null", "null", "null", "2020-01-01T00:00:00Z"}));
  EXPECT_EQ(reading.bad(), "");
  EXPECT_EQ(reading.json_error(), "");
}

// Any text means in JSON, as a string and, where it is one, as a bare token, what it means in CSV.
TEST(RecordReader, ATextMeansWhatACsvCellMeans) {
  const std::vector<std::string> bare = {"0",
                                         "-0",
                                         "1",
                                         "5",
                                         "5.0",
                                         "1e3",
                                         "1.5",
                                         "-2.25e-3",
                                         "9007199254740993",
                                         "1e400",
                                         "0.1",
                                         "true",
                                         "false",
                                         "12345678901234567890",
                                         "1234567890123456789",
                                         "0.30000000000000004",
                                         "2.2250738585072011e-308",
                                         "123456.789"};
  std::vector<std::string> quoted = bare;
  for (const char* text : {"", " ", " 5 ", "TRUE", "yes", "n", "nan", "inf", "-Infinity", "x",
                           "2015-05-07", "2015-05-07T21:52:06+02:00", "2015-05-07 19:52:06.123456",
                           "2015-13-01", "0x10", "1,5", "+5", "+0.5", "null"}) {
    quoted.push_back(text);
  }
  Reading reading;
  for (const Field& field : AllTypes()) {
    const size_t at = static_cast<size_t>(reading.rows().views().size());
    ASSERT_EQ(at, 6u);
    const auto place = static_cast<size_t>(&field - AllTypes().data());
    const auto check = [&](const std::string& json, const std::string& text) {
      Column column(field.type);
      const bool fits = ParseCellInto(text, 0, &column);
      std::string wanted = column.valid(0) ? "" : "null";
      AppendCell(column.View(), 0, &wanted);
      const Texts found = reading.Read("{\"" + field.name + "\":" + json + "}");
      EXPECT_EQ(found[place], wanted) << field.name << " " << json;
      EXPECT_EQ(reading.bad().empty(), fits) << field.name << " " << json << reading.bad();
      if (!fits) {
        EXPECT_THAT(reading.bad(), HasSubstr("'" + field.name + "'"));
        EXPECT_THAT(reading.bad(), HasSubstr(ValueOfType(field.type)));
      }
    };
    for (const std::string& text : quoted) check("\"" + text + "\"", text);
    for (const std::string& text : bare) check(text, text);
  }
}

TEST(RecordReader, NestedValuesAreTextsOfStringColumns) {
  Reading reading;
  EXPECT_EQ(reading.Read(R"({"string": { "a" : [1, 2] } })")[3], R"({ "a" : [1, 2] })");
  EXPECT_EQ(reading.bad(), "");
  reading.Read(R"({"double":[1]})");
  EXPECT_THAT(reading.bad(), HasSubstr("'double'"));
}

TEST(RecordReader, KeysMayChangeTheirOrderAndMayStandOnce) {
  Reading reading;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(reading.Read(R"({"x":1,"double":2,"int":3})")[2], "2");
    EXPECT_EQ(reading.Read(R"({"int":3,"double":4})")[2], "4");
    EXPECT_EQ(reading.Read(R"({"\u0064ouble":5,"y":6,"doubl":7,"double2":8})")[2], "5");
  }
  reading.Read(R"({"double":1,"int":2,"double":3})");
  EXPECT_EQ(reading.bad(), "feature 'double' stands twice");
  reading.Read(R"({"double":1,"\u0064ouble":3})");
  EXPECT_EQ(reading.bad(), "feature 'double' stands twice");
}

TEST(RecordReader, TheFirstBadValueIsToldAndTheRestIsRead) {
  Reading reading;
  const Texts found = reading.Read(R"({"int":"abc","date":"x","double":2})");
  EXPECT_EQ(found[2], "2");
  EXPECT_EQ(reading.bad(), "feature 'int': 'abc' is not a whole number");
  reading.Read(R"({"int":"abc","double":})");
  EXPECT_THAT(reading.json_error(), HasSubstr("a value is missing"));
}

TEST(RecordReader, ANameMayHaveSeveralTypesAndNeedEscapes) {
  Reading reading({{"a\"b", Type::kDouble}, {"k", Type::kString}, {"k", Type::kInt64}});
  EXPECT_EQ(reading.Read(R"({"a\"b":1,"k":" 7 "})"), (Texts{"1", " 7 ", "7"}));
  EXPECT_EQ(reading.Read(R"({"k":7.0})"), (Texts{"null", "7.0", "7"}));
}

TEST(RecordReader, ReadsQueryStrings) {
  Reading reading;
  EXPECT_EQ(reading.ReadQuery("boolean=True&int=5&double=&string=a+b%2Bc%26&other=1&&date"),
            (Texts{"true", "5", "null", "a b+c&", "null", "null"}));
  EXPECT_EQ(reading.bad(), "");
  EXPECT_EQ(reading.ReadQuery("timestamp=2015-05-07+19%3A52%3A06%2B02%3A00")[5],
            "2015-05-07T17:52:06Z");
  for (const char* query : {"string=%", "string=%2", "string=%zz", "string=%FF", "string=\xFF"}) {
    reading.ReadQuery(query);
    EXPECT_THAT(reading.bad(), HasSubstr("percent-encoded")) << query;
  }
  reading.ReadQuery("int=1&int=2");
  EXPECT_EQ(reading.bad(), "feature 'int' stands twice");
}

}  // namespace
}  // namespace slipway
