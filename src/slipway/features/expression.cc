#include "slipway/features/expression.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "slipway/base/text.h"
#include "slipway/features/expression_compile.h"
#include "slipway/features/expression_parse.h"
#include "slipway/features/expression_program.h"

namespace slipway {

namespace expression_internal {

namespace {

constexpr std::array<uint64_t, kWords> kAllValid = [] {
  std::array<uint64_t, kWords> words{};
  words.fill(~uint64_t{0});
  return words;
}();
constexpr std::array<uint64_t, kWords> kNoneValid{};
constexpr std::array<std::string_view, kBatchRows> kNothing{};  // zero bytes for any element type

void Warm(const Program& program, ScratchState* state) {
  while (state->slots.size() < static_cast<size_t>(program.slots)) {
    state->slots.push_back({std::make_unique<uint64_t[]>(kBatchRows * 2), {}});
  }
  if (state->slot_operands.size() < state->slots.size()) {
    state->slot_operands.clear();
    for (const Slot& slot : state->slots)
      state->slot_operands.push_back({slot.data.get(), slot.validity.data()});
  }
  if (state->column_operands.size() < program.columns.size()) {
    state->column_operands.resize(program.columns.size());
    state->column_validity.resize(program.columns.size());
  }
}

// Where validity is silent all rows are present; a NaN is a null.
Operand Load(const ColumnView& column, Type type, int rows, uint64_t* validity) {
  if (column.data == nullptr) return {kNothing.data(), kNoneValid.data()};
  const uint64_t* present = column.validity == nullptr ? kAllValid.data() : column.validity;
  if (type != Type::kDouble) return {column.data, present};
  const double* values = column.doubles();
  for (int base = 0; base < rows; base += 64) {
    const int n = std::min(64, rows - base);
    uint64_t numbers = 0;
    for (int j = 0; j < n; ++j)
      numbers |= static_cast<uint64_t>(values[base + j] == values[base + j]) << j;
    validity[base >> 6] = present[base >> 6] & numbers;
  }
  return {column.data, validity};
}

}  // namespace

size_t ElementBytes(Type type) {
  switch (type) {
    case Type::kBoolean:
      return 1;
    case Type::kDate:
      return 4;
    case Type::kInt64:
    case Type::kDouble:
    case Type::kTimestamp:
      return 8;
    case Type::kString:
      return sizeof(std::string_view);
  }
  return 0;
}

Operand RunProgram(const Program& program, const Batch& batch, ScratchState* state, Column* arena) {
  Warm(program, state);
  for (size_t i = 0; i < program.columns.size(); ++i) {
    state->column_operands[i] =
        Load(batch.columns[static_cast<size_t>(program.columns[i])], program.column_types[i],
             batch.rows, state->column_validity[i].data());
  }
  for (const Instruction& instruction : program.instructions) {
    Slot& slot = state->slots[static_cast<size_t>(instruction.out)];
    instruction.kernel({instruction,
                        batch.rows,
                        state->slot_operands.data(),
                        state->column_operands.data(),
                        {slot.data.get(), slot.validity.data()},
                        arena,
                        &state->buffer});
  }
  return program.result >= 0 ? state->slot_operands[static_cast<size_t>(program.result)]
                             : state->column_operands[static_cast<size_t>(~program.result)];
}

}  // namespace expression_internal

using expression_internal::kWords;

ExpressionScratch::ExpressionScratch()
    : state_(std::make_unique<expression_internal::ScratchState>()) {}
ExpressionScratch::~ExpressionScratch() = default;
ExpressionScratch::ExpressionScratch(ExpressionScratch&&) noexcept = default;
ExpressionScratch& ExpressionScratch::operator=(ExpressionScratch&&) noexcept = default;

Status CheckExpressionSyntax(std::string_view text) {
  const auto tree = expression_internal::ParseExpression(text);
  if (!tree.ok()) return tree.error();
  return {};
}

Result<Expression> Expression::Compile(std::string_view text, const Schema& schema) {
  ASSIGN_OR_RETURN(std::unique_ptr<expression_internal::Node> root,
                   expression_internal::ParseExpression(text));
  ASSIGN_OR_RETURN(expression_internal::Program program,
                   expression_internal::Compiler(text, schema).Compile(*root));
  Expression expression;
  expression.program_ = std::make_shared<const expression_internal::Program>(std::move(program));
  return expression;
}

Type Expression::type() const { return program_->type; }
const std::string& Expression::text() const { return program_->text; }
const std::vector<int>& Expression::columns() const { return program_->columns; }

void Expression::Evaluate(const Batch& batch, ExpressionScratch* scratch, Column* out) const {
  const expression_internal::Program& program = *program_;
  // Every row is written below: storage that is there need not be cleared, which for few rows would
  // cost more than the rest.
  if (out->type() == program.type && out->View().data != nullptr) {
    out->Forget();
  } else {
    out->Reset(program.type);
  }
  const expression_internal::Operand result =
      expression_internal::RunProgram(program, batch, &scratch->state(), out);
  if (batch.rows == 0) return;
  const size_t rows = static_cast<size_t>(batch.rows);
  const size_t words = (rows + 63) / 64;
  std::memcpy(out->validity(), result.validity, words * sizeof(uint64_t));
  if (rows % 64 != 0) out->validity()[words - 1] &= (uint64_t{1} << (rows % 64)) - 1;
  if (program.type == Type::kString) {
    // A column may hold anything under its nulls.
    for (int row = 0; row < batch.rows; ++row) {
      out->strings()[row] =
          out->valid(row) ? result.as<std::string_view>()[row] : std::string_view();
    }
  } else {
    std::memcpy(out->booleans(), result.data,
                rows * expression_internal::ElementBytes(program.type));
  }
}

}  // namespace slipway
