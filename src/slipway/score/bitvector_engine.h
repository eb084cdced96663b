// The bit vector engine: blocks of rows through bitvector_kernel.h. Internal to score; use
// CompileEngine.
#pragma once

#include <memory>

#include "slipway/score/engine.h"

namespace slipway {

// REQUIRES: Validate(forest).ok(). kInvalidArgument when the forest does not suit it.
Result<std::unique_ptr<Engine>> CompileBitvectorEngine(const Forest& forest);

}  // namespace slipway
