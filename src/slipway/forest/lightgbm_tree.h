// Internal to forest: one "Tree=i" block of a LightGBM text model.
#pragma once

#include "slipway/forest/forest.h"
#include "slipway/forest/lightgbm_lines.h"

namespace slipway::lightgbm {

// Reads the block's lines up to the blank line that ends it, which is consumed. The tree is not
// validated as a graph.
Result<Tree> ParseTreeBlock(Lines* lines);

}  // namespace slipway::lightgbm
