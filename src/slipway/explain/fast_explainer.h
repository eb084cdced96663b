// The fast explainer: quadrature over parts of trees (parts.h). Internal to explain; use
// CompileExplainer.
#pragma once

#include <memory>

#include "slipway/explain/explain.h"
#include "slipway/score/isa.h"

namespace slipway {

// REQUIRES: Validate(forest).ok(), every tree has counts and plain leaves. Tables of a model that
// take up to `most_table_bytes` are made once; those of a larger one are made anew for each block
// of rows, a few trees' at a time.
std::unique_ptr<Explainer> MakeFastExplainer(const Forest& forest, Isa isa,
                                             size_t most_table_bytes = size_t{64} << 20);

}  // namespace slipway
