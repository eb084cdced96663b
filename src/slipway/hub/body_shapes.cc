#include "slipway/hub/body_shapes.h"

#include "slipway/base/json.h"

namespace slipway {

BodyRule ShapedBody(const Shape& shape, const char* label) {
  return {.schema = [&shape] { return ShapeSchema(shape); },
          .check =
              [&shape, label](const Json& body) {
                const PositionIndex nowhere;
                Problems problems(&nowhere);
                CheckShape(shape, body, "", label, &problems);
                return problems.ToStatus();
              }};
}

}  // namespace slipway
