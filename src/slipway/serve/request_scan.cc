#include "slipway/serve/request_scan.h"

#include <algorithm>
#include <array>
#include <bit>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "slipway/base/text.h"
#include "slipway/base/utf8.h"
#include "slipway/http/server.h"

namespace slipway {
namespace {

constexpr std::array<char, 2 + kHttpPadding> kEmptyObject = {'{', '}'};

// Neither a quote, nor a backslash, nor a control character, nor beyond ASCII.
constexpr std::array<uint8_t, 256> kPlain = [] {
  std::array<uint8_t, 256> plain{};
  for (size_t c = 0x20; c < 0x80; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

// The four digits of \uXXXX; -1: they are none. REQUIRES: four readable bytes.
int HexCode(const char* p) {
  int code = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = HexDigit(p[i]);
    if (digit < 0) return -1;
    code = code * 16 + digit;
  }
  return code;
}

constexpr char kNoObject[] = "it is no JSON object";

}  // namespace

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

char* TextArena::Room(size_t size) {
  while (block_ < blocks_.size() && blocks_[block_].size - used_ < size) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    const size_t bytes = std::max<size_t>(size, 16 << 10);
    blocks_.push_back({std::make_unique_for_overwrite<char[]>(bytes), bytes});
    used_ = 0;
  }
  return blocks_[block_].bytes.get() + used_;
}

std::string_view TextArena::Keep(size_t size) {
  const char* at = blocks_[block_].bytes.get() + used_;
  used_ += size;
  return {at, size};
}

size_t FindQuotedKey(std::string_view body, std::string_view quoted) {
  size_t at = 0;
#if defined(__SSE2__)
  // The quote and two letters of 16 places at once: bodies are full of quotes, and a search that
  // stops at each of them takes longer than reading the record.
  if (quoted.size() >= 3) {
    const __m128i first = _mm_set1_epi8(quoted[0]), second = _mm_set1_epi8(quoted[1]),
                  third = _mm_set1_epi8(quoted[2]);
    for (; at + 18 <= body.size(); at += 16) {
      const auto load = [&](size_t from) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(body.data() + from));
      };
      const __m128i found = _mm_and_si128(
          _mm_and_si128(_mm_cmpeq_epi8(load(at), first), _mm_cmpeq_epi8(load(at + 1), second)),
          _mm_cmpeq_epi8(load(at + 2), third));
      for (auto bits = static_cast<unsigned>(_mm_movemask_epi8(found)); bits != 0;
           bits &= bits - 1) {
        const size_t place = at + static_cast<size_t>(std::countr_zero(bits));
        if (body.substr(place, quoted.size()) == quoted) return place;
      }
    }
  }
#endif
  return body.find(quoted, at);
}

bool RequestScanner::Begin(std::string_view text, TextArena* arena) {
  arena_ = arena;
  depth_ = 0;
  first_ = false;
  reason_ = nullptr;
  begin_ = at_ = text.data();
  const char* end = text.data() + text.size();
  while (at_ < end && IsBlank(*at_)) ++at_;
  while (end > at_ && IsBlank(end[-1])) --end;
  if (at_ == end) {
    begin_ = at_ = kEmptyObject.data();
    end = at_ + 2;
  }
  end_ = end;
  if (*at_ != '{') return Fail(kNoObject);
  if (end[-1] != '}') return FailAt(end - 1, "it does not end with the object's '}'");
  return true;
}

bool RequestScanner::FailAt(const char* where, const char* reason) {
  if (reason_ == nullptr) {
    wrong_ = where;
    reason_ = reason;
  }
  return false;
}

Error RequestScanner::error() const {
  if (reason_ == kNoObject)  // may well be valid JSON: a list, null
    return InvalidArgument("the body must be a JSON object: it does not begin with '{'",
                           R"(send an object such as {"features": {"name": 1.5}})");
  const auto byte = static_cast<size_t>(wrong_ - begin_);
  size_t line = 1, column = 1;
  for (const char* p = begin_; p < wrong_; ++p) {
    ++column;
    if (*p == '\n') {
      ++line;
      column = 1;
    }
  }
  return InvalidArgument("the body is not valid JSON at line " + std::to_string(line) +
                             ", column " + std::to_string(column) + " (byte " +
                             std::to_string(byte) + "): " + reason_,
                         R"(send an object such as {"features": {"name": 1.5}})");
}

bool RequestScanner::Enter() {
  if (++depth_ > kRequestDepth) return Fail("it is nested more than 64 deep");
  ++at_;
  first_ = true;
  return true;
}

// At the closing bracket. False: there is no further member.
bool RequestScanner::Close() {
  --depth_;
  first_ = false;
  ++at_;
  if (depth_ > 0 && at_ >= end_) FailAt(end_ - 1, "the outermost object is not closed");
  return false;
}

bool RequestScanner::Finish() {
  if (reason_ != nullptr) return false;
  if (at_ != end_) return Fail("text after the object");
  return true;
}

bool RequestScanner::String(std::string_view* out) {
  const char* const begin = at_ + 1;
  const char* p = begin;
  bool ascii = true;
  while (p < end_) {
    const auto c = static_cast<unsigned char>(*p);
    if (kPlain[c] != 0) {
      ++p;
    } else if (c == '"') {
      *out = {begin, static_cast<size_t>(p - begin)};
      if (!ascii && !IsValidUtf8(*out)) return FailAt(begin, "a text is not valid UTF-8");
      at_ = p + 1;
      return true;
    } else if (c >= 0x80) {
      ascii = false;
      ++p;
    } else if (c == '\\') {
      return EscapedString(begin, out);
    } else {
      return FailAt(p, "a control character stands in a text; write it as an escape");
    }
  }
  return FailAt(begin - 1, "a text has no end");
}

bool RequestScanner::EscapedString(const char* begin, std::string_view* out) {
  // Escapes are longer than what they stand for.
  const char* close = begin;
  while (close < end_ && *close != '"') close += *close == '\\' ? 2 : 1;
  if (close >= end_) return FailAt(begin - 1, "a text has no end");
  char* const room = arena_->Room(static_cast<size_t>(close - begin));
  char* to = room;
  for (const char* p = begin; p < close;) {
    const auto c = static_cast<unsigned char>(*p);
    if (c < 0x20) return FailAt(p, "a control character stands in a text; write it as an escape");
    if (c != '\\') {
      *to++ = *p++;
      continue;
    }
    static constexpr std::string_view kNames = "\"\\/bfnrt";
    static constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
    if (const size_t at = kNames.find(p[1]); at != std::string_view::npos) {
      *to++ = kValues[at];
      p += 2;
      continue;
    }
    const int code = p[1] == 'u' && close - p >= 6 ? HexCode(p + 2) : -1;
    if (code < 0) return FailAt(p, "this is no escape");
    auto character = static_cast<uint32_t>(code);
    if (code >= 0xDC00 && code < 0xE000) return FailAt(p, "half of a surrogate pair");
    if (code >= 0xD800 && code < 0xDC00) {
      const int low = close - p >= 12 && p[6] == '\\' && p[7] == 'u' ? HexCode(p + 8) : -1;
      if (low < 0xDC00 || low >= 0xE000) return FailAt(p, "half of a surrogate pair");
      character = 0x10000 + (static_cast<uint32_t>(code - 0xD800) << 10) +
                  static_cast<uint32_t>(low - 0xDC00);
      p += 6;
    }
    p += 6;
    to = PutUtf8(character, to);
  }
  *out = arena_->Keep(static_cast<size_t>(to - room));
  if (!IsValidUtf8(*out)) return FailAt(begin, "a text is not valid UTF-8");
  at_ = close + 1;
  return true;
}

bool RequestScanner::NoDigit(ScannedNumber* out) {
  // The text has no }, so it is not found beyond the end.
  static constexpr std::string_view kMinusInfinity = "-Infinity";
  if (std::memcmp(at_, kMinusInfinity.data(), kMinusInfinity.size()) != 0)
    return FailAt(at_ + (*at_ == '-'), "a digit is missing");
  at_ += kMinusInfinity.size();
  out->finite = false;
  return true;
}

bool RequestScanner::SlowNumber(const char* begin, ScannedNumber* out) {
  const char* p = begin;
  while ((*p | 0x20) != 'e') ++p;
  ++p;
  if (*p == '+' || *p == '-') ++p;
  const char* const digits = p;
  while (*p >= '0' && *p <= '9') ++p;
  if (p == digits) return FailAt(p, "a digit is missing in the exponent");
  out->text = {begin, static_cast<size_t>(p - begin)};
  out->exact = false;
  at_ = p;
  return true;
}

bool RequestScanner::Word() {
  static constexpr std::string_view kWords[] = {"null", "true", "false", "NaN", "Infinity"};
  for (const std::string_view word : kWords) {
    // No word has a }, so none is found beyond the end.
    if (*at_ != word.front() || std::memcmp(at_, word.data(), word.size()) != 0) continue;
    at_ += word.size();
    return true;
  }
  return Fail("this is no JSON value");
}

bool RequestScanner::SkipKey() {
  SkipBlanks();
  if (*at_ != '"') return Fail("a key in double quotes is missing");
  std::string_view key;
  return String(&key) && Colon();
}

bool RequestScanner::Skip(std::string_view* raw) {
  if (reason_ != nullptr) return false;
  SkipBlanks();
  const char* const begin = at_;
  uint64_t objects = 0;  // bit i: container i below this value is an object
  int inside = 0;
  while (true) {
    std::string_view text;
    ScannedNumber number;
    const JsonToken token = Peek();
    switch (token) {
      case JsonToken::kObject:
      case JsonToken::kArray: {
        const bool object = token == JsonToken::kObject;
        if (depth_ + inside >= kRequestDepth) return Fail("it is nested more than 64 deep");
        objects = (objects & ~(uint64_t{1} << inside)) | (uint64_t{object} << inside);
        ++inside;
        ++at_;
        SkipBlanks();
        if (*at_ == (object ? '}' : ']')) break;  // empty: closed below
        if (object && !SkipKey()) return false;
        continue;
      }
      case JsonToken::kString:
        if (!String(&text)) return false;
        break;
      case JsonToken::kNumber:
        if (!Number(&number)) return false;
        break;
      case JsonToken::kNone:
        return Fail("a value is missing");
      default:
        if (!Word()) return false;
    }
    while (inside > 0) {
      SkipBlanks();
      const bool object = (objects >> (inside - 1) & 1) != 0;
      if (*at_ == (object ? '}' : ']')) {
        ++at_;
        --inside;
        if (at_ >= end_) return FailAt(end_ - 1, "the outermost object is not closed");
        continue;
      }
      if (*at_ != ',') return Fail(object ? "a ',' or '}' is missing" : "a ',' or ']' is missing");
      ++at_;
      if (object && !SkipKey()) return false;
      break;
    }
    if (inside == 0) break;
  }
  *raw = {begin, static_cast<size_t>(at_ - begin)};
  return true;
}

}  // namespace slipway
