// The bit vector engine: blocks of rows through bitvector_kernel.h. Internal to score; use
// CompileEngine.
#pragma once

#include <memory>

#include "slipway/score/engine.h"

namespace slipway {

// REQUIRES: Validate(forest).ok(). kInvalidArgument when the forest does not suit it. `walking`,
// the reference or nullptr, is kept for calls that it takes faster (cost.h) when the trees are too
// large for row_plan.h, or the forest is small.
Result<std::unique_ptr<Engine>> CompileBitvectorEngine(const Forest& forest,
                                                       std::shared_ptr<const Engine> walking);

}  // namespace slipway
