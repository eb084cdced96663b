#include "slipway/serve/oip_tensor.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "slipway/base/text.h"
#include "slipway/serve/json_text.h"

namespace slipway {
namespace {

// Bytes come and go as they lie in memory.
static_assert(std::endian::native == std::endian::little);

struct TypeEntry {
  std::string_view name;
  size_t size;
};
constexpr std::array<TypeEntry, 13> kTypes = {{{"BOOL", 1},
                                               {"INT8", 1},
                                               {"INT16", 2},
                                               {"INT32", 4},
                                               {"INT64", 8},
                                               {"UINT8", 1},
                                               {"UINT16", 2},
                                               {"UINT32", 4},
                                               {"UINT64", 8},
                                               {"FP16", 2},
                                               {"FP32", 4},
                                               {"FP64", 8},
                                               {"BYTES", 0}}};

bool IsBlankByte(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// The JSON scalar that begins at `at`, in text that is known to be valid.
std::string_view ScalarAt(const char* at, const char* end) {
  const char* p = at;
  if (*p == '"') {
    for (++p; p < end && *p != '"'; ++p) p += *p == '\\';
    return {at, static_cast<size_t>(std::min(p + 1, end) - at)};
  }
  while (p < end && *p != ',' && *p != ']' && *p != '}' && !IsBlankByte(*p)) ++p;
  return {at, static_cast<size_t>(p - at)};
}

template <typename Integer>
bool IsInteger(std::string_view text) {
  Integer value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool IsElement(OipType type, std::string_view text) {
  if (text == "null") return true;
  switch (type) {
    case OipType::kBool:
      return text == "true" || text == "false";
    case OipType::kInt8:
      return IsInteger<int8_t>(text);
    case OipType::kInt16:
      return IsInteger<int16_t>(text);
    case OipType::kInt32:
      return IsInteger<int32_t>(text);
    case OipType::kInt64:
      return IsInteger<int64_t>(text);
    case OipType::kUint8:
      return IsInteger<uint8_t>(text);
    case OipType::kUint16:
      return IsInteger<uint16_t>(text);
    case OipType::kUint32:
      return IsInteger<uint32_t>(text);
    case OipType::kUint64:
      return IsInteger<uint64_t>(text);
    case OipType::kFp16:
    case OipType::kFp32:
    case OipType::kFp64:
      return text != "true" && text != "false" && text.front() != '"';
    case OipType::kBytes:
      return text.front() == '"';
  }
  return false;
}

Error BadInput(const OipInput& input, const std::string& what, std::string hint = "") {
  return InvalidArgument("input '" + Excerpt(input.name) + "' " + what, std::move(hint));
}

std::string ShapeText(const OipInput& input) {
  std::string out = "[";
  for (size_t i = 0; i < input.shape.size(); ++i) {
    if (i > 0) out += ",";
    out += std::to_string(input.shape[i]);
  }
  return out + "]";
}

Status CheckBinary(const OipInput& input) {
  const size_t size = OipTypeSize(input.type);
  const auto elements = static_cast<uint64_t>(input.elements);
  if (size > 0) {
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(elements, uint64_t{size}, &bytes) || bytes != input.data.size())
      return BadInput(input, "has " + std::to_string(input.data.size()) + " bytes, but shape " +
                                 ShapeText(input) + " of " + std::string(OipTypeName(input.type)) +
                                 " is something else");
    if (input.type != OipType::kBool) return {};
    for (size_t i = 0; i < input.data.size(); ++i) {
      if (static_cast<unsigned char>(input.data[i]) > 1)
        return BadInput(input, "element " + std::to_string(i) + " is neither 0 nor 1");
    }
    return {};
  }
  std::string_view rest = input.data;
  for (uint64_t i = 0; i < elements; ++i) {
    uint32_t length = 0;
    if (rest.size() < sizeof length)
      return BadInput(input, "ends before element " + std::to_string(i));
    std::memcpy(&length, rest.data(), sizeof length);
    rest.remove_prefix(sizeof length);
    if (rest.size() < length)
      return BadInput(input, "element " + std::to_string(i) + " is longer than the tensor");
    if (!IsValidUtf8(rest.substr(0, length)))
      return BadInput(input, "element " + std::to_string(i) + " is not valid UTF-8");
    rest.remove_prefix(length);
  }
  if (!rest.empty()) return BadInput(input, "has bytes after its last element");
  return {};
}

// Brackets of nested data must stand where the shape has them; one level alone is flat.
class NestingCheck {
 public:
  explicit NestingCheck(const OipInput& input) {
    // Products cannot overflow: that of the whole shape does not, unless a dimension is 0.
    inside_.assign(input.shape.size() + 1, 1);
    for (size_t i = input.shape.size(); i-- > 0;) {
      if (__builtin_mul_overflow(inside_[i + 1], input.shape[i], &inside_[i])) inside_[i] = -1;
    }
    opened_.reserve(inside_.size());
  }
  bool Open(int64_t seen) {
    opened_.push_back(seen);
    return opened_.size() <= std::max<size_t>(1, inside_.size() - 1);
  }
  bool Close(int64_t seen) {
    const size_t level = opened_.size() - 1;
    const bool right = seen - opened_.back() == inside_[level];
    opened_.pop_back();
    return right;
  }

 private:
  std::vector<int64_t> inside_;  // elements below one item of each level
  std::vector<int64_t> opened_;
};

Status CheckJson(const OipInput& input) {
  const char* p = input.data.data();
  const char* const end = p + input.data.size();
  if (input.data.empty() || *p != '[') return BadInput(input, "has no array as its `data`");
  NestingCheck nesting(input);
  int64_t seen = 0;
  while (p < end) {
    if (*p == ',' || IsBlankByte(*p)) {
      ++p;
      continue;
    }
    if (*p == '[' || *p == ']') {
      if (!(*p == '[' ? nesting.Open(seen) : nesting.Close(seen)))
        return BadInput(input,
                        "has data that is not of shape " + ShapeText(input) + " (at element " +
                            std::to_string(seen) + ")",
                        "nest the lists as the shape says, or send one flat list");
      ++p;
      continue;
    }
    if (*p == '{') return BadInput(input, "has an object as element " + std::to_string(seen));
    const std::string_view text = ScalarAt(p, end);
    if (!IsElement(input.type, text))
      return BadInput(input, "element " + std::to_string(seen) + " is " +
                                 std::string(text.substr(0, 40)) + ", which is no " +
                                 std::string(OipTypeName(input.type)));
    ++seen;
    p += text.size();
  }
  return {};
}

template <typename Number>
void AppendNumber(Number value, std::string* out) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out->append(text, static_cast<size_t>(end - text));
}

template <typename Element>
Element Take(const char** at) {
  Element value;
  std::memcpy(&value, *at, sizeof value);
  *at += sizeof value;
  return value;
}

void AppendReal(double value, std::string* out) {
  if (std::isnan(value)) {
    *out += "null";
  } else if (std::isinf(value)) {
    *out += value > 0 ? "1e999" : "-1e999";  // JSON has no word for it; the bare one is missing
  } else if (std::abs(value) >= 0x1p53) {
    // As a double, which no whole number of a column is from here on (docs/values.md).
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific);
    out->append(text, static_cast<size_t>(end.ptr - text));
  } else {
    AppendDouble(value, out);
  }
}

void AppendBinary(OipType type, const char** at, std::string* out) {
  switch (type) {
    case OipType::kBool:
      *out += Take<uint8_t>(at) != 0 ? "true" : "false";
      return;
    case OipType::kInt8:
      return AppendNumber(static_cast<int>(Take<int8_t>(at)), out);
    case OipType::kInt16:
      return AppendNumber(Take<int16_t>(at), out);
    case OipType::kInt32:
      return AppendNumber(Take<int32_t>(at), out);
    case OipType::kInt64:
      return AppendNumber(Take<int64_t>(at), out);
    case OipType::kUint8:
      return AppendNumber(static_cast<int>(Take<uint8_t>(at)), out);
    case OipType::kUint16:
      return AppendNumber(Take<uint16_t>(at), out);
    case OipType::kUint32:
      return AppendNumber(Take<uint32_t>(at), out);
    case OipType::kUint64:
      return AppendNumber(Take<uint64_t>(at), out);
    case OipType::kFp16:
      return AppendReal(static_cast<double>(FloatOfHalf(Take<uint16_t>(at))), out);
    case OipType::kFp32:
      return AppendReal(static_cast<double>(Take<float>(at)), out);
    case OipType::kFp64:
      return AppendReal(Take<double>(at), out);
    case OipType::kBytes: {
      const auto length = Take<uint32_t>(at);
      AppendJsonText({*at, length}, out);
      *at += length;
      return;
    }
  }
}

}  // namespace

std::string_view OipTypeName(OipType type) { return kTypes[static_cast<size_t>(type)].name; }

std::optional<OipType> OipTypeFromName(std::string_view name) {
  for (size_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i].name == name) return static_cast<OipType>(i);
  }
  return std::nullopt;
}

size_t OipTypeSize(OipType type) { return kTypes[static_cast<size_t>(type)].size; }

OipType OipTypeOf(Type type) {
  switch (type) {
    case Type::kBoolean:
      return OipType::kBool;
    case Type::kInt64:
      return OipType::kInt64;
    case Type::kDouble:
      return OipType::kFp64;
    default:
      return OipType::kBytes;
  }
}

float FloatOfHalf(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000U) << 16;
  const uint32_t exponent = bits >> 10 & 0x1FU;
  const uint32_t fraction = bits & 0x3FFU;
  if (exponent == 0) {  // zero and subnormal
    const float value = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -value : value;
  }
  const uint32_t wide = exponent == 0x1F ? 0xFFU : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

Status CheckOipData(const OipInput& input) {
  if (input.binary) return CheckBinary(input);
  return CheckJson(input);
}

void OipReader::AppendNext(std::string* out) {
  if (binary_) return AppendBinary(type_, &at_, out);
  while (*at_ == ',' || *at_ == '[' || *at_ == ']' || IsBlankByte(*at_)) ++at_;
  const std::string_view text = ScalarAt(at_, end_);
  at_ += text.size();
  *out += text == "NaN" ? std::string_view("null") : text;
}

}  // namespace slipway
