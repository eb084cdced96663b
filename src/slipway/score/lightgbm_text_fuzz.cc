// Foreign model files: whatever the importer accepts can be compiled and scored, by all engines
// alike.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "slipway/forest/lightgbm_text.h"
#include "slipway/score/engines_for_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto forest = slipway::ParseLightGbmText({reinterpret_cast<const char*>(data), size});
  if (forest.ok()) slipway::ScoreForFuzzing(*forest);
  return 0;
}
