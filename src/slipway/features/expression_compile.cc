#include "slipway/features/expression_compile.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "slipway/base/text.h"

namespace slipway::expression_internal {

namespace {

Constant NullOf(Type type) { return {type, true, 0, 0, ""}; }

// Reads row 0 of a computed operand.
Constant ReadConstant(Type type, const Operand& from) {
  Constant out = NullOf(type);
  if ((from.validity[0] & 1) == 0) return out;
  out.null = false;
  switch (type) {
    case Type::kBoolean:
      out.integer = *from.as<uint8_t>() != 0 ? 1 : 0;
      break;
    case Type::kDate:
      out.integer = *from.as<int32_t>();
      break;
    case Type::kInt64:
    case Type::kTimestamp:
      out.integer = *from.as<int64_t>();
      break;
    case Type::kDouble:
      out.real = *from.as<double>();
      break;
    case Type::kString:
      out.text = *from.as<std::string_view>();
      break;
  }
  return out;
}

Instruction FillWith(const Constant& constant, int slot) {
  Instruction fill;
  fill.kernel = FillKernel();
  fill.type = constant.type;
  fill.out = slot;
  fill.constant = constant;
  return fill;
}

// The same kernels on one row, so that a folded constant has the bits it would have at run time.
Constant Fold(Instruction instruction, const std::vector<Value>& args) {
  Program program;
  program.type = instruction.type;
  for (const Value& arg : args) {
    instruction.args.push_back(program.slots);
    program.instructions.push_back(FillWith(*arg.constant, program.slots++));
  }
  instruction.out = program.result = program.slots++;
  program.instructions.push_back(std::move(instruction));
  ScratchState state;
  Column arena(program.type);
  Batch one;
  one.rows = 1;
  return ReadConstant(program.type, RunProgram(program, one, &state, &arena));
}

}  // namespace

std::string TypeWord(const Value& value) {
  return value.type ? std::string(TypeName(*value.type)) : "null";
}

Result<Program> Compiler::Compile(const Node& root) {
  ASSIGN_OR_RETURN(Value value, Visit(root));
  if (!value.type) {
    return InvalidArgument("the expression is always null, so it has no type",
                           "write for example to_double(null)");
  }
  ASSIGN_OR_RETURN(int result, Materialise(&value));
  program_.text = text_;
  program_.type = *value.type;
  program_.result = result;
  // Columns in the schema's order.
  std::vector<int> order(schema_columns_.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    return schema_columns_[static_cast<size_t>(a)] < schema_columns_[static_cast<size_t>(b)];
  });
  std::vector<int> place(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const size_t column = static_cast<size_t>(order[i]);
    place[column] = static_cast<int>(i);
    program_.columns.push_back(schema_columns_[column]);
    program_.column_types.push_back(
        schema_.fields[static_cast<size_t>(schema_columns_[column])].type);
  }
  auto move = [&](int& operand) {
    if (operand < 0) operand = ~place[static_cast<size_t>(~operand)];
  };
  for (Instruction& instruction : program_.instructions) {
    for (int& arg : instruction.args) move(arg);
  }
  move(program_.result);
  return std::move(program_);
}

Result<Value> Compiler::Visit(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kLiteral:
      if (node.null_literal) return Value{std::nullopt, NullOf(Type::kDouble), 0};
      return Value{node.literal.type, node.literal, 0};
    case Node::Kind::kColumn:
      return Column(node);
    case Node::Kind::kCall:
      return CallFunction(node);
  }
  return Internal("expression node without a kind");
}

Result<Value> Compiler::Column(const Node& node) {
  const int index = schema_.Find(node.name);
  if (index < 0) {
    Error error = NoSuchColumn(node.name, schema_, "the data");
    error.message += " at " + Place(text_, node.position);
    return error;
  }
  auto found = std::find(schema_columns_.begin(), schema_columns_.end(), index);
  const int ordinal = static_cast<int>(found - schema_columns_.begin());
  if (found == schema_columns_.end()) schema_columns_.push_back(index);
  return Value{schema_.fields[static_cast<size_t>(index)].type, std::nullopt, ~ordinal};
}

Result<Value> Compiler::CallFunction(const Node& node) {
  const std::span<const Function> functions = Functions();
  auto function = std::find_if(functions.begin(), functions.end(),
                               [&](const Function& f) { return f.name == node.name; });
  if (function == functions.end()) {
    std::vector<std::string> names;
    for (const Function& f : functions) {
      if (f.usage.find('(') != std::string_view::npos) names.emplace_back(f.name);
    }
    std::string hint = DidYouMean(node.name, names);
    if (hint.empty()) hint = "the functions are " + QuotedList(names, names.size());
    return Fail(node.position, "there is no function '" + node.name.substr(0, 40) + "'", hint);
  }
  const int count = static_cast<int>(node.args.size());
  if (count < function->min_args || (function->max_args >= 0 && count > function->max_args)) {
    return Fail(node.position,
                "'" + node.name + "' got " + std::to_string(count) +
                    (count == 1 ? " argument" : " arguments"),
                "it is written " + std::string(function->usage));
  }
  Values args;
  for (const auto& arg : node.args) {
    ASSIGN_OR_RETURN(Value value, Visit(*arg));
    args.push_back(std::move(value));
  }
  return (this->*function->make)(node, std::move(args));
}

Result<Value> Compiler::Emit(Kernel kernel, Type type, Values args, Instruction extra,
                             std::span<const Value> keep) {
  extra.kernel = kernel;
  extra.type = type;
  if (std::all_of(args.begin(), args.end(),
                  [](const Value& v) { return v.constant.has_value(); })) {
    return Value{type, Fold(std::move(extra), args), 0};
  }
  for (Value& arg : args) {
    ASSIGN_OR_RETURN(int operand, Materialise(&arg));
    extra.args.push_back(operand);
  }
  // The result's slot is taken first: a kernel never writes over what it reads.
  ASSIGN_OR_RETURN(extra.out, TakeSlot());
  for (const Value& arg : args) {
    const bool kept = std::any_of(keep.begin(), keep.end(), [&](const Value& v) {
      return !v.constant && !arg.constant && v.operand == arg.operand;
    });
    if (!kept) Release(arg);
  }
  const int out = extra.out;
  program_.instructions.push_back(std::move(extra));
  return Value{type, std::nullopt, out};
}

Result<Value> Compiler::As(Value value, Type type) {
  if (value.type == type) return value;
  if (!value.type) return Value{type, NullOf(type), 0};
  Values args;
  args.push_back(std::move(value));
  return Emit(type == Type::kDouble ? IntToDoubleKernel() : DateToTimestampKernel(), type,
              std::move(args));
}

Status Compiler::AsAll(Values* values, Type type) {
  for (Value& value : *values) {
    ASSIGN_OR_RETURN(value, As(std::move(value), type));
  }
  return {};
}

Status Compiler::Want(const Node& node, Values* args, size_t i, Type type) {
  Value& value = (*args)[i];
  const bool fits = !value.type || value.type == type ||
                    (type == Type::kDouble && value.type == Type::kInt64) ||
                    (type == Type::kTimestamp && value.type == Type::kDate);
  if (!fits) {
    std::string hint;
    if (value.type == Type::kString && (type == Type::kDouble || type == Type::kInt64)) {
      hint = type == Type::kDouble ? "convert it with to_double(x)" : "convert it with to_int(x)";
    } else if (value.type == Type::kString && type == Type::kTimestamp) {
      hint = "convert it with parse_timestamp(x)";
    } else if (type == Type::kString) {
      hint = "convert it with to_string(x)";
    } else if (value.type == Type::kDouble && type == Type::kInt64) {
      hint = "convert it with to_int(x)";
    }
    const std::string wanted = type == Type::kDouble      ? "a number"
                               : type == Type::kTimestamp ? "a date or timestamp"
                                                          : "a " + std::string(TypeName(type));
    const std::string which = args->size() == 1 ? "" : " as argument " + std::to_string(i + 1);
    return Fail(node.args[i]->position,
                "'" + node.name + "' takes " + wanted + which + ", not " + TypeWord(value), hint);
  }
  ASSIGN_OR_RETURN(value, As(std::move(value), type));
  return {};
}

std::optional<Type> Compiler::Common(std::span<const Value> values, Type otherwise) {
  std::optional<Type> common;
  for (const Value& value : values) {
    if (!value.type || value.type == common) continue;
    auto pair = [&](Type a, Type b) {
      return (common == a && value.type == b) || (common == b && value.type == a);
    };
    if (!common) {
      common = value.type;
    } else if (pair(Type::kInt64, Type::kDouble)) {
      common = Type::kDouble;
    } else if (pair(Type::kDate, Type::kTimestamp)) {
      common = Type::kTimestamp;
    } else {
      return std::nullopt;
    }
  }
  return common ? common : otherwise;
}

Result<int> Compiler::Materialise(Value* value) {
  if (value->constant) {
    ASSIGN_OR_RETURN(value->operand, TakeSlot());
    program_.instructions.push_back(FillWith(*value->constant, value->operand));
    value->constant.reset();
  }
  return value->operand;
}

Result<int> Compiler::TakeSlot() {
  if (!free_.empty()) {
    const int slot = free_.back();
    free_.pop_back();
    return slot;
  }
  if (program_.slots == kMaxSlots) {
    return InvalidArgument("the expression needs more than 256 values at once",
                           "split it into several column steps");
  }
  return program_.slots++;
}

void Compiler::Release(const Value& value) {
  if (!value.constant && value.operand >= 0 &&
      std::find(free_.begin(), free_.end(), value.operand) == free_.end()) {
    free_.push_back(value.operand);
  }
}

Error Compiler::Fail(size_t position, std::string message, std::string hint) const {
  return InvalidArgument(std::move(message) + " at " + Place(text_, position), std::move(hint));
}

Error Compiler::WrongTypes(const Node& node, std::string_view wanted, const Values& args,
                           std::string hint) const {
  std::string types;
  for (size_t i = 0; i < args.size(); ++i) {
    if (i > 0) types += i + 1 == args.size() ? " and " : ", ";
    types += TypeWord(args[i]);
  }
  const std::string name = node.name == "unary -" ? "-" : node.name == "unary +" ? "+" : node.name;
  return Fail(node.position, "'" + name + "' takes " + std::string(wanted) + ", not " + types,
              std::move(hint));
}

Error Compiler::CannotMix(const Node& node, std::string_view action, const Values& args) const {
  // The first two that differ.
  const Value* a = nullptr;
  const Value* b = nullptr;
  for (const Value& value : args) {
    if (!value.type) continue;
    if (a == nullptr) a = &value;
    Value pair[] = {*a, value};
    if (b == nullptr && !Common(pair, Type::kDouble)) b = &value;
  }
  const std::string one = a != nullptr ? TypeWord(*a) : "null",
                    other = b != nullptr ? TypeWord(*b) : "null";
  auto has = [&](std::string_view type) { return one == type || other == type; };
  std::string hint = "make the types equal";
  if (has("string") && (has("int64") || has("double"))) {
    hint = "use to_double(x) on the text, or put the number in quotes";
  } else if (has("string") && (has("date") || has("timestamp"))) {
    hint = "write timestamp '2015-05-07 19:52:06', or use parse_timestamp(x) on the text";
  } else if (has("boolean") && has("string")) {
    hint = "write true or false without quotes, or use to_string(x)";
  } else if (has("boolean") && (has("int64") || has("double"))) {
    hint = "write true or false, or use to_int(x) on the boolean";
  }
  return Fail(node.position, std::string(action) + " " + one + " and " + other, hint);
}

}  // namespace slipway::expression_internal
