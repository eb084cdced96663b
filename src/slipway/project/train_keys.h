// The keys of a train recipe beyond input and output, and the rules between them. Immutable;
// thread-safe.
#pragma once

#include <string>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/project/shape.h"

namespace slipway {

const std::vector<Key>& TrainKeys();
void CheckTrain(const Json& recipe, const std::string& pointer, Problems* problems);

}  // namespace slipway
