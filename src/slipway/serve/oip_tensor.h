// Tensors of the Open Inference Protocol v2: datatypes, and a reader that gives a tensor's elements
// one after the other as JSON text, whether they came as JSON or as bytes. docs/open-inference.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/table/schema.h"

namespace slipway {

enum class OipType : uint8_t {
  kBool,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kFp16,
  kFp32,
  kFp64,
  kBytes,
};

std::string_view OipTypeName(OipType type);  // "FP64"
std::optional<OipType> OipTypeFromName(std::string_view name);
// Bytes of an element; 0: kBytes, whose elements have a length of their own.
size_t OipTypeSize(OipType type);
// What a column is in a model's metadata: dates and timestamps are texts.
OipType OipTypeOf(Type type);

// An input as it lies in the request. Views into the body or the request's TextArena.
struct OipInput {
  std::string_view name;
  OipType type = OipType::kFp64;
  std::vector<int64_t> shape;
  int64_t elements = 0;   // the product of the shape
  bool binary = false;    // `data` holds bytes, else JSON
  std::string_view data;  // JSON: the array's own text, which is valid JSON
};

// That `data` holds what type and shape say: number of elements, nesting (flat is fine too), each
// element's type and range. kInvalidArgument names the input and the element.
Status CheckOipData(const OipInput& input);

// The elements of a checked input, row-major.
class OipReader {
 public:
  // REQUIRES: CheckOipData(input) is fine.
  explicit OipReader(const OipInput& input)
      : type_(input.type),
        binary_(input.binary),
        at_(input.data.data()),
        end_(at_ + input.data.size()) {}
  // Appends the next element as JSON: a number, a string, true, false, or null for a missing value
  // (null, NaN). REQUIRES: there is one.
  void AppendNext(std::string* out);

 private:
  OipType type_;
  bool binary_;
  const char* at_;
  const char* end_;
};

// The float of an IEEE 754 half.
float FloatOfHalf(uint16_t bits);

}  // namespace slipway
