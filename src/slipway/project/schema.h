// The YAML as JSON Schema 2020-12, for editors and `slipway schema project`. Made from the key
// tables that validation uses.
#pragma once

#include "slipway/base/json_fwd.h"

namespace slipway {

Json ProjectJsonSchema();

}  // namespace slipway
