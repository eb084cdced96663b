#include "slipway/serve/oip_request.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

#include "slipway/http/server.h"

namespace slipway {
namespace {

// A body as the server gives it: with readable bytes behind it.
struct Body {
  explicit Body(std::string content) : bytes(std::move(content)), size(bytes.size()) {
    bytes.append(kHttpPadding, '\xFF');
  }
  std::string_view view() const { return {bytes.data(), size}; }
  std::string bytes;
  size_t size;
};

const Schema& Columns() {
  static const Schema columns{{{"a", Type::kDouble}, {"b", Type::kInt64}, {"c", Type::kString}}};
  return columns;
}
const Schema& NumberColumns() {
  static const Schema columns{{{"x", Type::kDouble}, {"y", Type::kInt64}}};
  return columns;
}

// The records of a request, or "error: ..".
std::string Records(const std::string& content, const Schema& columns,
                    const std::string& json_bytes = "") {
  const Body body(content);
  TextArena arena;
  const Result<OipRequest> request = ParseOipRequest(body.view(), json_bytes, columns, &arena);
  if (!request.ok()) return "error: " + request.error().message;
  Result<OipRows> rows = OipRows::Make(*request, columns);
  if (!rows.ok()) return "error: " + rows.error().message;
  std::string out;
  EXPECT_EQ(rows->AppendItems(1 << 20, size_t{1} << 30, &out), rows->rows());
  return out;
}

std::string Input(const std::string& name, const std::string& type, const std::string& shape,
                  const std::string& data) {
  return R"({"name":")" + name + R"(","datatype":")" + type + R"(","shape":)" + shape +
         R"(,"data":)" + data + "}";
}

std::string Infer(const std::string& inputs) { return R"({"inputs":[)" + inputs + "]}"; }

template <typename T>
std::string Bytes(std::initializer_list<T> values) {
  std::string out;
  for (const T& value : values) out.append(reinterpret_cast<const char*>(&value), sizeof value);
  return out;
}

TEST(OipRequest, OneInputPerColumn) {
  EXPECT_EQ(Records(Infer(Input("a", "FP64", "[2]", "[1.5, null]") + "," +
                          Input("b", "INT64", "[2,1]", "[[7],[-8]]") + "," +
                          Input("c", "BYTES", "[2]", R"(["u", "q\"\u00e9"])")),
                    Columns()),
            R"({"features":{"a":1.5,"b":7,"c":"u"}},)"
            R"({"features":{"a":null,"b":-8,"c":"q\"\u00e9"}})");
}

TEST(OipRequest, AMatrixIsInTheOrderOfTheColumns) {
  const std::string expected = R"({"features":{"x":1,"y":2}},{"features":{"x":3.25,"y":null}})";
  EXPECT_EQ(
      Records(Infer(Input("input-0", "FP32", "[2,2]", "[[1,2],[3.25,NaN]]")), NumberColumns()),
      expected);
  EXPECT_EQ(Records(Infer(Input("any", "FP64", "[2,2]", "[1,2,3.25,null]")), NumberColumns()),
            expected);
}

TEST(OipRequest, AMatrixIsNotForTexts) {
  EXPECT_EQ(Records(Infer(Input("m", "FP64", "[1,3]", "[1,2,3]")), Columns()),
            "error: a matrix holds numbers, but column 'c' is string");
  EXPECT_EQ(Records(Infer(Input("m", "FP64", "[1,3]", "[1,2,3]")), NumberColumns()),
            "error: input 'm' has 3 columns, but the model takes 2");
}

TEST(OipRequest, BinaryTensorsStandBehindTheJson) {
  const std::string json =
      R"({"inputs":[{"name":"a","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8}},)"
      R"({"name":"b","datatype":"INT16","shape":[2],"data":[1,2]},)"
      R"({"name":"c","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":12,"x":[1]}}]})";
  const std::string tensors = Bytes<float>({0.1F, std::numeric_limits<float>::quiet_NaN()}) +
                              Bytes<uint32_t>({1}) + "u" + Bytes<uint32_t>({3}) + "\"\xC3\xA9";
  EXPECT_EQ(Records(json + tensors, Columns(), std::to_string(json.size())),
            R"({"features":{"a":0.10000000149011612,"b":1,"c":"u"}},)"
            "{\"features\":{\"a\":null,\"b\":2,\"c\":\"\\\"\xC3\xA9\"}}");
  EXPECT_EQ(Records(json + tensors + "?", Columns(), std::to_string(json.size())),
            "error: the body has 1 bytes that belong to no input");
  EXPECT_EQ(Records(json + tensors.substr(0, 4), Columns(), std::to_string(json.size())),
            "error: input 'a' has a binary_data_size of 8, but only 4 bytes are left in the body");
}

TEST(OipRequest, EveryDatatypeInBytes) {
  const Schema one{{{"x", Type::kDouble}}};
  const auto record = [&](const std::string& type, const std::string& bytes, int count) {
    const std::string json = R"({"inputs":[{"name":"x","datatype":")" + type + R"(","shape":[)" +
                             std::to_string(count) + R"(],"parameters":{"binary_data_size":)" +
                             std::to_string(bytes.size()) + "}}]}";
    std::string out = Records(json + bytes, one, std::to_string(json.size()));
    std::string values;
    for (size_t at = 0; (at = out.find(":{\"x\":", at)) != std::string::npos; ++at)
      values += out.substr(at + 6, out.find('}', at) - at - 6) + " ";
    return values.empty() ? out : values;
  };
  EXPECT_EQ(record("BOOL", Bytes<uint8_t>({0, 1}), 2), "false true ");
  EXPECT_EQ(record("INT8", Bytes<int8_t>({-128}), 1), "-128 ");
  EXPECT_EQ(record("UINT8", Bytes<uint8_t>({255}), 1), "255 ");
  EXPECT_EQ(record("INT16", Bytes<int16_t>({-2}), 1), "-2 ");
  EXPECT_EQ(record("UINT16", Bytes<uint16_t>({65535}), 1), "65535 ");
  EXPECT_EQ(record("INT32", Bytes<int32_t>({-3}), 1), "-3 ");
  EXPECT_EQ(record("UINT32", Bytes<uint32_t>({4294967295}), 1), "4294967295 ");
  EXPECT_EQ(record("INT64", Bytes<int64_t>({INT64_MIN}), 1), "-9223372036854775808 ");
  EXPECT_EQ(record("UINT64", Bytes<uint64_t>({UINT64_MAX}), 1), "18446744073709551615 ");
  EXPECT_EQ(record("FP16", Bytes<uint16_t>({0x3E00, 0x0001, 0xFC00, 0x7E00, 0x8000}), 5),
            "1.5 5.960464477539063e-08 -1e999 null -0 ");
  EXPECT_EQ(record("FP64", Bytes<double>({0.1, -0.0, HUGE_VAL}), 3), "0.1 -0 1e999 ");
  EXPECT_EQ(record("BOOL", Bytes<uint8_t>({2}), 1),
            "error: input 'x' element 0 is neither 0 nor 1");
  EXPECT_EQ(record("FP64", Bytes<double>({1.0}), 2),
            "error: input 'x' has 8 bytes, but shape [2] of FP64 is something else");
  EXPECT_EQ(record("BYTES", Bytes<uint32_t>({5}) + "abc", 1),
            "error: input 'x' element 0 is longer than the tensor");
  EXPECT_EQ(record("BYTES", Bytes<uint32_t>({1}) + "\xFF", 1),
            "error: input 'x' element 0 is not valid UTF-8");
}

TEST(OipRequest, ARawRequestIsOneTensor) {
  const Schema one{{{"x", Type::kInt64}}};
  EXPECT_EQ(Records(Bytes<int64_t>({5, 6}), one, "0"),
            R"({"features":{"x":5}},{"features":{"x":6}})");
  EXPECT_EQ(Records(Bytes<double>({1, 2, 3, 4}), NumberColumns(), "0"),
            R"({"features":{"x":1,"y":2}},{"features":{"x":3,"y":4}})");
  EXPECT_EQ(Records(Bytes<double>({1, 2, 3}), NumberColumns(), "0"),
            "error: input 'input-0' has 24 bytes, but shape [1,2] of FP64 is something else");
  EXPECT_EQ(Records(Bytes<double>({1, 2, 3}), Columns(), "0"),
            "error: a raw request holds numbers, but column 'c' is string");
}

TEST(OipRequest, IdAndOutputs) {
  const Body body(
      R"({"id":"a\"b","parameters":{"binary_data_output":true,"sequence_id":7},"outputs":[)"
      R"({"name":"prediction"},{"name":"p","parameters":{"binary_data":false}}],"inputs":[)" +
      Input("x", "FP64", "[1]", "[1]") + "]}");
  TextArena arena;
  const Result<OipRequest> request = ParseOipRequest(body.view(), "", NumberColumns(), &arena);
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->id, R"("a\"b")");
  EXPECT_TRUE(request->binary_output);
  ASSERT_EQ(request->outputs.size(), 2U);
  EXPECT_EQ(request->outputs[0].name, "prediction");
  EXPECT_FALSE(request->outputs[0].binary.has_value());
  EXPECT_EQ(request->outputs[1].binary, false);
}

TEST(OipRequest, WhatIsWrongIsSaid) {
  const auto error = [](const std::string& inputs) { return Records(Infer(inputs), Columns()); };
  EXPECT_EQ(Records("", Columns()), "error: the request has no inputs");
  EXPECT_EQ(Records("[]", Columns()),
            "error: the body must be a JSON object: it does not begin with '{'");
  EXPECT_EQ(Records(R"({"inputs":{}})", Columns()), "error: 'inputs' is no list");
  EXPECT_EQ(error("3"), "error: an input is no object");
  EXPECT_EQ(error(R"({"name":"a"})"), "error: input 'a' has no 'datatype'");
  EXPECT_EQ(error(Input("a", "FP128", "[1]", "[1]")),
            "error: input 'a' has datatype 'FP128', which is none");
  EXPECT_EQ(error(Input("a", "FP64", "[-1]", "[1]")),
            "error: a dimension of 'shape' is -1, which is no whole number from 0 on");
  EXPECT_EQ(error(Input("a", "FP64", "[4294967296,4294967296]", "[1]")),
            "error: the shape of input 'a' is too large");
  EXPECT_EQ(error(Input("a", "FP64", "[2]", "[1]")),
            "error: input 'a' has data that is not of shape [2] (at element 1)");
  EXPECT_EQ(error(Input("a", "FP64", "[1]", "[1,2]")),
            "error: input 'a' has data that is not of shape [1] (at element 2)");
  EXPECT_EQ(error(Input("m", "FP64", "[2,2]", "[[1],[2,3,4]]")),
            "error: input 'm' has data that is not of shape [2,2] (at element 1)");
  EXPECT_EQ(error(Input("a", "FP64", "[1]", "[[[1]]]")),
            "error: input 'a' has data that is not of shape [1] (at element 0)");
  EXPECT_EQ(error(Input("a", "FP64", "[1]", R"(["1"])")),
            "error: input 'a' element 0 is \"1\", which is no FP64");
  EXPECT_EQ(error(Input("b", "INT8", "[1]", "[128]")),
            "error: input 'b' element 0 is 128, which is no INT8");
  EXPECT_EQ(error(Input("b", "UINT64", "[1]", "[-1]")),
            "error: input 'b' element 0 is -1, which is no UINT64");
  EXPECT_EQ(error(Input("a", "FP64", "[1]", "[{}]")),
            "error: input 'a' has an object as element 0");
  EXPECT_EQ(error(Input("z", "FP64", "[1]", "[1]")), "error: the model has no input 'z'");
  EXPECT_EQ(error(Input("a", "FP64", "[1]", "[1]") + "," + Input("a", "FP64", "[1]", "[1]")),
            "error: input 'a' stands there twice");
  EXPECT_EQ(error(Input("a", "FP64", "[1]", "[1]") + "," + Input("b", "INT64", "[2]", "[1,2]")),
            "error: input 'b' has 2 rows, but 'a' has 1");
  EXPECT_EQ(error(Input("a", "FP64", "[1,2]", "[1,2]") + "," + Input("b", "INT64", "[1]", "[1]")),
            "error: input 'a' is one column, but its shape is something else");
  EXPECT_EQ(Records("{}", Columns(), "3"),
            "error: Inference-Header-Content-Length is '3', but the body has 2 bytes");
  EXPECT_EQ(Records("{}", Columns(), "-1"),
            "error: Inference-Header-Content-Length is '-1', but the body has 2 bytes");
}

TEST(OipRequest, RowsComeInChunks) {
  const Body body(Infer(Input("x", "INT32", "[5]", "[1,2,3,4,5]")));
  TextArena arena;
  const Result<OipRequest> request = ParseOipRequest(body.view(), "", NumberColumns(), &arena);
  ASSERT_TRUE(request.ok()) << request.error().message;
  Result<OipRows> rows = OipRows::Make(*request, NumberColumns());
  ASSERT_TRUE(rows.ok());
  std::string out;
  EXPECT_EQ(rows->AppendItems(2, 1000, &out), 2);
  EXPECT_EQ(out, R"({"features":{"x":1}},{"features":{"x":2}})");
  out.clear();
  EXPECT_EQ(rows->AppendItems(10, 1, &out), 1);
  EXPECT_EQ(out, R"({"features":{"x":3}})");
  out.clear();
  EXPECT_EQ(rows->AppendItems(10, 1000, &out), 2);
  out.clear();
  EXPECT_EQ(rows->AppendItems(10, 1000, &out), 0);
  EXPECT_EQ(out, "");
}

}  // namespace
}  // namespace slipway
