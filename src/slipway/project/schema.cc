#include "slipway/project/schema.h"

#include "slipway/base/json.h"
#include "slipway/project/keys.h"

namespace slipway {

Json ProjectJsonSchema() {
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "Slipway project"}};
  const Json shape = ShapeSchema(ProjectShape());
  for (const auto& [key, value] : shape.items()) schema[key] = value;
  // In a folder of files one of them names the project; `$schema` itself is for editors and is not
  // a key of ours.
  schema.erase("required");
  return schema;
}

}  // namespace slipway
