#include "slipway/score/engine.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "slipway/score/bitvector_engine.h"
#include "slipway/score/cost.h"
#include "slipway/score/linear_engine.h"
#include "slipway/score/parallel.h"
#include "slipway/score/reference_engine.h"
#include "slipway/score/self_check.h"

namespace slipway {
namespace {

constexpr int64_t kColumnBlockRows = 256;
// Rows a thread takes at a time: enough to hide its start, few enough to end together.
constexpr int64_t kParallelRows = 8192;

std::vector<int32_t> UsedFeatures(const Forest& forest) {
  std::vector<uint8_t> used(static_cast<size_t>(forest.feature_count));
  for (const Tree& tree : forest.trees) {
    for (const int32_t feature : tree.split_feature) used[static_cast<size_t>(feature)] = 1;
    for (const Tree::LinearLeaf& leaf : tree.linear) {
      for (const int32_t feature : leaf.features) used[static_cast<size_t>(feature)] = 1;
    }
  }
  std::vector<int32_t> features;
  for (size_t i = 0; i < used.size(); ++i) {
    if (used[i] != 0 || !forest.linear_model.weights.empty())
      features.push_back(static_cast<int32_t>(i));
  }
  return features;
}

Result<std::unique_ptr<Engine>> CompileBest(const Forest& forest, std::string* reason) {
  ASSIGN_OR_RETURN(std::unique_ptr<Engine> made, CompileReferenceEngine(forest));
  if (EstimateCost(forest).WalkIsFaster()) {
    *reason = "walking its trees is faster than bit vectors: they are few or large";
    return made;
  }
  const std::shared_ptr<Engine> reference = std::move(made);
  Result<std::unique_ptr<Engine>> fast = CompileBitvectorEngine(forest, reference);
  Status status = fast.ok() ? CheckAgainst(*reference, **fast, forest) : Status(fast.error());
  if (!status.ok()) {
    *reason = status.error().message;
    return CompileReferenceEngine(forest);
  }
  int leaves = 0;
  for (const Tree& tree : forest.trees) leaves = std::max(leaves, tree.leaf_count_total());
  *reason = fmt::format(
      "trees of up to {} leaves suit bit vectors; equal to the reference on a sample of the "
      "model's "
      "own thresholds",
      leaves);
  return fast;
}

}  // namespace

void Engine::PredictColumns(std::span<const FeatureColumn> columns, int64_t rows,
                            double* out) const {
  const size_t width = static_cast<size_t>(feature_count());
  const size_t block_rows = static_cast<size_t>(std::min(rows, kColumnBlockRows));
  std::vector<double> block(block_rows * width), values(block_rows);
  for (int64_t begin = 0; begin < rows; begin += kColumnBlockRows) {
    const int64_t count = std::min(kColumnBlockRows, rows - begin);
    for (const int32_t feature : used_features_) {
      ReadValues(columns[static_cast<size_t>(feature)], begin, count, values.data());
      for (size_t row = 0; row < static_cast<size_t>(count); ++row)
        block[row * width + static_cast<size_t>(feature)] = values[row];
    }
    PredictRaw(block.data(), count, static_cast<int64_t>(width), out + begin * outputs());
  }
}

void PredictParallel(const Engine& engine, std::span<const FeatureColumn> columns, int64_t rows,
                     int threads, double* out) {
  ForRowRanges(rows, kParallelRows, std::max(threads, 1), [&](int64_t first, int64_t last) {
    std::vector<FeatureColumn> mine(columns.begin(), columns.end());
    for (FeatureColumn& column : mine) {
      if (column.data != nullptr)
        column.data = static_cast<const char*>(column.data) + first * column.stride;
      column.validity_offset += first;
    }
    engine.PredictColumns(mine, last - first, out + first * engine.outputs());
  });
}

Result<std::unique_ptr<Engine>> CompileEngine(const Forest& forest, const EngineHints& hints) {
  std::unique_ptr<Engine> engine;
  std::string reason;
  if (!forest.linear_model.weights.empty()) {
    engine = CompileLinearEngine(forest);
    reason = "a linear model";
  } else if (hints.engine == "reference") {
    ASSIGN_OR_RETURN(engine, CompileReferenceEngine(forest));
    reason = "asked for";
  } else if (hints.engine == "bitvector") {
    ASSIGN_OR_RETURN(engine, CompileBitvectorEngine(forest, nullptr));
    reason = "asked for";
  } else if (hints.engine.empty()) {
    ASSIGN_OR_RETURN(engine, CompileBest(forest, &reason));
  } else {
    return InvalidArgument(fmt::format("no engine is called '{}'", hints.engine),
                           "engines: reference, bitvector");
  }
  engine->used_features_ = UsedFeatures(forest);
  engine->reason_ = reason;
  return engine;
}

}  // namespace slipway
