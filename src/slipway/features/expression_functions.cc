// The table of operators and functions, and the functions' type rules.
#include <iterator>
#include <utility>

#include "slipway/base/text.h"
#include "slipway/features/expression_compile.h"

namespace slipway::expression_internal {

// Usages without "(" are operators: the grammar has counted their arguments already.
std::span<const Compiler::Function> Compiler::Functions() {
  static constexpr Function kFunctions[] = {
      {"+", 2, 2, "a + b", &Compiler::Arithmetic},
      {"-", 2, 2, "a - b", &Compiler::Arithmetic},
      {"*", 2, 2, "a * b", &Compiler::Arithmetic},
      {"/", 2, 2, "a / b", &Compiler::Arithmetic},
      {"%", 2, 2, "a % b", &Compiler::Arithmetic},
      {"^", 2, 2, "a ^ b", &Compiler::Arithmetic},
      {"unary -", 1, 1, "-a", &Compiler::Sign},
      {"unary +", 1, 1, "+a", &Compiler::Sign},
      {"=", 2, 2, "a = b", &Compiler::Compare},
      {"!=", 2, 2, "a != b", &Compiler::Compare},
      {"<", 2, 2, "a < b", &Compiler::Compare},
      {"<=", 2, 2, "a <= b", &Compiler::Compare},
      {">", 2, 2, "a > b", &Compiler::Compare},
      {">=", 2, 2, "a >= b", &Compiler::Compare},
      {"between", 3, 3, "x between a and b", &Compiler::Between},
      {"in", 2, -1, "x in list", &Compiler::In},
      {"and", 2, 2, "a and b", &Compiler::Logic},
      {"or", 2, 2, "a or b", &Compiler::Logic},
      {"not", 1, 1, "not a", &Compiler::Logic},
      {"is null", 1, 1, "x is null", &Compiler::IsNull},
      {"is not null", 1, 1, "x is not null", &Compiler::IsNull},
      {"if", 3, 3, "if(condition, a, b)", &Compiler::If},
      {"coalesce", 1, -1, "coalesce(a, b, ...)", &Compiler::Coalesce},
      {"abs", 1, 1, "abs(x)", &Compiler::Math},
      {"sqrt", 1, 1, "sqrt(x)", &Compiler::Math},
      {"exp", 1, 1, "exp(x)", &Compiler::Math},
      {"ln", 1, 1, "ln(x)", &Compiler::Math},
      {"log10", 1, 1, "log10(x)", &Compiler::Math},
      {"floor", 1, 1, "floor(x)", &Compiler::Math},
      {"ceil", 1, 1, "ceil(x)", &Compiler::Math},
      {"round", 1, 2, "round(x) or round(x, digits)", &Compiler::Round},
      {"min", 1, -1, "min(a, b, ...)", &Compiler::Least},
      {"max", 1, -1, "max(a, b, ...)", &Compiler::Least},
      {"lower", 1, 1, "lower(text)", &Compiler::Text},
      {"upper", 1, 1, "upper(text)", &Compiler::Text},
      {"trim", 1, 1, "trim(text)", &Compiler::Text},
      {"length", 1, 1, "length(text)", &Compiler::Text},
      {"substr", 2, 3, "substr(text, start) or substr(text, start, length)", &Compiler::Substr},
      {"concat", 1, -1, "concat(a, b, ...)", &Compiler::Concat},
      {"contains", 2, 2, "contains(text, part)", &Compiler::TextTest},
      {"starts_with", 2, 2, "starts_with(text, part)", &Compiler::TextTest},
      {"ends_with", 2, 2, "ends_with(text, part)", &Compiler::TextTest},
      {"replace", 3, 3, "replace(text, what, by)", &Compiler::Text},
      {"year", 1, 1, "year(t)", &Compiler::TimePart},
      {"month", 1, 1, "month(t)", &Compiler::TimePart},
      {"day", 1, 1, "day(t)", &Compiler::TimePart},
      {"hour", 1, 1, "hour(t)", &Compiler::TimePart},
      {"minute", 1, 1, "minute(t)", &Compiler::TimePart},
      {"second", 1, 1, "second(t)", &Compiler::TimePart},
      {"weekday", 1, 1, "weekday(t)", &Compiler::TimePart},
      {"date_diff", 3, 3, "date_diff('unit', from, to)", &Compiler::DateDiff},
      {"parse_timestamp", 1, 2, "parse_timestamp(text) or parse_timestamp(text, 'format')",
       &Compiler::ParseTimestamp},
      {"haversine_km", 4, 4, "haversine_km(lat1, lon1, lat2, lon2)", &Compiler::Haversine},
      {"to_double", 1, 1, "to_double(x)", &Compiler::ToDouble},
      {"to_int", 1, 1, "to_int(x)", &Compiler::ToInt},
      {"to_string", 1, 1, "to_string(x)", &Compiler::ToString},
  };
  return kFunctions;
}

Result<Value> Compiler::Math(const Node& node, Values args) {
  const bool whole = args[0].type == Type::kInt64;
  if (whole && (node.name == "floor" || node.name == "ceil")) return args[0];
  if (whole && node.name == "abs")
    return Emit(AbsKernel(Type::kInt64), Type::kInt64, std::move(args));
  RETURN_IF_ERROR(Want(node, &args, 0, Type::kDouble));
  const Kernel kernel = node.name == "abs" ? AbsKernel(Type::kDouble) : MathKernel(node.name);
  return Emit(kernel, Type::kDouble, std::move(args));
}

Result<Value> Compiler::Round(const Node& node, Values args) {
  const bool whole = args[0].type == Type::kInt64;
  if (!whole) {
    RETURN_IF_ERROR(Want(node, &args, 0, Type::kDouble));
  }
  if (args.size() == 1) {
    if (whole) return args[0];
    return Emit(MathKernel("round"), Type::kDouble, std::move(args));
  }
  RETURN_IF_ERROR(Want(node, &args, 1, Type::kInt64));
  const Type type = *args[0].type;
  return Emit(RoundDigitsKernel(type), type, std::move(args));
}

Result<Value> Compiler::Text(const Node& node, Values args) {
  for (size_t i = 0; i < args.size(); ++i) {
    RETURN_IF_ERROR(Want(node, &args, i, Type::kString));
  }
  if (node.name == "length") return Emit(LengthKernel(), Type::kInt64, std::move(args));
  if (node.name == "replace") return Emit(ReplaceKernel(), Type::kString, std::move(args));
  return Emit(TextKernel(node.name), Type::kString, std::move(args));
}

Result<Value> Compiler::TextTest(const Node& node, Values args) {
  RETURN_IF_ERROR(Want(node, &args, 0, Type::kString));
  RETURN_IF_ERROR(Want(node, &args, 1, Type::kString));
  return Emit(TextTestKernel(node.name), Type::kBoolean, std::move(args));
}

Result<Value> Compiler::Substr(const Node& node, Values args) {
  RETURN_IF_ERROR(Want(node, &args, 0, Type::kString));
  for (size_t i = 1; i < args.size(); ++i) {
    RETURN_IF_ERROR(Want(node, &args, i, Type::kInt64));
  }
  return Emit(SubstrKernel(), Type::kString, std::move(args));
}

Result<Value> Compiler::Concat(const Node& node, Values args) {
  for (Value& arg : args) {
    if (arg.type == Type::kString) continue;
    Values one;
    one.push_back(std::move(arg));
    ASSIGN_OR_RETURN(arg, ToString(node, std::move(one)));
  }
  return Emit(ConcatKernel(), Type::kString, std::move(args));
}

Result<Value> Compiler::TimePart(const Node& node, Values args) {
  RETURN_IF_ERROR(Want(node, &args, 0, Type::kTimestamp));
  return Emit(TimePartKernel(node.name), Type::kInt64, std::move(args));
}

Result<Value> Compiler::DateDiff(const Node& node, Values args) {
  static const std::vector<std::string> kUnits = {"second", "minute", "hour", "day",
                                                  "week",   "month",  "year"};
  const size_t at = node.args[0]->position;
  if (args[0].type != Type::kString || !args[0].constant || args[0].constant->null) {
    return Fail(at, "the unit of 'date_diff' must be a text in quotes",
                "the units are " + QuotedList(kUnits));
  }
  const std::string& unit = args[0].constant->text;
  const std::optional<Kernel> kernel = DateDiffKernel(ToLower(unit));
  if (!kernel) {
    std::string hint = DidYouMean(ToLower(unit), kUnits);
    if (hint.empty()) hint = "the units are " + QuotedList(kUnits);
    return Fail(at, "'date_diff' has no unit '" + unit.substr(0, 40) + "'", hint);
  }
  RETURN_IF_ERROR(Want(node, &args, 1, Type::kTimestamp));
  RETURN_IF_ERROR(Want(node, &args, 2, Type::kTimestamp));
  return Emit(*kernel, Type::kInt64, {args[1], args[2]});
}

Result<Value> Compiler::ParseTimestamp(const Node& node, Values args) {
  if (args[0].type == Type::kTimestamp || args[0].type == Type::kDate) {
    return Fail(node.args[0]->position, "'parse_timestamp' takes a text, not " + TypeWord(args[0]),
                "it is a " + TypeWord(args[0]) + " already: use it as it is");
  }
  RETURN_IF_ERROR(Want(node, &args, 0, Type::kString));
  if (args.size() == 1) return Emit(ParseTimestampKernel(), Type::kTimestamp, std::move(args));
  const size_t at = node.args[1]->position;
  if (args[1].type != Type::kString || !args[1].constant || args[1].constant->null) {
    return Fail(at, "the format of 'parse_timestamp' must be a text in quotes",
                "for example '%d/%m/%Y %H:%M'");
  }
  const std::string problem = TimestampFormatProblem(args[1].constant->text);
  if (!problem.empty()) return Fail(at, problem, "it can have %Y %m %d %H %M %S %f and %%");
  Instruction format;
  format.constant = *args[1].constant;
  return Emit(ParseTimestampFormatKernel(), Type::kTimestamp, {args[0]}, std::move(format));
}

Result<Value> Compiler::Haversine(const Node& node, Values args) {
  for (size_t i = 0; i < args.size(); ++i) {
    RETURN_IF_ERROR(Want(node, &args, i, Type::kDouble));
  }
  return Emit(HaversineKernel(), Type::kDouble, std::move(args));
}

Result<Value> Compiler::ToDouble(const Node& node, Values args) {
  if (args[0].type == Type::kString)
    return Emit(TextToDoubleKernel(), Type::kDouble, std::move(args));
  if (args[0].type == Type::kBoolean) {
    ASSIGN_OR_RETURN(args[0], Emit(BooleanToIntKernel(), Type::kInt64, {args[0]}));
  }
  if (args[0].type == Type::kDate || args[0].type == Type::kTimestamp) {
    return WrongTypes(node, "a number, text or boolean", args,
                      "use date_diff('second', a, b), year(x), ...");
  }
  return As(args[0], Type::kDouble);
}

Result<Value> Compiler::ToInt(const Node& node, Values args) {
  if (!args[0].type) return As(args[0], Type::kInt64);
  switch (*args[0].type) {
    case Type::kInt64:
      return args[0];
    case Type::kDouble:
      return Emit(DoubleToIntKernel(), Type::kInt64, std::move(args));
    case Type::kBoolean:
      return Emit(BooleanToIntKernel(), Type::kInt64, std::move(args));
    case Type::kString:
      return Emit(TextToIntKernel(), Type::kInt64, std::move(args));
    case Type::kDate:
    case Type::kTimestamp:
      break;
  }
  return WrongTypes(node, "a number, text or boolean", args,
                    "use date_diff('second', a, b), year(x), ...");
}

Result<Value> Compiler::ToString(const Node& /*node*/, Values args) {
  if (!args[0].type) return As(args[0], Type::kString);
  if (args[0].type == Type::kString) return args[0];
  Instruction from;
  from.immediate = static_cast<int64_t>(*args[0].type);
  return Emit(ToTextKernel(), Type::kString, std::move(args), std::move(from));
}

}  // namespace slipway::expression_internal
