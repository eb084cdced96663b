// A request's body by a key table (project/shape.h): one table checks it and describes it.
#pragma once

#include "slipway/http/router.h"
#include "slipway/project/shape.h"

namespace slipway {

// `label` names the body in messages: "the endpoint".
BodyRule ShapedBody(const Shape& shape, const char* label);

}  // namespace slipway
