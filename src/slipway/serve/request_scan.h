// A scanner over the bytes of a JSON request (RFC 8259): one pass, no tree of values, nothing
// allocated. The caller asks for what it expects next; values it does not want are checked and
// passed over. Apart from the standard, the bare tokens NaN, Infinity and -Infinity are values:
// Python's json writes them.
//
// Foreign bytes: up to kRequestDepth containers deep, no recursion. The first error stays, with the
// byte where it was found; every call after it fails.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

inline constexpr int kRequestDepth = 64;

// 0 to 15; -1: it is no hexadecimal digit.
int HexDigit(char c);

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
  kNotFinite,  // NaN, Infinity
  kNone,       // no value begins here
};

struct ScannedNumber {
  std::string_view text;
  double value = 0;
  bool exact = false;  // `value` is the double nearest to the text; else read the text
  bool finite = true;  // false: it was -Infinity, and nothing else is set
};

// Where `quoted`, a key in its quotes, first stands in a body; npos: nowhere. A hint, not a parse:
// it may stand in a text.
size_t FindQuotedKey(std::string_view body, std::string_view quoted);

// Confined to one thread.
class RequestScanner {
 public:
  // REQUIRES: kHttpPadding readable bytes after `text`, which must stay; blank text is {}. False:
  // it is no object.
  bool Begin(std::string_view text, TextArena* arena);

  // What the next value is. Does not move.
  JsonToken Peek() {
    SkipBlanks();
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
  bool Word();  // true, false, null, NaN, Infinity
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
    while (static_cast<unsigned char>(*at_) <= ' ' && IsBlank(*at_)) ++at_;
  }
  static bool IsBlank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
  bool FailAt(const char* where, const char* reason);
  bool Next(char close);
  bool Colon();
  bool EscapedString(const char* begin, std::string_view* out);
  bool NoDigit(ScannedNumber* out);
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

// Texts of a few words, which a call of memcmp would take longer for. REQUIRES: n > 0, 8 readable
// bytes after both.
inline bool SameFewBytes(const char* a, const char* b, size_t n) {
  uint64_t left = 0, right = 0;
  for (; n > 8; n -= 8, a += 8, b += 8) {
    std::memcpy(&left, a, 8);
    std::memcpy(&right, b, 8);
    if (left != right) return false;
  }
  std::memcpy(&left, a, 8);
  std::memcpy(&right, b, 8);
  const uint64_t differ = left ^ right;
  if constexpr (std::endian::native == std::endian::little) return differ << (64 - 8 * n) == 0;
  return differ >> (64 - 8 * n) == 0;
}

inline bool RequestScanner::NextKeyLike(std::string_view quoted, bool* found) {
  *found = false;
  if (!Next('}')) return false;
  if (static_cast<size_t>(end_ - at_) > quoted.size() && !quoted.empty() &&
      SameFewBytes(at_, quoted.data(), quoted.size())) {
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

// Appends the digits at p to *whole and gives their end; meaningless beyond 19 of them. REQUIRES: 8
// readable bytes after the digits.
inline const char* TakeDigits(const char* p, uint64_t* whole) {
  uint64_t value = *whole;
  if constexpr (std::endian::native == std::endian::little) {
    // Eight bytes at a time (Lemire 2018), without a branch on how many of them are digits.
    static constexpr uint64_t kPowers[] = {1,      10,      100,       1'000,
                                           10'000, 100'000, 1'000'000, 10'000'000};
    constexpr uint64_t kHigh = 0xF0F0F0F0F0F0F0F0, kZeros = 0x3030303030303030;
    while (true) {
      uint64_t eight = 0;
      std::memcpy(&eight, p, 8);
      // A byte that is no digit may carry into the next one, which is then beyond the digits.
      const uint64_t others =
          ((eight & kHigh) ^ kZeros) | (((eight + 0x0606060606060606) & kHigh) ^ kZeros);
      const unsigned digits = static_cast<unsigned>(std::countr_zero(others)) / 8;
      // Zeros come before the digits; none at all are 0.
      const uint64_t aligned =
          digits == 8 ? eight - kZeros : ((eight - kZeros) << (56 - 8 * digits)) << 8;
      const uint64_t tens = aligned * 10 + (aligned >> 8);
      const uint64_t number = ((tens & 0x000000FF000000FF) * 0x000F424000000064 +
                               ((tens >> 16) & 0x000000FF000000FF) * 0x0000271000000001) >>
                              32;
      p += digits;
      if (digits < 8) {
        value = value * kPowers[digits] + number;
        break;
      }
      value = value * 100'000'000 + number;
    }
  } else {
    unsigned digit = 0;
    while ((digit = static_cast<unsigned char>(*p) - unsigned{'0'}) <= 9) {
      value = value * 10 + digit;
      ++p;
    }
  }
  *whole = value;
  return p;
}

// 2^b / 5^k, rounded up, with b so that the top bit of 128 is set; k from 1 to 27.
struct FifthPower {
  uint64_t high = 0, low = 0;
};
inline constexpr std::array<FifthPower, 28> kFifthPowers = [] {
  std::array<FifthPower, 28> powers{};
  uint64_t divisor = 1;
  for (size_t k = 1; k < powers.size(); ++k) {
    divisor *= 5;
    FifthPower& power = powers[k];
    uint64_t rest = 1;
    for (int bits = 127 + static_cast<int>(std::bit_width(divisor)); bits > 0; --bits) {
      rest <<= 1;
      power.high = power.high << 1 | power.low >> 63;
      power.low = power.low << 1 | uint64_t{rest >= divisor};
      if (rest >= divisor) rest -= divisor;
    }
    if (++power.low == 0) ++power.high;
  }
  return powers;
}();

// whole / 10^behind, rounded to the nearest double, ties to even (Eisel and Lemire 2020: the
// product with the rounded reciprocal has bits enough to tell). REQUIRES: whole > 0, behind from 1
// to 27.
inline double DivideByPowerOfTen(uint64_t whole, int behind) {
  __extension__ using Wide = unsigned __int128;
  const FifthPower& power = kFifthPowers[static_cast<size_t>(behind)];
  const int up = std::countl_zero(whole);
  whole <<= up;
  const Wide product = static_cast<Wide>(whole) * power.high;
  auto high = static_cast<uint64_t>(product >> 64), low = static_cast<uint64_t>(product);
  if ((high & 0x1FF) == 0x1FF) {  // what is left out might carry into what is kept
    const auto more = static_cast<uint64_t>((static_cast<Wide>(whole) * power.low) >> 64);
    low += more;
    high += uint64_t{low < more};
  }
  const int top = static_cast<int>(high >> 63);
  uint64_t mantissa = high >> (top + 9);  // 54 bits: the last one rounds
  // An exact tie, which only small powers can make.
  if (low <= 1 && behind <= 4 && (mantissa & 3) == 1 && mantissa << (top + 9) == high)
    mantissa &= ~uint64_t{1};
  mantissa = (mantissa + (mantissa & 1)) >> 1;
  // floor(log2(10^-behind)) + 63, by a multiplication that is exact for so small powers.
  int exponent = ((217'706 * -behind) >> 16) + 63 + top - up + 1023;
  if (mantissa >> 53 != 0) {
    mantissa >>= 1;
    ++exponent;
  }
  return std::bit_cast<double>((mantissa & ~(uint64_t{1} << 52)) | static_cast<uint64_t>(exponent)
                                                                       << 52);
}

inline bool RequestScanner::Number(ScannedNumber* out) {
  static constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  const char* const begin = at_;
  const char* const digits = begin + (*begin == '-');
  uint64_t whole = 0;
  const char* p = TakeDigits(digits, &whole);
  // Few branches: what they would decide on, a sign or a first digit, nobody can predict.
  if (p == digits) return NoDigit(out);
  if (unsigned{*digits == '0'} & unsigned{p - digits > 1})
    return FailAt(digits, "a number begins with 0");
  ptrdiff_t count = p - digits;
  ptrdiff_t behind = 0;
  if (*p == '.') {
    const char* const fraction = p + 1;
    p = TakeDigits(fraction, &whole);
    behind = p - fraction;
    if (behind == 0) return FailAt(p, "a digit is missing after the point");
    count += behind;
  }
  if ((*p | 0x20) == 'e') return SlowNumber(begin, out);
  at_ = p;
  out->text = {begin, static_cast<size_t>(p - begin)};
  // 19 digits do not overflow; leading zeros may be beyond them.
  out->exact = false;
  if (count > 20 || (count == 20 && *digits != '0')) return true;
  double value = 0;
  if (count <= 15) {
    // Both the digits and the power of ten are exact doubles, so one division rounds correctly
    // (Clinger 1990).
    value = static_cast<double>(whole) / kPowers[behind];
  } else if (behind == 0) {
    value = static_cast<double>(whole);
  } else if (whole != 0) {
    value = DivideByPowerOfTen(whole, static_cast<int>(behind));
  }
  out->exact = true;
  out->value =
      std::bit_cast<double>(std::bit_cast<uint64_t>(value) | uint64_t{*begin == '-'} << 63);
  return true;
}

}  // namespace slipway
