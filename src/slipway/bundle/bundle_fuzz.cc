// Foreign bundles: whatever is accepted can be written again and scored.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "slipway/bundle/bundle.h"
#include "slipway/bundle/model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto content = slipway::ParseBundle(bytes);
  if (content.ok()) (void)slipway::Model::FromContent(*content);
  return 0;
}
