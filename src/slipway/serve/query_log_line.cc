#include "slipway/serve/query_log_line.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "slipway/base/text.h"
#include "slipway/base/utf8.h"
#include "slipway/serve/json_text.h"

namespace slipway {
namespace {

constexpr std::string_view kMask = "\"***\"";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Four hexadecimal digits at `at`, or -1.
int Unit(std::string_view text, size_t at) {
  if (at + 4 > text.size()) return -1;
  int value = 0;
  for (size_t i = at; i < at + 4; ++i) {
    const int digit = HexValue(text[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

// What a JSON text between its quotes means. REQUIRES: its escapes are valid.
std::string Unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out.push_back(text[i]);
      continue;
    }
    constexpr std::string_view kFrom = "bfnrt", kTo = "\b\f\n\r\t";
    const char c = text[++i];
    if (const size_t at = kFrom.find(c); at != std::string_view::npos) {
      out.push_back(kTo[at]);
    } else if (c != 'u') {
      out.push_back(c);
    } else {
      auto code = static_cast<uint32_t>(Unit(text, i + 1));
      i += 4;
      if (code >= 0xd800 && code < 0xdc00 && text.substr(i + 1, 2) == "\\u") {
        const int low = Unit(text, i + 3);
        if (low >= 0xdc00 && low < 0xe000) {
          code = 0x10000 + ((code - 0xd800) << 10) + static_cast<uint32_t>(low - 0xdc00);
          i += 6;
        }
      }
      AppendUtf8(code, &out);
    }
  }
  return out;
}

// The length of the text that begins with the quote at `at`, with both quotes; 0: it has no end or
// an escape is none.
size_t TextLength(std::string_view json, size_t at) {
  for (size_t i = at + 1; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '"') return i + 1 - at;
    if (static_cast<unsigned char>(c) < 0x20) return 0;
    if (c != '\\') continue;
    if (++i >= json.size()) return 0;
    if (json[i] == 'u') {
      if (Unit(json, i + 1) < 0) return 0;
      i += 4;
    } else if (std::string_view("\"\\/bfnrt").find(json[i]) == std::string_view::npos) {
      return 0;
    }
  }
  return 0;
}

// A number of RFC 8259.
bool IsJsonNumber(std::string_view token) {
  size_t i = 0;
  const auto digits = [&] {
    const size_t from = i;
    while (i < token.size() && IsDigit(token[i])) ++i;
    return i > from;
  };
  if (i < token.size() && token[i] == '-') ++i;
  if (i < token.size() && token[i] == '0') {
    ++i;
  } else if (!digits()) {
    return false;
  }
  if (i < token.size() && token[i] == '.') {
    ++i;
    if (!digits()) return false;
  }
  if (i < token.size() && (token[i] == 'e' || token[i] == 'E')) {
    ++i;
    if (i < token.size() && (token[i] == '+' || token[i] == '-')) ++i;
    if (!digits()) return false;
  }
  return i == token.size();
}

// Beyond what a double holds: "1e999". REQUIRES: IsJsonNumber.
bool IsTooLarge(std::string_view number) {
  if (number.size() < 300 && number.find_first_of("eE") == std::string_view::npos) return false;
  const std::optional<double> value = ParseDouble(number);
  return !value || !std::isfinite(*value);
}

char LowerAscii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Without regard to ASCII case: better one member too many than a secret.
bool Contains(std::span<const std::string_view> names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [name](std::string_view each) {
    return std::equal(each.begin(), each.end(), name.begin(), name.end(),
                      [](char a, char b) { return LowerAscii(a) == LowerAscii(b); });
  });
}

bool EndsLiteral(char c) {
  return IsBlank(c) || c == ',' || c == ':' || c == '{' || c == '}' || c == '[' || c == ']' ||
         c == '"';
}

// Walks a JSON text once: checks its grammar and appends it without blanks, masking members.
class Compactor {
 public:
  Compactor(std::span<const std::string_view> redact, std::string* out)
      : redact_(redact), out_(out) {}

  bool Run(std::string_view json) {
    if (!IsValidUtf8(json)) return false;
    for (size_t i = 0; i < json.size();) {
      const char c = json[i];
      if (IsBlank(c)) {
        ++i;
        continue;
      }
      size_t length = 1;
      switch (c) {
        case '{':
        case '[':
          if (!Open(c)) return false;
          break;
        case '}':
        case ']':
          if (!Close(c)) return false;
          break;
        case ',':
          if (!Comma()) return false;
          break;
        case ':':
          if (!Colon()) return false;
          break;
        case '"':
          length = TextLength(json, i);
          if (length == 0 || !Text(json.substr(i, length))) return false;
          break;
        default:
          while (i + length < json.size() && !EndsLiteral(json[i + length])) ++length;
          if (!Literal(json.substr(i, length))) return false;
      }
      i += length;
    }
    return expect_ == Expect::kNothing;
  }

 private:
  enum class Expect { kValue, kValueOrEnd, kKey, kKeyOrEnd, kColon, kCommaOrEnd, kNothing };

  void Put(std::string_view text) {
    if (muted_at_ == 0) out_->append(text);
  }
  bool WantsValue() const { return expect_ == Expect::kValue || expect_ == Expect::kValueOrEnd; }
  void AfterValue() { expect_ = open_.empty() ? Expect::kNothing : Expect::kCommaOrEnd; }
  // The end of the member at this depth: what follows is written again.
  void EndMember() {
    if (muted_at_ == open_.size()) muted_at_ = 0;
  }

  bool Open(char c) {
    if (!WantsValue()) return false;
    Put({&c, 1});
    open_.push_back(c);
    expect_ = c == '{' ? Expect::kKeyOrEnd : Expect::kValueOrEnd;
    return true;
  }
  bool Close(char c) {
    const char opened = c == '}' ? '{' : '[';
    if (open_.empty() || open_.back() != opened) return false;
    const Expect empty = c == '}' ? Expect::kKeyOrEnd : Expect::kValueOrEnd;
    if (expect_ != empty && expect_ != Expect::kCommaOrEnd) return false;
    EndMember();
    open_.pop_back();
    Put({&c, 1});
    AfterValue();
    return true;
  }
  bool Comma() {
    if (expect_ != Expect::kCommaOrEnd) return false;
    EndMember();
    Put(",");
    expect_ = open_.back() == '{' ? Expect::kKey : Expect::kValue;
    return true;
  }
  bool Colon() {
    if (expect_ != Expect::kColon) return false;
    Put(":");
    if (mask_next_) {
      Put(kMask);
      if (muted_at_ == 0) muted_at_ = open_.size();
    }
    expect_ = Expect::kValue;
    return true;
  }
  bool Text(std::string_view quoted) {
    Put(quoted);
    if (expect_ == Expect::kKey || expect_ == Expect::kKeyOrEnd) {
      const std::string_view name = quoted.substr(1, quoted.size() - 2);
      mask_next_ = !redact_.empty() &&
                   (name.find('\\') == std::string_view::npos ? Contains(redact_, name)
                                                              : Contains(redact_, Unescaped(name)));
      expect_ = Expect::kColon;
      return true;
    }
    if (!WantsValue()) return false;
    AfterValue();
    return true;
  }
  bool Literal(std::string_view token) {
    if (!WantsValue()) return false;
    bool none = token == "NaN" || token == "Infinity" || token == "-Infinity";
    if (!none && token != "true" && token != "false" && token != "null") {
      if (!IsJsonNumber(token)) return false;
      none = IsTooLarge(token);
    }
    Put(none ? "null" : token);
    AfterValue();
    return true;
  }

  std::span<const std::string_view> redact_;
  std::string* out_;
  std::string open_;  // the brackets around here
  Expect expect_ = Expect::kValue;
  bool mask_next_ = false;
  size_t muted_at_ = 0;  // depth of the masked member; 0: none
};

std::string DecodedPart(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexValue(text[i + 1]) >= 0 &&
        HexValue(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
    }
  }
  return out;
}

// Whether a text that is known to be JSON can stand in a line as it came: no line end among its
// blanks (its texts hold none), and none of the bare tokens that JSON does not have (a text that
// only contains the word goes the long way).
bool CanStand(std::string_view json) {
  return json.find('\n') == std::string_view::npos && json.find("NaN") == std::string_view::npos &&
         json.find("Infinity") == std::string_view::npos;
}

// The answer of a record that failed says why, with the value that was wrong: masked too where
// features are.
bool AppendResult(std::string_view result, std::span<const std::string_view> redact,
                  std::string* out) {
  if (result.find("\"error\"") == std::string_view::npos)
    return AppendCompactJson(result, redact, out);
  std::vector<std::string_view> more(redact.begin(), redact.end());
  more.insert(more.end(), {"message", "detailedMessage"});
  return AppendCompactJson(result, more, out);
}

void AppendMember(std::string_view name, std::string_view text, std::string* out) {
  out->append(",\"").append(name).append("\":");
  if (text.empty()) {
    out->append("null");
  } else {
    AppendJsonText(text, out);
  }
}
void AppendMember(std::string_view name, int64_t number, std::string* out) {
  out->append(",\"").append(name).append("\":");
  AppendJsonInt(number, out);
}

}  // namespace

bool AppendCompactJson(std::string_view json, std::span<const std::string_view> redact,
                       std::string* out) {
  const size_t before = out->size();
  if (Compactor(redact, out).Run(json)) return true;
  out->resize(before);
  return false;
}

void AppendQueryAsJson(std::string_view query, std::span<const std::string_view> redact,
                       std::string* out) {
  std::vector<std::pair<std::string, std::string>> members;
  for (const std::string& part : Split(query, '&')) {
    if (part.empty()) continue;
    const size_t equals = std::min(part.find('='), part.size());
    std::string name = DecodedPart(part.substr(0, equals));
    std::string value = equals < part.size() ? DecodedPart(part.substr(equals + 1)) : "";
    const auto same = std::find_if(members.begin(), members.end(),
                                   [&](const auto& member) { return member.first == name; });
    if (same == members.end()) {
      members.emplace_back(std::move(name), std::move(value));
    } else {
      same->second = std::move(value);
    }
  }
  char separator = '{';
  for (const auto& [name, value] : members) {
    out->push_back(separator);
    separator = ',';
    AppendJsonText(name, out);
    out->push_back(':');
    if (Contains(redact, name)) {
      out->append(kMask);
    } else {
      AppendJsonText(value, out);
    }
  }
  if (members.empty()) out->push_back('{');
  out->push_back('}');
}

void AppendQueryLine(const LoggedQuery& query, const LoggedRecord* record, int64_t index,
                     int64_t batch, std::span<const std::string_view> redact, std::string* out) {
  out->append("{\"time\":\"");
  AppendMicrosText(query.time_micros, out);
  out->push_back('"');
  AppendMember("request_id", query.request_id, out);
  AppendMember("trace_id", query.trace_id, out);
  AppendMember("service", query.service, out);
  AppendMember("endpoint", query.endpoint, out);
  AppendMember("generation", query.generation, out);
  AppendMember("key", query.key_label, out);
  AppendMember("verb", query.verb, out);
  AppendMember("status", query.status, out);
  AppendMember("latency_us", query.latency_us, out);
  if (!query.error_type.empty()) {
    out->append(",\"error\":{\"errorType\":");
    AppendJsonText(query.error_type, out);
    if (redact.empty()) AppendMember("message", query.error_message, out);
    out->push_back('}');
  }
  if (record != nullptr) {
    AppendMember("record", index, out);
    AppendMember("batch", batch, out);
    out->append(",\"features\":");
    // Answered: the whole request was read as JSON, and the answer is ours.
    const bool known = query.status == 200 && redact.empty();
    const auto append = [&](std::string_view json) {
      if (known && !json.empty() && CanStand(json)) {
        out->append(json);
      } else if (!AppendCompactJson(json, redact, out)) {
        out->append("null");
      }
    };
    const bool query_string = !record->features.empty() && query.verb == "predict-simple";
    if (query_string) {
      AppendQueryAsJson(record->features, redact, out);
    } else {
      append(record->features);
    }
    if (!record->context.empty()) {
      out->append(",\"context\":");
      append(record->context);
    }
    out->append(",\"result\":");
    if (redact.empty()) {
      append(record->result);
    } else if (!AppendResult(record->result, redact, out)) {
      out->append("null");
    }
  }
  out->append("}\n");
}

void AppendDroppedLine(int64_t time_micros, int64_t dropped, std::string* out) {
  out->append("{\"time\":\"");
  AppendMicrosText(time_micros, out);
  out->append("\",\"dropped\":");
  AppendJsonInt(dropped, out);
  out->append("}\n");
}

}  // namespace slipway
