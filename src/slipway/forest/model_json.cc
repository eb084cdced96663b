// A direct reader of JSON models: tens of megabytes of numbers go straight into arrays.
#include <charconv>
#include <cmath>
#include <limits>

#include "slipway/base/utf8.h"
#include "slipway/forest/model_value.h"
#include "slipway/forest/model_value_builder.h"

namespace slipway {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool BeginsNumber(char c) { return c == '-' || IsDigit(c) || c == 'N' || c == 'I'; }

class ModelJsonReader {
 public:
  ModelJsonReader(std::string_view text, const ModelValueLimits& limits)
      : text_(text), budget_(limits) {}

  Result<ModelValue> Document() {
    Result<ModelValue> value = Value(0);
    if (value.ok()) {
      SkipBlanks();
      if (at_ != text_.size()) value = Corruption("something follows the end of the document");
    }
    if (!value.ok()) return value.error().Within(fmt::format("byte {}", at_));
    return value;
  }

 private:
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void SkipBlanks() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }

  bool Accept(char c) {
    SkipBlanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  Status Expect(char c) {
    if (Accept(c)) return {};
    return Unexpected(fmt::format("'{}'", c));
  }

  Error Unexpected(std::string_view wanted) const {
    if (at_ >= text_.size()) return Corruption("the file is cut off");
    return Corruption(fmt::format("{} belongs here", wanted));
  }

  bool AcceptWord(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  Result<ModelValue> Value(int depth) {
    SkipBlanks();
    ModelValue value;
    const char first = Peek();
    if (BeginsNumber(first)) {
      value.kind = ModelValue::Kind::kNumber;
      ASSIGN_OR_RETURN(value.number, Number());
      return value;
    }
    if (first == 't' || first == 'f') {
      value.kind = ModelValue::Kind::kBoolean;
      value.number = first == 't' ? 1 : 0;
      if (!AcceptWord("true") && !AcceptWord("false")) return Unexpected("a value");
      return value;
    }
    RETURN_IF_ERROR(budget_.Take(depth));
    if (first == '{') return Object(depth);
    if (first == '[') return List(depth);
    if (first == '"') {
      value.kind = ModelValue::Kind::kString;
      ASSIGN_OR_RETURN(value.text, Text());
      return value;
    }
    if (AcceptWord("null")) return value;
    return Unexpected("a value");
  }

  Result<double> Number() {
    const size_t begin = at_;
    const bool negative = Peek() == '-';
    if (negative) ++at_;
    if (AcceptWord("Infinity")) {
      return negative ? -std::numeric_limits<double>::infinity()
                      : std::numeric_limits<double>::infinity();
    }
    if (!negative && AcceptWord("NaN")) return std::numeric_limits<double>::quiet_NaN();
    const bool zero = Peek() == '0';
    RETURN_IF_ERROR(Digits());
    if (zero && at_ - begin > (negative ? 2 : 1)) return Unexpected("a number without leading 0");
    bool whole = true;
    if (Peek() == '.') {
      ++at_;
      RETURN_IF_ERROR(Digits());
      whole = false;
    }
    if (Peek() == 'e' || Peek() == 'E') {
      ++at_;
      if (Peek() == '+' || Peek() == '-') ++at_;
      RETURN_IF_ERROR(Digits());
      whole = false;
    }
    return Converted(text_.substr(begin, at_ - begin), whole);
  }

  static Result<double> Converted(std::string_view digits, bool whole) {
    const char* const end = digits.data() + digits.size();
    if (whole) {
      int64_t value = 0;
      const auto [stop, error] = std::from_chars(digits.data(), end, value);
      if (error != std::errc() || value > int64_t{1} << 53 || value < -(int64_t{1} << 53))
        return Corruption("a whole number is beyond 2^53");
      // "-0" is the float32 that was written without its point.
      return value == 0 && digits[0] == '-' ? -0.0 : static_cast<double>(value);
    }
    float value = 0;
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (error != std::errc()) return Corruption("a number is beyond float32");
    return static_cast<double>(value);
  }

  Status Digits() {
    if (!IsDigit(Peek())) return Unexpected("a digit");
    while (IsDigit(Peek())) ++at_;
    return {};
  }

  Result<ModelValue> List(int depth) {
    ModelValue list;
    list.kind = ModelValue::Kind::kNumbers;
    ++at_;
    if (Accept(']')) return list;
    do {
      SkipBlanks();
      if (BeginsNumber(Peek())) {  // by far the most
        ASSIGN_OR_RETURN(const double number, Number());
        RETURN_IF_ERROR(budget_.AddNumber(number, &list));
        continue;
      }
      ASSIGN_OR_RETURN(ModelValue item, Value(depth + 1));
      RETURN_IF_ERROR(budget_.AddItem(std::move(item), &list));
    } while (Accept(','));
    RETURN_IF_ERROR(Expect(']'));
    return list;
  }

  Result<ModelValue> Object(int depth) {
    ModelValue object;
    object.kind = ModelValue::Kind::kObject;
    ++at_;
    if (Accept('}')) return object;
    do {
      SkipBlanks();
      RETURN_IF_ERROR(budget_.Take(depth));
      if (Peek() != '"') return Unexpected("a key");
      ASSIGN_OR_RETURN(std::string key, Text());
      RETURN_IF_ERROR(Expect(':'));
      ASSIGN_OR_RETURN(ModelValue value, Value(depth + 1));
      RETURN_IF_ERROR(budget_.AddMember(std::move(key), std::move(value), &object));
    } while (Accept(','));
    RETURN_IF_ERROR(Expect('}'));
    return object;
  }

  Result<std::string> Text() {
    std::string text;
    ++at_;
    while (true) {
      if (at_ >= text_.size()) return Unexpected("a text");
      const char c = text_[at_];
      if (c == '"') break;
      if (static_cast<uint8_t>(c) < 0x20) return Corruption("a control character in a text");
      ++at_;
      if (c != '\\') {
        text.push_back(c);
        continue;
      }
      RETURN_IF_ERROR(Escape(&text));
    }
    ++at_;
    if (!IsValidUtf8(text)) return Corruption("a text is not UTF-8");
    return text;
  }

  Status Escape(std::string* text) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const char c = Peek();
    if (const size_t name = kNames.find(c); c != '\0' && name != std::string_view::npos) {
      ++at_;
      text->push_back(kMeanings[name]);
      return {};
    }
    if (c != 'u') return Unexpected("an escape of JSON");
    ++at_;
    ASSIGN_OR_RETURN(uint32_t code, HexDigits());
    if (code >= 0xD800 && code < 0xDC00 && AcceptWord("\\u")) {
      ASSIGN_OR_RETURN(const uint32_t low, HexDigits());
      if (low < 0xDC00 || low > 0xDFFF) return Corruption("half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (code >= 0xD800 && code <= 0xDFFF) return Corruption("half of a surrogate pair");
    AppendUtf8(code, text);
    return {};
  }

  Result<uint32_t> HexDigits() {
    const std::string_view digits = text_.substr(at_, 4);
    uint32_t code = 0;
    const auto [stop, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() != 4 || error != std::errc() || stop != digits.data() + 4)
      return Unexpected("four hexadecimal digits");
    at_ += 4;
    return code;
  }

  std::string_view text_;
  ModelValueBudget budget_;
  size_t at_ = 0;
};

}  // namespace

Result<ModelValue> ParseModelJson(std::string_view text, const ModelValueLimits& limits) {
  if (text.size() > limits.bytes)
    return InvalidArgument(
        fmt::format("the file has more than {}", FormatBytes(static_cast<int64_t>(limits.bytes))));
  return ModelJsonReader(text, limits).Document();
}

}  // namespace slipway
