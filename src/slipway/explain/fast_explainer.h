// The fast explainer: quadrature over parts of trees (parts.h). Internal to explain; use
// CompileExplainer.
#pragma once

#include <memory>

#include "slipway/explain/explain.h"
#include "slipway/score/isa.h"

namespace slipway {

// REQUIRES: Validate(forest).ok(), every tree has counts and plain leaves.
std::unique_ptr<Explainer> MakeFastExplainer(const Forest& forest, Isa isa);

}  // namespace slipway
