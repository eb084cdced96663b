// From the text of an expression to its syntax tree: positions, limits and syntax errors. Knows no
// types and no columns. Part of features/expression.h. Trees are plain values; thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/features/expression_program.h"

namespace slipway::expression_internal {

inline constexpr size_t kMaxTextBytes = 64 << 10;
inline constexpr int kMaxDepth = 200;

// Operators are calls too: "+", "unary -", "and", "not", "=", "in", "between", "is null".
struct Node {
  enum class Kind { kLiteral, kColumn, kCall };
  Kind kind = Kind::kLiteral;
  std::string name;  // column or function (lower case) or operator
  Constant literal;
  bool null_literal = false;  // `null` itself: it has no type yet
  std::vector<std::unique_ptr<Node>> args;
  size_t position = 0;  // byte offset into the text
  int depth = 1;
};

// "column 14", or "line 2, column 3" for a text of several lines. Columns count code points from 1.
std::string Place(std::string_view text, size_t position);

Result<std::unique_ptr<Node>> ParseExpression(std::string_view text);

}  // namespace slipway::expression_internal
