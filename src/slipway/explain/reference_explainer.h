// The reference explainer: the textbook recursion, row by row and tree by tree, written to be read.
// What the fast explainer is tested against. Internal to explain; use CompileExplainer.
#pragma once

#include <memory>

#include "slipway/explain/explain.h"

namespace slipway {

// REQUIRES: Validate(forest).ok(), every tree has counts and plain leaves.
std::unique_ptr<Explainer> MakeReferenceExplainer(const Forest& forest);

}  // namespace slipway
