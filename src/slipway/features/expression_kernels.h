// The kernels of the expression language, chosen by operation and type at compile time.
// Part of features/expression.h. Pure functions of their operands; thread-safe.
#pragma once

#include <optional>
#include <string_view>

#include "slipway/features/expression_program.h"

namespace slipway::expression_internal {

// Numbers. Both arguments have `type`, int64 or double.
Kernel ArithmeticKernel(char op, Type type);  // + - * %
Kernel DivideKernel();                        // double
Kernel PowerKernel();                         // double
Kernel NegateKernel(Type type);
Kernel AbsKernel(Type type);
// sqrt exp ln log10 floor ceil round, of one double; nullptr for another name.
Kernel MathKernel(std::string_view name);
Kernel RoundDigitsKernel(Type type);  // (x, int64 digits)
Kernel HaversineKernel();

// Any types.
Kernel FillKernel();                                   // instruction.constant
Kernel CompareKernel(std::string_view op, Type type);  // = != < <= > >=
Kernel LeastKernel(bool greatest, Type type);          // two arguments, nulls ignored
Kernel AndKernel();
Kernel OrKernel();
Kernel NotKernel();
Kernel IsNullKernel(bool negated);
Kernel InSetKernel(Type type);  // instruction.set
Kernel IfKernel(Type type);
Kernel CoalesceKernel(Type type);

// Conversions.
Kernel IntToDoubleKernel();
Kernel BooleanToIntKernel();
Kernel DoubleToIntKernel();  // towards zero; null when out of range
Kernel TextToDoubleKernel();
Kernel TextToIntKernel();
Kernel ToTextKernel();  // immediate: the argument's Type
Kernel DateToTimestampKernel();

// Texts.
Kernel TextKernel(std::string_view name);  // lower upper trim, of one text
Kernel LengthKernel();
Kernel TextTestKernel(std::string_view name);  // contains starts_with ends_with
Kernel SubstrKernel();                         // (text, int64 start[, int64 length])
Kernel ConcatKernel();                         // any number of texts
Kernel ReplaceKernel();                        // (text, what, by)

// Dates and timestamps.
Kernel TimePartKernel(
    std::string_view name);  // year month day hour minute second weekday, of a timestamp
Kernel DaysBetweenKernel();  // date - date
// date_diff of two timestamps; nullopt for an unknown unit.
std::optional<Kernel> DateDiffKernel(std::string_view unit);
Kernel ParseTimestampKernel();        // the cell grammar of table/cell.h
Kernel ParseTimestampFormatKernel();  // instruction.constant.text
// What is wrong with a format, or "".
std::string TimestampFormatProblem(std::string_view format);

}  // namespace slipway::expression_internal
