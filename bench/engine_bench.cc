// The scoring engine alone, in processor time per tree and row: uniform random trees and rows, which
// no branch predictor can guess. `cmake --build build --target engine_bench &&
// build/bin/engine_bench`.
#include <algorithm>
#include <random>

#include <benchmark/benchmark.h>

#include "slipway/score/engine.h"

namespace slipway {
namespace {

constexpr int kFeatures = 12;
constexpr int kCategorical = 2;  // the last ones

// A random tree: one leaf after the other becomes a split.
Tree RandomTree(int leaves, bool categories, std::mt19937* random) {
  Tree tree;
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<int32_t*> unused;
  tree.left.reserve(static_cast<size_t>(leaves));  // so that links to children stay where they are
  tree.right.reserve(static_cast<size_t>(leaves));
  tree.category_begin = {0};
  for (int node = 0; node + 1 < leaves; ++node) {
    if (node > 0) {
      const size_t at = (*random)() % unused.size();
      *unused[at] = node;
      unused.erase(unused.begin() + static_cast<std::ptrdiff_t>(at));
    }
    const auto feature = static_cast<int32_t>((*random)() % kFeatures);
    const bool category = categories && feature >= kFeatures - kCategorical;
    tree.split_feature.push_back(feature);
    tree.threshold.push_back(category ? 0 : uniform(*random));
    tree.category_set.push_back(category ? static_cast<int32_t>(tree.category_begin.size()) - 1
                                         : -1);
    if (category) {
      tree.category_bits.push_back(static_cast<uint32_t>((*random)()));
      tree.category_begin.push_back(static_cast<int32_t>(tree.category_bits.size()));
    }
    tree.missing_type.push_back(MissingType::kNaN);
    tree.default_left.push_back(0);
    tree.left.push_back(0);
    tree.right.push_back(0);
    unused.push_back(&tree.left.back());
    unused.push_back(&tree.right.back());
  }
  for (int leaf = 0; leaf < leaves; ++leaf) {
    *unused[static_cast<size_t>(leaf)] = ~leaf;
    tree.leaf_value.push_back(uniform(*random));
  }
  if (tree.category_bits.empty()) tree.category_begin.clear();
  return tree;
}

void PredictRaw(benchmark::State& state) {
  const auto trees = state.range(0), leaves = state.range(1), rows = state.range(2);
  const bool categories = state.range(3) != 0;
  std::mt19937 random(1);
  Forest forest;
  forest.feature_count = kFeatures;
  for (int64_t i = 0; i < trees; ++i)
    forest.trees.push_back(RandomTree(static_cast<int>(leaves), categories, &random));
  forest.iterations = static_cast<int>(trees);
  if (const Status status = Validate(forest); !status.ok()) {
    state.SkipWithError(status.error().message.c_str());
    return;
  }
  auto engine = CompileEngine(forest);
  if (!engine.ok()) {
    state.SkipWithError(engine.error().message.c_str());
    return;
  }
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<double> features(static_cast<size_t>(rows * kFeatures));
  for (size_t i = 0; i < features.size(); ++i) {
    const bool category = categories && i % kFeatures >= kFeatures - kCategorical;
    features[i] = category ? static_cast<double>(random() % 32) : uniform(random);
  }
  std::vector<double> scores(static_cast<size_t>(rows));
  for (auto _ : state) {
    (*engine)->PredictRaw(features.data(), rows, kFeatures, scores.data());
    benchmark::DoNotOptimize(scores.data());
  }
  state.counters["per_tree_and_row"] = benchmark::Counter(
      static_cast<double>(trees * rows),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.SetLabel(categories ? "2 of 12 features are categories" : "numbers only");
}
BENCHMARK(PredictRaw)
    ->ArgNames({"trees", "leaves", "rows", "categories"})
    ->Args({300, 31, 2048, 0})
    ->Args({300, 31, 2048, 1})
    ->Args({500, 31, 1, 0})
    ->Args({500, 31, 2048, 0})
    ->Args({300, 255, 2048, 0});

}  // namespace
}  // namespace slipway

BENCHMARK_MAIN();
