// The bit vector engine: blocks of rows through bitvector_kernel.h. Internal to score; use
// CompileEngine.
#pragma once

#include <memory>

#include "slipway/score/engine.h"

namespace slipway {

// REQUIRES: Validate(forest).ok(). kInvalidArgument when the forest does not suit it. `few_rows` is
// kept for calls of a few rows when the trees are too large for row_plan.h.
Result<std::unique_ptr<Engine>> CompileBitvectorEngine(const Forest& forest,
                                                       std::shared_ptr<const Engine> few_rows);

}  // namespace slipway
