// The expression language of prepare steps (docs/expressions.md): parsed, typed against a schema,
// compiled to column kernels. Deterministic, no I/O, no time, no randomness. Null rules: an
// operator or function with a null argument gives null, except `and`/`or` (three-valued, as in
// SQL), `is null`, `is not null`, `coalesce`, `if` (a null condition is false), `in` (as in SQL). A
// double that is NaN counts as null. Integer overflow and division by zero give null; `/` and `^`
// always give a double. Strings are UTF-8: length and substr count code points.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/table/batch.h"

namespace slipway {

namespace expression_internal {
struct Program;
struct ScratchState;
}  // namespace expression_internal

// Reusable working memory of one thread. A Scratch serves any number of expressions, one at a time.
class ExpressionScratch {
 public:
  ExpressionScratch();
  ~ExpressionScratch();
  ExpressionScratch(ExpressionScratch&&) noexcept;
  ExpressionScratch& operator=(ExpressionScratch&&) noexcept;
  expression_internal::ScratchState& state() { return *state_; }

 private:
  std::unique_ptr<expression_internal::ScratchState> state_;
};

// What is wrong with the text alone, before any table is known: syntax and limits.
Status CheckExpressionSyntax(std::string_view text);

// Immutable once compiled; thread-safe with one Scratch per thread. Copies share the program.
class Expression {
 public:
  // Errors have the position ("at column 14") and, where one is near, a suggestion. `text` is
  // limited to 64 KiB and the syntax tree to a depth of 200.
  static Result<Expression> Compile(std::string_view text, const Schema& schema);

  Type type() const;
  const std::string& text() const;
  // Indices into the schema of the columns that it reads, ascending.
  const std::vector<int>& columns() const;

  // Fills *out (Reset to type()) for the batch's rows. Cannot fail: all checks ran in Compile.
  // Batch.columns must have the schema's types. Strings in *out may point into the batch or into
  // *out itself.
  void Evaluate(const Batch& batch, ExpressionScratch* scratch, Column* out) const;

 private:
  std::shared_ptr<const expression_internal::Program> program_;
};

}  // namespace slipway
