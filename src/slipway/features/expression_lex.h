// The words of an expression. Part of features/expression.h; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/features/expression_program.h"

namespace slipway::expression_internal {

enum class TokenKind {
  kEnd,
  kNumber,   // literal: int64 or double
  kText,     // literal: 'text' with its quotes undone
  kColumn,   // "quoted name", quotes undone
  kWord,     // a column or function name
  kKeyword,  // and or not in between is null true false; text in lower case
  kSymbol,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  Constant literal;
  size_t position = 0;
};

// Ends with a kEnd token.
Result<std::vector<Token>> Tokenize(std::string_view text);

}  // namespace slipway::expression_internal
