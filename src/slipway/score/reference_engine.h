// The reference engine: the specification of what a forest answers, written to be read. Other
// engines must equal it bit for bit. Internal to score; use CompileEngine.
#pragma once

#include <memory>

#include "slipway/score/engine.h"

namespace slipway {

// REQUIRES: Validate(forest).ok().
Result<std::unique_ptr<Engine>> CompileReferenceEngine(const Forest& forest);

}  // namespace slipway
