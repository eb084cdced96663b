// One row through all trees. Internal to score.
#pragma once

#include <cstdint>

#include "slipway/score/isa.h"
#include "slipway/score/row_plan.h"

namespace slipway {

struct RowKernel {
  int lanes = 0;
  // codes: the row's, plan.columns of them, readable up to the next multiple of 16. planes:
  // nullptr, or plan.plane_bytes bytes that the planes start from. Adds to sums[output].
  void (*sum)(const RowPlan& plan, const uint8_t* codes, const uint8_t* planes,
              double* sums) = nullptr;
};

// nullptr: this instruction set has none.
const RowKernel* FindRowKernel(Isa isa);

}  // namespace slipway
