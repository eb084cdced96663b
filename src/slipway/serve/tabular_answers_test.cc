#include "slipway/serve/tabular_answers.h"

#include <cmath>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slipway/http/server.h"
#include "slipway/serve/mlflow_request.h"
#include "slipway/serve/oip_reply.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

EndpointColumns Classes() {
  EndpointColumns columns;
  columns.inputs.fields = {{"x", Type::kDouble}, {"c", Type::kString}};
  columns.outputs.fields = {
      {"proba_0", Type::kDouble}, {"proba_1", Type::kDouble}, {"prediction", Type::kInt64}};
  columns.classes = {"0", "1"};
  columns.label_type = Type::kInt64;
  return columns;
}

EndpointColumns NumberAnswers() {
  EndpointColumns columns;
  columns.inputs.fields = {{"x", Type::kDouble}};
  columns.outputs.fields = {{"prediction", Type::kDouble}};
  return columns;
}

// As the server and the endpoints give texts: with readable bytes behind.
class Padded {
 public:
  explicit Padded(std::string text) : text_(std::move(text)), size_(text_.size()) {
    text_.append(kHttpPadding, '\xFF');
  }
  std::string_view view() const { return {text_.data(), size_}; }

 private:
  std::string text_;
  size_t size_;
};

std::string AppendError(TabularAnswers* answers, const std::string& text) {
  const Padded padded(text);
  const Status appended = answers->Append(padded.view());
  return appended.ok() ? "" : appended.error().message;
}

TEST(TabularAnswers, LabelsAndProbabilities) {
  const EndpointColumns columns = Classes();
  TabularAnswers answers(&columns);
  EXPECT_EQ(
      AppendError(&answers, R"({"results":[)"
                            R"({"prediction":"1","probas":{"0":0.1,"1":0.9},"ignored":false},)"
                            R"({"probas":{"1":1e-1,"0":null},"prediction":"0"}]})"),
      "");
  EXPECT_EQ(AppendError(&answers, R"({"results":[{"ignored":true,"ignoreReason":"WHY"}]})"), "");
  ASSERT_EQ(answers.rows(), 3);
  EXPECT_EQ(answers.label(0), 1);
  EXPECT_EQ(answers.value(0, 1), 0.9);
  EXPECT_EQ(answers.label(1), 0);
  EXPECT_TRUE(std::isnan(answers.value(1, 0)));
  EXPECT_EQ(answers.value(1, 1), 0.1);
  EXPECT_EQ(answers.label(2), -1);
  EXPECT_EQ(answers.first_ignored(), 2);
  EXPECT_EQ(answers.ignore_reason(), "WHY");
}

TEST(TabularAnswers, AWrongRecordIsTheRequestsError) {
  const EndpointColumns columns = NumberAnswers();
  TabularAnswers answers(&columns);
  EXPECT_EQ(AppendError(&answers, R"({"results":[{"prediction":0.30000000000000004}]})"), "");
  EXPECT_EQ(answers.value(0, 0), 0.1 + 0.2);
  EXPECT_EQ(AppendError(&answers, R"({"results":[{"ignored":true,"error":{"errorType":"E",)"
                                  R"("message":"m","detailedMessage":"m [how]"
}
}]
})"),
            "row 1: m [how]");
  for (const char* text : {"", "{}", R"({"results":{}})", R"({"results":[1]})",
                           R"({"results":[{"prediction":"text"}]})", R"({"results":[)"}) {
    TabularAnswers other(&columns);
    EXPECT_NE(AppendError(&other, text), "") << text;
  }
}

TEST(OipAnswer, WholeNumbersInBytesCannotBeMissing) {
  const EndpointColumns columns = Classes();
  TabularAnswers answers(&columns);
  ASSERT_EQ(AppendError(&answers, R"({"results":[{"prediction":"1","probas":{"0":0.5,"1":0.5}},)"
                                  R"({"ignored":true,"ignoreReason":"WHY"}]})"),
            "");
  OipRequest request;
  HttpReply reply;
  ASSERT_TRUE(WriteOipAnswer(request, "m", "v1", columns, answers, &reply).ok());
  EXPECT_EQ(reply.body, R"({"model_name":"m","model_version":"v1","outputs":[)"
                        R"({"name":"prediction","datatype":"INT64","shape":[2],"data":[1,null]},)"
                        R"({"name":"proba_0","datatype":"FP64","shape":[2],"data":[0.5,null]},)"
                        R"({"name":"proba_1","datatype":"FP64","shape":[2],"data":[0.5,null]}]})");
  request.binary_output = true;
  const Status written = WriteOipAnswer(request, "m", "v1", columns, answers, &reply);
  ASSERT_FALSE(written.ok());
  EXPECT_THAT(written.error().message, HasSubstr("row 1 has no prediction (WHY)"));
}

std::string MlflowItems(const std::string& body, const EndpointColumns& columns, bool csv) {
  const Padded padded(body);
  TextArena arena;
  const Result<std::unique_ptr<TabularRows>> rows =
      csv ? ParseMlflowCsv(padded.view(), columns)
          : ParseMlflowJson(padded.view(), columns, &arena);
  if (!rows.ok()) return rows.error().message;
  std::string out;
  int64_t count = 0;
  while ((*rows)->AppendItems(1, 1 << 20, &out) == 1) ++count;
  EXPECT_EQ(count, (*rows)->rows());
  return out;
}

TEST(MlflowRequest, BodiesAsRecords) {
  const EndpointColumns columns = Classes();
  const std::string one = R"({"features":{"x":1,"c":"a,\"]"}})";
  for (const char* body :
       {R"({"dataframe_split":{"columns":["x","other","c"],"data":[[1,[2,{"y":3}],"a,\"]"]]}})",
        R"({"dataframe_split":{"data":[[1, "a,\"]" ]]},"params":{"a":[1]}})",
        R"({"instances":[[1,"a,\"]"]]})", R"({"inputs":{"x":[1],"other":[[]],"c":[["a,\"]"]]}})",
        R"({"dataframe_records":[{"x":1,"c":"a,\"]"}]})"})
    EXPECT_EQ(MlflowItems(body, columns, false), one) << body;
  EXPECT_EQ(MlflowItems("x,other,c\n1,2,\"a,\"\"]\"\n", columns, true),
            R"({"features":{"x":"1","c":"a,\"]"}})");
  EXPECT_EQ(MlflowItems(R"({"instances":[1,2]})", NumberAnswers(), false),
            R"({"features":{"x":1}}{"features":{"x":2}})");
}

TEST(MlflowRequest, WhatIsWrong) {
  const EndpointColumns columns = Classes();
  EXPECT_THAT(MlflowItems(R"({"instances":[[1]]})", columns, false),
              HasSubstr("row 0 of instances has 1 values, but there are 2 columns"));
  EXPECT_THAT(MlflowItems(R"({"dataframe_records":[{"x":1},{"x":2}]})", columns, false),
              HasSubstr("Model is missing inputs 'c'"));
  EXPECT_THAT(MlflowItems(R"({"dataframe_records":[{"x":1})", columns, false),
              HasSubstr("valid JSON"));
  EXPECT_THAT(MlflowItems("x,c\n1", columns, true), HasSubstr("row 0 of the CSV has 1 fields"));
}

// The rest of the rows was taken for one text.
TEST(MlflowRequest, AQuoteIsClosed) {
  const EndpointColumns columns = Classes();
  EXPECT_THAT(MlflowItems("x,c\n1,a\n2,\"b\n3,c\n", columns, true),
              HasSubstr("a quote that opens in row 1 of the CSV is never closed"));
  EXPECT_THAT(MlflowItems("x,\"c\n1,a\n", columns, true), HasSubstr("the first line"));
  EXPECT_THAT(MlflowItems("x,c\n\"1\",\"\"", columns, true), HasSubstr("features"));
}

// The first of an inner list was taken, and none for a missing value.
TEST(MlflowRequest, AColumnHasOneValueARow) {
  const EndpointColumns columns = Classes();
  EXPECT_THAT(MlflowItems(R"({"inputs":{"x":[[1,9]],"c":["a"]}})", columns, false),
              HasSubstr("value 0 of 'x' of inputs is a list of 2 values"));
  EXPECT_THAT(MlflowItems(R"({"inputs":{"x":[1,[]],"c":["a","b"]}})", columns, false),
              HasSubstr("value 1 of 'x' of inputs is a list of 0 values"));
}

TEST(MlflowRequest, NothingStandsTwice) {
  const EndpointColumns columns = Classes();
  for (const char* member : {"columns", "data"})
    EXPECT_THAT(MlflowItems(R"({"dataframe_split":{"columns":["x","c"],"data":[[1,"a"]],")" +
                                std::string(member) + R"(":[]}})",
                            columns, false),
                HasSubstr("'" + std::string(member) + "' stands twice"));
}

}  // namespace
}  // namespace slipway
