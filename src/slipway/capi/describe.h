// What a model is, as JSON for callers.
#pragma once

#include <string>

#include "slipway/bundle/model.h"

namespace slipway {

std::string Describe(const Model& model);

}  // namespace slipway
