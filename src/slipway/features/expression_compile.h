// From a syntax tree to a typed Program. Part of features/expression.h. Confined to one thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/features/expression_kernels.h"
#include "slipway/features/expression_parse.h"
#include "slipway/table/schema.h"

namespace slipway::expression_internal {

// What a subtree has become: a constant, or a column or slot that holds it. No type: the literal
// null.
struct Value {
  std::optional<Type> type;
  std::optional<Constant> constant;  // the value itself, not yet in a slot
  int operand = 0;                   // as Instruction::args, when not a constant
};

class Compiler {
 public:
  Compiler(std::string_view text, const Schema& schema) : text_(text), schema_(schema) {}
  Result<Program> Compile(const Node& root);

  // For the tables of operators and functions.
  using Values = std::vector<Value>;
  struct Function {
    std::string_view name;
    int min_args;
    int max_args;  // -1: any number
    std::string_view usage;
    Result<Value> (Compiler::*make)(const Node& node, Values args);
  };

 private:
  static constexpr int kMaxSlots = 256;

  Result<Value> Visit(const Node& node);
  Result<Value> Column(const Node& node);
  Result<Value> CallFunction(const Node& node);
  static std::span<const Function> Functions();

  // Operators and functions, in expression_operators.cc and expression_functions.cc.
  Result<Value> Arithmetic(const Node& node, Values args);
  Result<Value> Sign(const Node& node, Values args);
  Result<Value> Compare(const Node& node, Values args);
  Result<Value> Between(const Node& node, Values args);
  Result<Value> In(const Node& node, Values args);
  Result<Value> Logic(const Node& node, Values args);
  Result<Value> IsNull(const Node& node, Values args);
  Result<Value> If(const Node& node, Values args);
  Result<Value> Coalesce(const Node& node, Values args);
  Result<Value> Math(const Node& node, Values args);
  Result<Value> Round(const Node& node, Values args);
  Result<Value> Least(const Node& node, Values args);
  Result<Value> Text(const Node& node, Values args);
  Result<Value> TextTest(const Node& node, Values args);
  Result<Value> Substr(const Node& node, Values args);
  Result<Value> Concat(const Node& node, Values args);
  Result<Value> TimePart(const Node& node, Values args);
  Result<Value> DateDiff(const Node& node, Values args);
  Result<Value> ParseTimestamp(const Node& node, Values args);
  Result<Value> Haversine(const Node& node, Values args);
  Result<Value> ToDouble(const Node& node, Values args);
  Result<Value> ToInt(const Node& node, Values args);
  Result<Value> ToString(const Node& node, Values args);

  // Emits kernel(args) and frees the args' slots, except those of `keep`. All constant: computed
  // now.
  Result<Value> Emit(Kernel kernel, Type type, Values args, Instruction extra = {},
                     std::span<const Value> keep = {});
  // `value` as `type`: null becomes that type's null, int64 a double, date a timestamp.
  // REQUIRES: the types allow it.
  Result<Value> As(Value value, Type type);
  Status AsAll(Values* values, Type type);
  // Checks one argument's type, converting as As does.
  Status Want(const Node& node, Values* args, size_t i, Type type);
  // The one type that all values can have; nullopt for no such type. All null: `otherwise`.
  static std::optional<Type> Common(std::span<const Value> values, Type otherwise);

  Result<int> Materialise(Value* value);
  Result<int> TakeSlot();
  void Release(const Value& value);

  Error Fail(size_t position, std::string message, std::string hint = "") const;
  Error WrongTypes(const Node& node, std::string_view wanted, const Values& args,
                   std::string hint = "") const;
  Error CannotMix(const Node& node, std::string_view action, const Values& args) const;

  std::string_view text_;
  const Schema& schema_;
  Program program_;
  std::vector<int> schema_columns_;  // of program_'s columns, in order of first use
  std::vector<int> free_;
};

// "int64", "null", ...
std::string TypeWord(const Value& value);
// Runs the kernels over `rows` rows; the result is operand program.result.
Operand RunProgram(const Program& program, const Batch& batch, ScratchState* state,
                   slipway::Column* arena);

}  // namespace slipway::expression_internal
