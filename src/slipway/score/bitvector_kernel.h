// The inner loops of the bit vector engine, one set for each instruction set. Internal to score.
#pragma once

#include <cstddef>
#include <cstdint>

#include "slipway/score/bitvector_plan.h"
#include "slipway/score/isa.h"

namespace slipway {

// codes[column * rows + row] are a tile's codes; `rows` is a multiple of row_step.
struct BitvectorKernel {
  // Rows of a register.
  int row_step = 0;
  // Where a row's sum lies.
  int64_t (*slot)(int64_t row) = nullptr;
  // Adds the exit leaves' values of trees first ... last - 1, tree i to output i % outputs.
  // sums[output * rows + slot(row)]: the running sums.
  void (*sum)(const BitvectorPlan& plan, size_t first, size_t last, const uint8_t* codes,
              int64_t rows, int outputs, double* sums) = nullptr;
  // Exit leaves of one tree, as indices into its values.
  void (*leaves)(const BitvectorPlan& plan, size_t tree, const uint8_t* codes, int64_t rows,
                 uint16_t* leaves) = nullptr;
};

// nullptr: this instruction set has none.
const BitvectorKernel* FindBitvectorKernel(Isa isa);

}  // namespace slipway
