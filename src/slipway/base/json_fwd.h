// The name of our JSON value without the cost of its header. Key order is kept.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace slipway {
using Json = nlohmann::ordered_json;
}
