// Versions and metrics as text. Pure functions.
#pragma once

#include <string>

#include "slipway/base/json_fwd.h"

namespace slipway {

// Four to six significant digits: "2.4183", "0.91342", "-".
std::string FormatMetric(const Json& value);
// The table of `model versions`: the active one is marked with a star.
std::string VersionTable(const Json& versions);

}  // namespace slipway
