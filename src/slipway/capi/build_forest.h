// A Forest from a caller's arrays.
#pragma once

#include "slipway/capi/slipway.h"
#include "slipway/forest/forest.h"

namespace slipway {

// Checks what reading the arrays needs; Validate does the rest.
Result<Forest> ForestFromArrays(const slipway_forest& arrays);

}  // namespace slipway
