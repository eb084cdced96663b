// What a compiled expression is: a flat list of instructions, each one kernel over a whole batch.
// Part of features/expression.h. A Program is immutable once compiled; ScratchState is confined to
// one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/table/batch.h"

namespace slipway::expression_internal {

inline constexpr int kWords = kBatchRows / 64;
// A text made by concat or replace that would be longer than this is null: memory stays bounded.
inline constexpr size_t kMaxResultBytes = 1 << 20;

// A value known at compile time: `integer` holds boolean, int64, date and timestamp.
struct Constant {
  Type type = Type::kDouble;
  bool null = true;
  int64_t integer = 0;
  double real = 0;
  std::string text;
};

// A full column that a kernel reads; `validity` is never null.
struct Operand {
  const void* data = nullptr;
  const uint64_t* validity = nullptr;
  template <typename T>
  const T* as() const {
    return static_cast<const T*>(data);
  }
};

struct Target {
  void* data = nullptr;
  uint64_t* validity = nullptr;
};

struct Call;
using Kernel = void (*)(const Call& call);

// The constants of `x in (...)`, sorted: one of the vectors by type.
struct ConstantSet {
  std::vector<int64_t> integers;
  std::vector<double> reals;
  std::vector<std::string> texts;
  bool has_null = false;
};

struct Instruction {
  Kernel kernel = nullptr;
  Type type = Type::kDouble;  // of the result
  int out = 0;                // slot
  std::vector<int> args;      // >= 0: slot; < 0: column ~arg of Program::columns
  int64_t immediate = 0;      // kernel's own: a unit, an argument's type
  Constant constant;          // kernel's own: the value to fill in, a format
  ConstantSet set;
};

// One kernel's work on the rows of one batch. A kernel writes every row's data (also under a null)
// and every validity word of the rows; texts go to `arena`.
struct Call {
  const Instruction& instruction;
  int rows;
  const Operand* slots;
  const Operand* columns;
  Target out;
  Column* arena;
  std::string* buffer;  // reused between rows

  const Operand& arg(size_t i) const {
    int at = instruction.args[i];
    return at >= 0 ? slots[at] : columns[~at];
  }
};

struct Program {
  std::string text;
  Type type = Type::kDouble;
  std::vector<int> columns;  // schema indices, ascending
  std::vector<Type> column_types;
  std::vector<Instruction> instructions;
  int slots = 0;
  int result = 0;  // as Instruction::args
};

struct Slot {
  std::unique_ptr<uint64_t[]> data;  // room for kBatchRows of any element type, zeroed when made
  std::array<uint64_t, kWords> validity{};
};

struct ScratchState {
  std::vector<Slot> slots;
  std::vector<Operand> slot_operands;
  std::vector<Operand> column_operands;
  std::vector<std::array<uint64_t, kWords>> column_validity;
  std::string buffer;
};

// Bytes of one element of a column of this type.
size_t ElementBytes(Type type);

}  // namespace slipway::expression_internal
