// What operators mean for each type: the part of the compiler behind + - * / % ^, comparisons, in,
// between, and, or, not, is null, if, coalesce, min, max.
#include <algorithm>
#include <utility>

#include "slipway/features/expression_compile.h"

namespace slipway::expression_internal {

namespace {

bool IsNumber(const Value& value) {
  return !value.type || value.type == Type::kInt64 || value.type == Type::kDouble;
}

bool AnyIs(const std::vector<Value>& values, Type type) {
  return std::any_of(values.begin(), values.end(), [&](const Value& v) { return v.type == type; });
}

void AddTo(ConstantSet* set, const Constant& value) {
  if (value.null) {
    set->has_null = true;
  } else if (value.type == Type::kDouble) {
    set->reals.push_back(value.real);
  } else if (value.type == Type::kString) {
    set->texts.push_back(value.text);
  } else {
    set->integers.push_back(value.integer);
  }
}

}  // namespace

Result<Value> Compiler::Arithmetic(const Node& node, Values args) {
  const char op = node.name.front();
  if (op == '-' && args[0].type == Type::kDate && args[1].type == Type::kDate) {
    return Emit(DaysBetweenKernel(), Type::kInt64, std::move(args));
  }
  if (!IsNumber(args[0]) || !IsNumber(args[1])) {
    std::string hint;
    if (AnyIs(args, Type::kDate) || AnyIs(args, Type::kTimestamp)) {
      hint = "use date_diff('day', a, b) for the time between two";
    } else if (AnyIs(args, Type::kString)) {
      hint = op == '+' ? "join texts with concat(a, b); convert them with to_double(x)"
                       : "convert with to_double(x)";
    } else {
      hint = "convert with to_int(x)";
    }
    return WrongTypes(node, "numbers", args, hint);
  }
  if (op == '/' || op == '^') {
    RETURN_IF_ERROR(AsAll(&args, Type::kDouble));
    return Emit(op == '/' ? DivideKernel() : PowerKernel(), Type::kDouble, std::move(args));
  }
  const Type type = *Common(args, Type::kDouble);
  RETURN_IF_ERROR(AsAll(&args, type));
  return Emit(ArithmeticKernel(op, type), type, std::move(args));
}

Result<Value> Compiler::Sign(const Node& node, Values args) {
  if (!IsNumber(args[0])) return WrongTypes(node, "a number", args);
  RETURN_IF_ERROR(AsAll(&args, args[0].type.value_or(Type::kDouble)));
  if (node.name == "unary +") return args[0];
  const Type type = *args[0].type;
  return Emit(NegateKernel(type), type, std::move(args));
}

Result<Value> Compiler::Compare(const Node& node, Values args) {
  const std::optional<Type> type = Common(args, Type::kString);
  if (!type) return CannotMix(node, "'" + node.name + "' cannot compare", args);
  RETURN_IF_ERROR(AsAll(&args, *type));
  return Emit(CompareKernel(node.name, *type), Type::kBoolean, std::move(args));
}

Result<Value> Compiler::Between(const Node& node, Values args) {
  const std::optional<Type> type = Common(args, Type::kString);
  if (!type) return CannotMix(node, "'between' cannot compare", args);
  RETURN_IF_ERROR(AsAll(&args, *type));
  // Once in a slot, the value serves both comparisons.
  if (!args[1].constant || !args[2].constant) {
    RETURN_IF_ERROR(Materialise(&args[0]));
  }
  ASSIGN_OR_RETURN(Value above, Emit(CompareKernel(">=", *type), Type::kBoolean, {args[0], args[1]},
                                     {}, {&args[0], 1}));
  ASSIGN_OR_RETURN(Value below,
                   Emit(CompareKernel("<=", *type), Type::kBoolean, {args[0], args[2]}));
  return Emit(AndKernel(), Type::kBoolean, {above, below});
}

Result<Value> Compiler::In(const Node& node, Values args) {
  const std::optional<Type> type = Common(args, Type::kString);
  if (!type) return CannotMix(node, "'in' cannot compare", args);
  RETURN_IF_ERROR(AsAll(&args, *type));
  Instruction list;
  Values computed;
  for (size_t i = 1; i < args.size(); ++i) {
    if (args[i].constant) {
      AddTo(&list.set, *args[i].constant);
    } else {
      computed.push_back(args[i]);
    }
  }
  std::sort(list.set.integers.begin(), list.set.integers.end());
  std::sort(list.set.reals.begin(), list.set.reals.end());
  std::sort(list.set.texts.begin(), list.set.texts.end());
  Values all;
  all.push_back(args[0]);
  if (!computed.empty()) {
    RETURN_IF_ERROR(Materialise(&all[0]));
  }
  const Value subject = all[0];
  ASSIGN_OR_RETURN(Value found, Emit(InSetKernel(*type), Type::kBoolean, {subject}, std::move(list),
                                     {&subject, computed.empty() ? size_t{0} : size_t{1}}));
  for (size_t i = 0; i < computed.size(); ++i) {
    const size_t kept = i + 1 < computed.size() ? 1 : 0;
    ASSIGN_OR_RETURN(Value equal, Emit(CompareKernel("=", *type), Type::kBoolean,
                                       {subject, computed[i]}, {}, {&subject, kept}));
    ASSIGN_OR_RETURN(found, Emit(OrKernel(), Type::kBoolean, {found, equal}));
  }
  return found;
}

Result<Value> Compiler::Logic(const Node& node, Values args) {
  for (const Value& arg : args) {
    if (arg.type && arg.type != Type::kBoolean) {
      return WrongTypes(node, args.size() == 1 ? "a condition" : "conditions", args,
                        "compare the value: x != 0, x = 'yes', x is not null");
    }
  }
  RETURN_IF_ERROR(AsAll(&args, Type::kBoolean));
  const Kernel kernel = node.name == "and"  ? AndKernel()
                        : node.name == "or" ? OrKernel()
                                            : NotKernel();
  return Emit(kernel, Type::kBoolean, std::move(args));
}

Result<Value> Compiler::IsNull(const Node& node, Values args) {
  RETURN_IF_ERROR(AsAll(&args, args[0].type.value_or(Type::kDouble)));
  return Emit(IsNullKernel(node.name == "is not null"), Type::kBoolean, std::move(args));
}

Result<Value> Compiler::If(const Node& node, Values args) {
  if (args[0].type && args[0].type != Type::kBoolean) {
    return Fail(node.args[0]->position, "'if' takes a condition first, not " + TypeWord(args[0]),
                "compare the value: if(x > 0, a, b)");
  }
  const std::span<const Value> branches(args.data() + 1, 2);
  const std::optional<Type> type = Common(branches, Type::kDouble);
  if (!type) return CannotMix(node, "'if' cannot choose between", {args[1], args[2]});
  if (!args[1].type && !args[2].type) {
    return Fail(node.position, "both branches of 'if' are null",
                "give one of them a type: to_double(null)");
  }
  ASSIGN_OR_RETURN(args[0], As(args[0], Type::kBoolean));
  ASSIGN_OR_RETURN(args[1], As(args[1], *type));
  ASSIGN_OR_RETURN(args[2], As(args[2], *type));
  return Emit(IfKernel(*type), *type, std::move(args));
}

Result<Value> Compiler::Coalesce(const Node& node, Values args) {
  std::optional<Type> type = Common(args, Type::kDouble);
  if (!type) return CannotMix(node, "'coalesce' cannot choose between", args);
  if (std::none_of(args.begin(), args.end(), [](const Value& v) { return v.type.has_value(); }))
    return args[0];
  RETURN_IF_ERROR(AsAll(&args, *type));
  Value chosen = args[0];
  for (size_t i = 1; i < args.size(); ++i) {
    ASSIGN_OR_RETURN(chosen, Emit(CoalesceKernel(*type), *type, {chosen, args[i]}));
  }
  return chosen;
}

Result<Value> Compiler::Least(const Node& node, Values args) {
  const std::optional<Type> type = Common(args, Type::kDouble);
  if (!type) return CannotMix(node, "'" + node.name + "' cannot compare", args);
  if (type == Type::kBoolean) return WrongTypes(node, "numbers, texts, dates or timestamps", args);
  RETURN_IF_ERROR(AsAll(&args, *type));
  Value chosen = args[0];
  for (size_t i = 1; i < args.size(); ++i) {
    ASSIGN_OR_RETURN(chosen,
                     Emit(LeastKernel(node.name == "max", *type), *type, {chosen, args[i]}));
  }
  return chosen;
}

}  // namespace slipway::expression_internal
