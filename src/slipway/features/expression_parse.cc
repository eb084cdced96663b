#include "slipway/features/expression_parse.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "slipway/base/text.h"
#include "slipway/features/expression_lex.h"
#include "slipway/table/cell.h"

namespace slipway::expression_internal {

namespace {

using NodePtr = std::unique_ptr<Node>;

// How tightly each infix operator holds; `not` stands between `and` and the comparisons.
enum Strength { kOr = 1, kAnd, kNot, kCompare, kAdd, kMultiply, kNegate, kPower };

struct Infix {
  int strength;
  std::string_view name;
};

std::optional<Infix> InfixOf(const Token& token) {
  static constexpr std::pair<std::string_view, Infix> kInfix[] = {
      {"or", {kOr, "or"}},      {"and", {kAnd, "and"}},     {"=", {kCompare, "="}},
      {"==", {kCompare, "="}},  {"!=", {kCompare, "!="}},   {"<>", {kCompare, "!="}},
      {"<", {kCompare, "<"}},   {"<=", {kCompare, "<="}},   {">", {kCompare, ">"}},
      {">=", {kCompare, ">="}}, {"in", {kCompare, "in"}},   {"between", {kCompare, "between"}},
      {"is", {kCompare, "is"}}, {"not", {kCompare, "not"}}, {"+", {kAdd, "+"}},
      {"-", {kAdd, "-"}},       {"*", {kMultiply, "*"}},    {"/", {kMultiply, "/"}},
      {"%", {kMultiply, "%"}},  {"^", {kPower, "^"}}};
  if (token.kind != TokenKind::kSymbol && token.kind != TokenKind::kKeyword) return std::nullopt;
  for (const auto& [text, infix] : kInfix) {
    if (token.text == text) return infix;
  }
  return std::nullopt;
}

class Parser {
 public:
  Parser(std::string_view text, std::vector<Token> tokens)
      : text_(text), tokens_(std::move(tokens)) {}

  Result<NodePtr> ParseAll() {
    if (Peek().kind == TokenKind::kEnd) return InvalidArgument("the expression is empty");
    ASSIGN_OR_RETURN(NodePtr node, Parse(0));
    if (Peek().kind != TokenKind::kEnd) return Unexpected("the end or an operator");
    return node;
  }

 private:
  const Token& Peek(size_t ahead = 0) const {
    return tokens_[std::min(next_ + ahead, tokens_.size() - 1)];
  }
  const Token& Take() {
    const Token& token = Peek();
    if (next_ + 1 < tokens_.size()) ++next_;
    return token;
  }
  bool At(std::string_view text) const {
    const Token& token = Peek();
    return (token.kind == TokenKind::kSymbol || token.kind == TokenKind::kKeyword) &&
           token.text == text;
  }
  bool TakeIf(std::string_view text) {
    if (!At(text)) return false;
    Take();
    return true;
  }

  Error At(size_t position, std::string message, std::string hint = "") const {
    return InvalidArgument(std::move(message) + " at " + Place(text_, position), std::move(hint));
  }
  Error Unexpected(std::string_view wanted) const {
    const Token& token = Peek();
    std::string found = "the end of the expression";
    if (token.kind == TokenKind::kText) {
      found = "a text";
    } else if (token.kind != TokenKind::kEnd) {
      found = "'" + token.text.substr(0, 40) + "'";
    }
    return At(token.position, "expected " + std::string(wanted) + ", found " + found);
  }

  Result<NodePtr> Make(std::string_view name, size_t position, std::vector<NodePtr> args) const {
    auto node = std::make_unique<Node>();
    node->kind = Node::Kind::kCall;
    node->name = name;
    node->position = position;
    for (const NodePtr& arg : args) node->depth = std::max(node->depth, arg->depth + 1);
    node->args = std::move(args);
    if (node->depth > kMaxDepth) return TooDeep(position);
    return node;
  }
  Result<NodePtr> Make(std::string_view name, size_t position, NodePtr a, NodePtr b = nullptr,
                       NodePtr c = nullptr) const {
    std::vector<NodePtr> args;
    for (NodePtr* arg : {&a, &b, &c}) {
      if (*arg) args.push_back(std::move(*arg));
    }
    return Make(name, position, std::move(args));
  }
  Error TooDeep(size_t position) const {
    return At(position, "the expression is nested deeper than 200 operations",
              "split it into several column steps; write a = 1 or a = 2 ... as a in (1, 2, ...)");
  }

  // Everything that holds tighter than `floor`.
  Result<NodePtr> Parse(int floor) {
    if (++nesting_ > kMaxDepth) return TooDeep(Peek().position);
    ASSIGN_OR_RETURN(NodePtr left, Prefix());
    bool compared = false;
    while (true) {
      std::optional<Infix> infix = InfixOf(Peek());
      if (!infix || infix->strength <= floor) break;
      if (infix->strength == kCompare) {
        if (compared) {
          return At(Peek().position, "comparisons cannot be chained",
                    "write a < b and b < c, or b between a and c, or use parentheses");
        }
        compared = true;
      } else if (infix->strength < kCompare) {
        compared = false;
      }
      ASSIGN_OR_RETURN(left, Extend(std::move(left), *infix));
    }
    --nesting_;
    return left;
  }

  Result<NodePtr> Extend(NodePtr left, Infix infix) {
    size_t position = Take().position;
    if (infix.name == "is") return IsNull(std::move(left), position);
    if (infix.name == "not") {
      if (!At("in") && !At("between")) return Unexpected("'in' or 'between' after 'not'");
      bool in = Take().text == "in";
      ASSIGN_OR_RETURN(NodePtr inner,
                       in ? In(std::move(left), position) : Between(std::move(left), position));
      return Make("not", position, std::move(inner));
    }
    if (infix.name == "in") return In(std::move(left), position);
    if (infix.name == "between") return Between(std::move(left), position);
    // `^` groups to the right, and its right side may have a sign.
    ASSIGN_OR_RETURN(NodePtr right, Parse(infix.strength == kPower ? kNegate : infix.strength));
    return Make(infix.name, position, std::move(left), std::move(right));
  }

  Result<NodePtr> IsNull(NodePtr left, size_t position) {
    bool negated = TakeIf("not");
    if (!TakeIf("null")) return Unexpected("'null'");
    return Make(negated ? "is not null" : "is null", position, std::move(left));
  }

  Result<NodePtr> In(NodePtr left, size_t position) {
    if (!TakeIf("(")) return Unexpected("'(' and a list of values after 'in'");
    std::vector<NodePtr> args;
    args.push_back(std::move(left));
    RETURN_IF_ERROR(List(&args));
    if (args.size() == 1) return At(position, "the list of 'in' is empty");
    return Make("in", position, std::move(args));
  }

  Result<NodePtr> Between(NodePtr left, size_t position) {
    ASSIGN_OR_RETURN(NodePtr low, Parse(kCompare));
    if (!TakeIf("and")) return Unexpected("'and' (x between low and high)");
    ASSIGN_OR_RETURN(NodePtr high, Parse(kCompare));
    return Make("between", position, std::move(left), std::move(low), std::move(high));
  }

  // What stands between "(" (taken already) and ")".
  Status List(std::vector<NodePtr>* args) {
    size_t open = tokens_[next_ - 1].position;
    if (TakeIf(")")) return {};
    while (true) {
      ASSIGN_OR_RETURN(NodePtr arg, Parse(0));
      args->push_back(std::move(arg));
      if (TakeIf(",")) continue;
      return Close(open);
    }
  }
  Status Close(size_t open) {
    if (TakeIf(")")) return {};
    if (Peek().kind == TokenKind::kEnd) return At(open, "the '(' is not closed");
    return Unexpected("',', ')' or an operator");
  }

  Result<NodePtr> Prefix() {
    const Token token = Take();
    switch (token.kind) {
      case TokenKind::kNumber:
      case TokenKind::kText:
        return Literal(token.literal, token.position);
      case TokenKind::kColumn:
        return ColumnNode(token);
      case TokenKind::kWord:
        return Word(token);
      case TokenKind::kSymbol:
      case TokenKind::kKeyword:
        return PrefixSymbol(token);
      case TokenKind::kEnd:
        break;
    }
    return At(token.position, "the expression ends where a value is expected,");
  }

  Result<NodePtr> PrefixSymbol(const Token& token) {
    if (token.text == "(") {
      ASSIGN_OR_RETURN(NodePtr node, Parse(0));
      RETURN_IF_ERROR(Close(token.position));
      return node;
    }
    if (token.text == "-" || token.text == "+") {
      ASSIGN_OR_RETURN(NodePtr node, Parse(kNegate));
      return Make(token.text == "-" ? "unary -" : "unary +", token.position, std::move(node));
    }
    if (token.text == "not") {
      ASSIGN_OR_RETURN(NodePtr node, Parse(kNot));
      return Make("not", token.position, std::move(node));
    }
    if (token.text == "null") {
      ASSIGN_OR_RETURN(NodePtr node, Literal(Constant{}, token.position));
      node->null_literal = true;
      return node;
    }
    if (token.text == "true" || token.text == "false") {
      Constant value{Type::kBoolean, false, token.text == "true" ? 1 : 0, 0, ""};
      return Literal(std::move(value), token.position);
    }
    return At(token.position, "expected a value, found '" + token.text + "'",
              token.kind == TokenKind::kKeyword
                  ? "a column of this name is written \"" + token.text + "\""
                  : "");
  }

  Result<NodePtr> Word(const Token& token) {
    std::string lower = ToLower(token.text);
    if (Peek().kind == TokenKind::kText && (lower == "date" || lower == "timestamp")) {
      return TimeLiteral(lower == "date", token.position, Take());
    }
    if (!TakeIf("(")) return ColumnNode(token);
    std::vector<NodePtr> args;
    RETURN_IF_ERROR(List(&args));
    return Make(lower, token.position, std::move(args));
  }

  Result<NodePtr> TimeLiteral(bool date, size_t position, const Token& text) {
    Constant value{date ? Type::kDate : Type::kTimestamp, false, 0, 0, ""};
    CellState state = CellState::kBad;
    if (date) {
      int32_t days = 0;
      state = ParseDateCell(text.literal.text, &days);
      value.integer = days;
    } else {
      state = ParseTimestampCell(text.literal.text, &value.integer);
    }
    if (state != CellState::kValue) {
      return At(
          text.position,
          "'" + text.literal.text.substr(0, 40) + "' is not a " + (date ? "date" : "timestamp"),
          date ? "write date '2015-05-07'" : "write timestamp '2015-05-07 19:52:06'");
    }
    return Literal(std::move(value), position);
  }

  Result<NodePtr> Literal(Constant value, size_t position) const {
    auto node = std::make_unique<Node>();
    node->literal = std::move(value);
    node->position = position;
    return node;
  }
  Result<NodePtr> ColumnNode(const Token& token) const {
    auto node = std::make_unique<Node>();
    node->kind = Node::Kind::kColumn;
    node->name = token.text;
    node->position = token.position;
    return node;
  }

  std::string_view text_;
  std::vector<Token> tokens_;
  size_t next_ = 0;
  int nesting_ = 0;
};

}  // namespace

std::string Place(std::string_view text, size_t position) {
  int line = 1, column = 1;
  for (char c : text.substr(0, position)) {
    if (c == '\n') {
      ++line;
      column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) {
      ++column;
    }
  }
  std::string place = "column " + std::to_string(column);
  return text.find('\n') == std::string_view::npos ? place
                                                   : "line " + std::to_string(line) + ", " + place;
}

Result<NodePtr> ParseExpression(std::string_view text) {
  if (text.size() > kMaxTextBytes) {
    return InvalidArgument("the expression is longer than 64 KiB",
                           "split it into several column steps");
  }
  if (!IsValidUtf8(text)) return InvalidArgument("the expression is not valid UTF-8");
  ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(text));
  return Parser(text, std::move(tokens)).ParseAll();
}

}  // namespace slipway::expression_internal
