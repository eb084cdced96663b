// Foreign model files: whatever the importer accepts can be explained, or is refused.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "slipway/explain/explain.h"
#include "slipway/forest/lightgbm_text.h"
#include "slipway/score/self_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto forest = slipway::ParseLightGbmText({reinterpret_cast<const char*>(data), size});
  if (!forest.ok() || forest->feature_count > 1000 || forest->outputs > 100) return 0;
  constexpr int kRows = 3;
  const std::vector<double> rows = slipway::HardRows(*forest, kRows);
  for (const bool reference : {false, true}) {
    const auto explainer = slipway::CompileExplainer(*forest, {.reference = reference});
    if (!explainer.ok()) continue;
    std::vector<double> out(static_cast<size_t>(kRows * forest->outputs) *
                            (static_cast<size_t>(forest->feature_count) + 1));
    (*explainer)->Explain(rows.data(), kRows, forest->feature_count, out.data());
  }
  return 0;
}
