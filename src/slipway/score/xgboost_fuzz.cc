// Foreign model files: whatever the importer accepts can be compiled and scored.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "slipway/forest/xgboost_json.h"
#include "slipway/score/engine.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto forest = slipway::ParseXGBoost({reinterpret_cast<const char*>(data), size});
  if (!forest.ok() || forest->feature_count > 10000 || forest->outputs > 10000) return 0;
  const auto engine = slipway::CompileEngine(*forest);
  if (!engine.ok()) return 0;
  const double values[] = {0,
                           -1,
                           2.5,
                           1e300,
                           -1e-40,
                           std::numeric_limits<double>::quiet_NaN(),
                           std::numeric_limits<double>::infinity(),
                           4e9};
  constexpr int kRows = 11;
  std::vector<double> rows(static_cast<size_t>(forest->feature_count) * kRows);
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i] = values[(i * 2654435761u >> 7) % std::size(values)];
  std::vector<double> scores(static_cast<size_t>(forest->outputs) * kRows);
  (*engine)->PredictRaw(rows.data(), kRows, forest->feature_count, scores.data());
  slipway::ApplyOutputTransform(*forest, kRows, scores.data());
  return 0;
}
