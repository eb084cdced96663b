// Internal to forest: the objective line of a LightGBM text model -> output transform and kind of
// prediction.
#pragma once

#include <string_view>

#include "slipway/forest/forest.h"

namespace slipway::lightgbm {

// `text` is what follows "objective="; sets transform, kind, sigmoid and objective. `num_class` is
// the header's.
Status ReadObjective(std::string_view text, int num_class, Forest* forest);

}  // namespace slipway::lightgbm
