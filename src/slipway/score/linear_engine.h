// Linear models (XGBoost's gblinear). Internal to score; use CompileEngine.
#pragma once

#include <memory>

#include "slipway/score/engine.h"

namespace slipway {

// REQUIRES: Validate(forest).ok() and forest.linear_model has weights.
std::unique_ptr<Engine> CompileLinearEngine(const Forest& forest);

}  // namespace slipway
