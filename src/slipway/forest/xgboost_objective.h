// Internal to forest: XGBoost's objectives: what they make of a margin, and of the base score.
#pragma once

#include <string_view>

#include "slipway/forest/forest.h"

namespace slipway::xgboost {

// Fills transform, kind and objective; `outputs` and `base` (of base scores as the file has them,
// one per output) are there. Turns the base scores into margins.
Status ApplyObjective(std::string_view name, Forest* forest);

}  // namespace slipway::xgboost
