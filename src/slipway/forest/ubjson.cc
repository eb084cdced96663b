// UBJSON: a one-byte marker before each value, big-endian numbers; lists of numbers may say their
// type and length once ("[$d#L").
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "slipway/forest/model_value.h"
#include "slipway/forest/model_value_builder.h"

namespace slipway {
namespace {

// Bytes of a number, 0: not a marker of numbers.
size_t NumberSize(char marker) {
  switch (marker) {
    case 'i':
    case 'U':
      return 1;
    case 'I':
      return 2;
    case 'l':
    case 'd':
      return 4;
    case 'L':
    case 'D':
      return 8;
    default:
      return 0;
  }
}

uint64_t BigEndian(const char* at, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(at[i]);
  return value;
}

double DecodeNumber(char marker, const char* at) {
  const uint64_t bits = BigEndian(at, NumberSize(marker));
  switch (marker) {
    case 'i':
      return static_cast<int8_t>(bits);
    case 'U':
      return static_cast<double>(bits);
    case 'I':
      return static_cast<int16_t>(bits);
    case 'l':
      return static_cast<int32_t>(bits);
    case 'd':
      return std::bit_cast<float>(static_cast<uint32_t>(bits));
    case 'D':
      return std::bit_cast<double>(bits);
    default:
      return static_cast<double>(static_cast<int64_t>(bits));
  }
}

// A double may not hold it.
bool IsTooLarge(char marker, double value) { return marker == 'L' && std::fabs(value) > 0x1p53; }

class UbjsonReader {
 public:
  UbjsonReader(std::string_view bytes, const ModelValueLimits& limits)
      : bytes_(bytes), budget_(limits) {}

  Result<ModelValue> Document() {
    Result<ModelValue> value = Value(0);
    if (value.ok() && at_ != bytes_.size()) {
      value = Corruption(fmt::format("{} more bytes after the end", bytes_.size() - at_));
    }
    if (!value.ok()) return value.error().Within(fmt::format("byte {}", at_));
    return value;
  }

 private:
  Error CutOff() const { return Corruption("the file is cut off"); }

  Result<char> Byte() {
    if (at_ >= bytes_.size()) return CutOff();
    return bytes_[at_++];
  }

  bool Accept(char marker) {
    if (at_ >= bytes_.size() || bytes_[at_] != marker) return false;
    ++at_;
    return true;
  }

  Result<double> Number(char marker) {
    const size_t size = NumberSize(marker);
    if (bytes_.size() - at_ < size) return CutOff();
    const double value = DecodeNumber(marker, bytes_.data() + at_);
    if (IsTooLarge(marker, value)) return Corruption("a whole number is beyond 2^53");
    at_ += size;
    return value;
  }

  // A length: a whole number with its marker, at most the bytes that are left.
  Result<size_t> Length() {
    ASSIGN_OR_RETURN(const char marker, Byte());
    if (NumberSize(marker) == 0 || marker == 'd' || marker == 'D')
      return Corruption("a length is not a whole number");
    ASSIGN_OR_RETURN(const double length, Number(marker));
    if (length < 0) return Corruption("a length is below 0");
    if (length > static_cast<double>(bytes_.size() - at_)) return CutOff();
    return static_cast<size_t>(length);
  }

  Result<std::string> Text() {
    ASSIGN_OR_RETURN(const size_t length, Length());
    const std::string_view text = bytes_.substr(at_, length);
    if (!IsValidUtf8(text)) return Corruption("a text is not UTF-8");
    at_ += length;
    return std::string(text);
  }

  Result<ModelValue> Value(int depth) {
    ASSIGN_OR_RETURN(const char marker, Byte());
    ModelValue value;
    if (NumberSize(marker) != 0) {
      value.kind = ModelValue::Kind::kNumber;
      ASSIGN_OR_RETURN(value.number, Number(marker));
      return value;
    }
    if (marker == 'T' || marker == 'F') {
      value.kind = ModelValue::Kind::kBoolean;
      value.number = marker == 'T' ? 1 : 0;
      return value;
    }
    RETURN_IF_ERROR(budget_.Take(depth));
    switch (marker) {
      case 'Z':
        return value;
      case 'S': {
        value.kind = ModelValue::Kind::kString;
        ASSIGN_OR_RETURN(value.text, Text());
        return value;
      }
      case '[':
        return List(depth);
      case '{':
        return Object(depth);
      default:
        return Corruption(
            fmt::format("0x{:02x} is not the mark of a value", static_cast<uint8_t>(marker)));
    }
  }

  Result<ModelValue> List(int depth) {
    ModelValue list;
    list.kind = ModelValue::Kind::kNumbers;
    if (Accept('$')) {
      RETURN_IF_ERROR(TypedNumbers(&list.numbers));
      return list;
    }
    std::optional<size_t> count;
    if (Accept('#')) {
      ASSIGN_OR_RETURN(count, Length());
    }
    for (size_t i = 0; count ? i < *count : !Accept(']'); ++i) {
      ASSIGN_OR_RETURN(ModelValue item, Value(depth + 1));
      RETURN_IF_ERROR(budget_.AddItem(std::move(item), &list));
    }
    return list;
  }

  Status TypedNumbers(std::vector<double>* numbers) {
    ASSIGN_OR_RETURN(const char type, Byte());
    const size_t size = NumberSize(type);
    if (size == 0) return Corruption("a typed list is not of numbers");
    if (!Accept('#')) return Corruption("a typed list has no length");
    ASSIGN_OR_RETURN(const size_t count, Length());
    if ((bytes_.size() - at_) / size < count) return CutOff();
    RETURN_IF_ERROR(budget_.TakeNumbers(count));
    numbers->reserve(count);
    for (size_t i = 0; i < count; ++i, at_ += size) {
      const double value = DecodeNumber(type, bytes_.data() + at_);
      if (IsTooLarge(type, value)) return Corruption("a whole number is beyond 2^53");
      numbers->push_back(value);
    }
    return {};
  }

  Result<ModelValue> Object(int depth) {
    ModelValue object;
    object.kind = ModelValue::Kind::kObject;
    while (!Accept('}')) {
      if (at_ < bytes_.size() && (bytes_[at_] == '$' || bytes_[at_] == '#'))
        return Corruption("a counted object");
      RETURN_IF_ERROR(budget_.Take(depth));
      ASSIGN_OR_RETURN(std::string key, Text());
      ASSIGN_OR_RETURN(ModelValue value, Value(depth + 1));
      RETURN_IF_ERROR(budget_.AddMember(std::move(key), std::move(value), &object));
    }
    return object;
  }

  std::string_view bytes_;
  ModelValueBudget budget_;
  size_t at_ = 0;
};

}  // namespace

Result<ModelValue> ParseUbjson(std::string_view bytes, const ModelValueLimits& limits) {
  if (bytes.size() > limits.bytes)
    return InvalidArgument(
        fmt::format("the file has more than {}", FormatBytes(static_cast<int64_t>(limits.bytes))));
  return UbjsonReader(bytes, limits).Document();
}

}  // namespace slipway
