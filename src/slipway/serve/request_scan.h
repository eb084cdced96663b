// A scanner over the bytes of a JSON request (RFC 8259): one pass, no tree of values, nothing
// allocated. The caller asks for what it expects next; values it does not want are checked and
// passed over. Apart from the standard, the bare tokens NaN, Infinity and -Infinity are values:
// Python's json writes them.
//
// Foreign bytes: up to kRequestDepth containers deep, no recursion. The first error stays, with the
// byte where it was found; every call after it fails.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

inline constexpr int kRequestDepth = 64;

// Texts that live until Reset(): what escapes of JSON and of query strings stand for. Keeps its
// memory. Confined to one thread.
class TextArena {
 public:
  void Reset() {
    block_ = 0;
    used_ = 0;
  }
  // Room for `size` bytes; Keep() says how many of them are used.
  char* Room(size_t size);
  std::string_view Keep(size_t size);

 private:
  struct Block {
    std::unique_ptr<char[]> bytes;
    size_t size = 0;
  };
  std::vector<Block> blocks_;
  size_t block_ = 0, used_ = 0;
};

enum class JsonToken : uint8_t {
  kObject,
  kArray,
  kString,
  kNumber,
  kTrue,
  kFalse,
  kNull,
  kNotFinite,  // NaN, Infinity, -Infinity
  kNone,       // no value begins here
};

struct ScannedNumber {
  std::string_view text;
  double value = 0;
  bool exact = false;  // `value` is the double nearest to the text; else read the text
};

// Confined to one thread.
class RequestScanner {
 public:
  // REQUIRES: kHttpPadding readable bytes after `text`, which must stay; blank text is {}. False:
  // it is no object.
  bool Begin(std::string_view text, TextArena* arena);

  // What the next value is. Does not move.
  JsonToken Peek() {
    SkipBlanks();
    if (*at_ == '-' && at_[1] == 'I') return JsonToken::kNotFinite;
    return kTokens[static_cast<unsigned char>(*at_)];
  }

  // REQUIRES: Peek() is kObject or kArray. Then NextKey or NextItem until false, which is the end
  // or an error.
  bool Enter();
  bool NextKey(std::string_view* key);
  bool NextItem();
  // NextKey, when the key is likely `quoted` ("\"name\"", without escapes): true and *found.
  // Otherwise *found is false and nothing but blanks and the comma was passed; call FinishKey.
  // False without an error: the object has ended.
  bool NextKeyLike(std::string_view quoted, bool* found);
  bool FinishKey(std::string_view* key) { return String(key) && Colon(); }

  // Takes a value; REQUIRES the matching Peek(). The text lies in the body or in the arena.
  bool String(std::string_view* out);
  bool Number(ScannedNumber* out);
  bool Word();  // true, false, null, NaN, ...
  // Takes any value; *raw is its text in the body.
  bool Skip(std::string_view* raw);
  // Nothing may follow the object.
  bool Finish();

  bool ok() const { return reason_ == nullptr; }
  size_t offset() const { return static_cast<size_t>(at_ - begin_); }
  std::string_view Since(size_t offset) const {
    return {begin_ + offset, static_cast<size_t>(at_ - begin_) - offset};
  }
  // kInvalidArgument with line, column and byte. REQUIRES: !ok().
  Error error() const;
  // For the caller's own checks of structure.
  bool Fail(const char* reason) { return FailAt(at_, reason); }

 private:
  static constexpr std::array<JsonToken, 256> kTokens = [] {
    std::array<JsonToken, 256> tokens{};
    tokens.fill(JsonToken::kNone);
    for (size_t c = '0'; c <= '9'; ++c) tokens[c] = JsonToken::kNumber;
    tokens['-'] = JsonToken::kNumber;
    tokens['"'] = JsonToken::kString;
    tokens['{'] = JsonToken::kObject;
    tokens['['] = JsonToken::kArray;
    tokens['t'] = JsonToken::kTrue;
    tokens['f'] = JsonToken::kFalse;
    tokens['n'] = JsonToken::kNull;
    tokens['N'] = tokens['I'] = JsonToken::kNotFinite;
    return tokens;
  }();

  void SkipBlanks() {
    while (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t') ++at_;
  }
  bool FailAt(const char* where, const char* reason);
  bool Next(char close);
  bool Colon();
  bool EscapedString(const char* begin, std::string_view* out);
  bool SlowNumber(const char* begin, ScannedNumber* out);
  bool Close();
  bool SkipKey();

  // Every loop ends at end_ without looking for it: the last byte is the object's own }, which ends
  // blanks, numbers and words. Only after a } may at_ be end_.
  const char* begin_ = nullptr;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  const char* wrong_ = nullptr;
  const char* reason_ = nullptr;
  TextArena* arena_ = nullptr;
  int depth_ = 0;
  bool first_ = false;  // no member of the innermost container was taken yet
};

// ---- implementation of the hot parts ----

inline bool RequestScanner::Colon() {
  SkipBlanks();
  if (*at_ != ':') return Fail("a ':' is missing after the key");
  ++at_;
  return true;
}

// After the opening bracket or a value: true at the next member.
inline bool RequestScanner::Next(char close) {
  if (reason_ != nullptr) return false;
  SkipBlanks();
  if (*at_ == close) return Close();
  if (first_) {
    first_ = false;
    return true;
  }
  if (*at_ != ',')
    return Fail(close == '}' ? "a ',' or '}' is missing" : "a ',' or ']' is missing");
  ++at_;
  SkipBlanks();
  return true;
}

inline bool RequestScanner::NextKeyLike(std::string_view quoted, bool* found) {
  *found = false;
  if (!Next('}')) return false;
  if (static_cast<size_t>(end_ - at_) > quoted.size() && !quoted.empty() &&
      std::memcmp(at_, quoted.data(), quoted.size()) == 0) {
    at_ += quoted.size();
    *found = true;
    return Colon();
  }
  if (*at_ != '"') return Fail("a key in double quotes is missing");
  return true;
}

inline bool RequestScanner::NextKey(std::string_view* key) {
  if (!Next('}')) return false;
  if (*at_ != '"') return Fail("a key in double quotes is missing");
  return FinishKey(key);
}

inline bool RequestScanner::NextItem() { return Next(']'); }

inline bool RequestScanner::Number(ScannedNumber* out) {
  static constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  const char* const begin = at_;
  const char* p = begin + (*begin == '-');
  const char* const digits = p;
  uint64_t whole = 0;
  unsigned digit = 0;
  while ((digit = static_cast<unsigned char>(*p) - unsigned{'0'}) <= 9) {
    whole = whole * 10 + digit;
    ++p;
  }
  if (p == digits) return FailAt(p, "a digit is missing");
  if (*digits == '0' && p - digits > 1) return FailAt(digits, "a number begins with 0");
  ptrdiff_t count = p - digits;
  ptrdiff_t behind = 0;
  if (*p == '.') {
    ++p;
    const char* const fraction = p;
    while ((digit = static_cast<unsigned char>(*p) - unsigned{'0'}) <= 9) {
      whole = whole * 10 + digit;
      ++p;
    }
    behind = p - fraction;
    if (behind == 0) return FailAt(p, "a digit is missing after the point");
    count += behind;
  }
  if ((*p | 0x20) == 'e') return SlowNumber(begin, out);
  at_ = p;
  out->text = {begin, static_cast<size_t>(p - begin)};
  // Both the digits and the power of ten are exact doubles, so one division rounds correctly
  // (Clinger 1990). 19 digits do not overflow.
  out->exact = count <= 19 && whole <= (uint64_t{1} << 53) && behind <= 22;
  if (out->exact) {
    const double value = static_cast<double>(whole) / kPowers[behind];
    out->value = *begin == '-' ? -value : value;
  }
  return true;
}

}  // namespace slipway
