// OpenAPI 2.0 ("Swagger") from our 3.1 descriptions: what clients of DSS read at SERVICE/swagger.
#pragma once

#include "slipway/base/json.h"

namespace slipway {

// What 2.0 cannot say is left out: a description that says less, never something else. Types with
// null get x-nullable; several types, anyOf and oneOf become no type at all.
Json ToSwagger2(const Json& openapi);

}  // namespace slipway
