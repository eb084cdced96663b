#include "slipway/features/expression_lex.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "slipway/base/text.h"
#include "slipway/features/expression_parse.h"

namespace slipway::expression_internal {

namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWordStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> Run() {
    std::vector<Token> tokens;
    while (true) {
      while (at_ < text_.size() &&
             std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
        ++at_;
      if (at_ == text_.size()) break;
      ASSIGN_OR_RETURN(Token token, Next());
      tokens.push_back(std::move(token));
    }
    tokens.push_back({TokenKind::kEnd, "", {}, text_.size()});
    return tokens;
  }

 private:
  Error Fail(std::string message, std::string hint = "") const {
    return InvalidArgument(std::move(message) + " at " + Place(text_, at_), std::move(hint));
  }
  char Char(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }

  Result<Token> Next() {
    char c = text_[at_];
    if (IsDigit(c) || (c == '.' && IsDigit(Char(at_ + 1)))) return Number();
    if (c == '\'' || c == '"') return Quoted(c);
    if (IsWordStart(c)) return Word();
    return Symbol();
  }

  Result<Token> Number() {
    size_t end = at_;
    bool real = false;
    while (IsDigit(Char(end))) ++end;
    if (Char(end) == '.') {
      real = true;
      ++end;
      while (IsDigit(Char(end))) ++end;
    }
    if (Char(end) == 'e' || Char(end) == 'E') {
      size_t digits = end + 1;
      if (Char(digits) == '+' || Char(digits) == '-') ++digits;
      if (IsDigit(Char(digits))) {
        real = true;
        end = digits;
        while (IsDigit(Char(end))) ++end;
      }
    }
    std::string_view number = text_.substr(at_, end - at_);
    if (IsWordStart(Char(end)) || Char(end) == '.') {
      return Fail("'" + std::string(number) + "' is directly followed by '" +
                      std::string(1, Char(end)) + "'",
                  "a column whose name begins with a digit is written in double quotes");
    }
    Token token{TokenKind::kNumber, std::string(number), {}, at_};
    RETURN_IF_ERROR(Value(number, real, &token.literal));
    at_ = end;
    return token;
  }

  Status Value(std::string_view number, bool real, Constant* out) const {
    out->null = false;
    if (real) {
      std::optional<double> value = ParseDouble(number);
      if (!value || *value - *value != 0)
        return Fail("the number " + std::string(number) + " is out of range");
      out->type = Type::kDouble;
      out->real = *value;
      return {};
    }
    std::optional<int64_t> value = ParseInt64(number);
    if (!value) {
      return Fail("the number " + std::string(number.substr(0, 40)) + " does not fit int64",
                  "write it as a double: " + std::string(number.substr(0, 40)) + ".0");
    }
    out->type = Type::kInt64;
    out->integer = *value;
    return {};
  }

  Result<Token> Quoted(char quote) {
    std::string value;
    size_t i = at_ + 1;
    while (true) {
      if (i >= text_.size()) {
        return Fail(std::string("the ") + (quote == '"' ? "column name" : "text") +
                        " that begins with " + quote + " is not closed,",
                    std::string("a ") + quote + " inside is written twice");
      }
      if (text_[i] == quote) {
        if (Char(i + 1) != quote) break;
        ++i;
      }
      value.push_back(text_[i++]);
    }
    Token token{quote == '"' ? TokenKind::kColumn : TokenKind::kText, value, {}, at_};
    token.literal = {Type::kString, false, 0, 0, std::move(value)};
    at_ = i + 1;
    return token;
  }

  Result<Token> Word() {
    static constexpr std::array<std::string_view, 9> kKeywords = {
        "and", "or", "not", "in", "between", "is", "null", "true", "false"};
    size_t end = at_;
    while (IsWordStart(Char(end)) || IsDigit(Char(end))) ++end;
    Token token{TokenKind::kWord, std::string(text_.substr(at_, end - at_)), {}, at_};
    std::string lower = ToLower(token.text);
    if (std::find(kKeywords.begin(), kKeywords.end(), lower) != kKeywords.end()) {
      token.kind = TokenKind::kKeyword;
      token.text = lower;
    }
    at_ = end;
    return token;
  }

  Result<Token> Symbol() {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kForeign = {{
        {"&&", "write and"},
        {"||", "write or; to join texts, concat(a, b)"},
        {"**", "write ^"},
        {"!", "write not, or != between two values"},
    }};
    static constexpr std::array<std::string_view, 17> kSymbols = {
        "==", "!=", "<>", "<=", ">=", "<", ">", "=", "+", "-", "*", "/", "%", "^", "(", ")", ","};
    std::string_view rest = text_.substr(at_);
    for (const auto& [symbol, hint] : kForeign) {
      if (rest.starts_with(symbol) && !rest.starts_with("!=")) {
        return Fail("'" + std::string(symbol) + "' is not an operator", std::string(hint));
      }
    }
    for (std::string_view symbol : kSymbols) {
      if (!rest.starts_with(symbol)) continue;
      Token token{TokenKind::kSymbol, std::string(symbol), {}, at_};
      at_ += symbol.size();
      return token;
    }
    unsigned char c = static_cast<unsigned char>(rest.front());
    static constexpr char kHex[] = "0123456789abcdef";
    std::string shown = c < 0x20 || c == 0x7F ? std::string("\\x") + kHex[c >> 4] + kHex[c & 15]
                                              : std::string(1, rest.front());
    return Fail("unexpected character '" + shown + "'",
                c == '[' || c == '`'
                    ? "a column name with special characters is written in double quotes"
                    : "");
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view text) { return Lexer(text).Run(); }

}  // namespace slipway::expression_internal
