// What fuzzers do with a forest that an importer accepted: every engine that takes it must give the
// reference's bits.
#pragma once

#include <cstdlib>
#include <vector>

#include "slipway/score/engine.h"
#include "slipway/score/self_check.h"

namespace slipway {

inline void ScoreForFuzzing(const Forest& forest) {
  if (forest.feature_count > 10'000 || forest.outputs > 10'000) return;
  const auto reference = CompileEngine(forest, {.engine = "reference"});
  if (!reference.ok()) return;
  constexpr int kRows = 11;
  const std::vector<double> rows = HardRows(forest, kRows);
  std::vector<double> scores(static_cast<size_t>(forest.outputs) * kRows);
  (*reference)->PredictRaw(rows.data(), kRows, forest.feature_count, scores.data());
  ApplyOutputTransform(forest, kRows, scores.data());
  const auto fast = CompileEngine(forest, {.engine = "bitvector"});
  if (fast.ok() && !CheckAgainst(**reference, **fast, forest).ok()) std::abort();
}

}  // namespace slipway
