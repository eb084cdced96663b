// All engines on all instruction sets against the reference: random forests that use everything a
// Forest can say, in every shape of call.
#include <bit>
#include <cstdlib>
#include <random>

#include <fmt/format.h>

#include "slipway/score/engine.h"
#include "slipway/score/isa.h"
#include "slipway/score/self_check.h"

namespace slipway {
namespace {

struct Shape {
  int trees = 40;
  int leaves = 31;
  int features = 9;
  int outputs = 1;
  bool categories = false;
  bool linear = false;
  bool float32 = false;
  int thresholds = 60;  // distinct values a feature
  ValueRule rule = ValueRule::kLightGbm;
};

class ForestMaker {
 public:
  ForestMaker(const Shape& shape, uint32_t seed) : shape_(shape), random_(seed) {}

  Forest Make() {
    Forest forest;
    forest.feature_count = shape_.features;
    forest.outputs = shape_.outputs;
    forest.values = shape_.rule;
    forest.float32_sums = shape_.float32;
    forest.kind = PredictionKind::kRaw;
    for (int i = 0; i < shape_.outputs; ++i) forest.base.push_back(Round(Real()));
    for (int i = 0; i < shape_.trees; ++i) forest.trees.push_back(MakeTree());
    forest.iterations = shape_.trees / shape_.outputs;
    EXPECT_TRUE(Validate(forest).ok());
    return forest;
  }

 private:
  size_t Below(int n) { return random_() % static_cast<size_t>(n); }
  double Real() { return std::normal_distribution<double>()(random_); }
  double Round(double value) const {
    return shape_.float32 ? static_cast<double>(static_cast<float>(value)) : value;
  }

  double Threshold() {
    constexpr double kOdd[] = {0,     -0.0,   1e-35,  -1e-35, 1e-36,  -1e-36,
                               1e300, -1e300, 5e-324, 1e-35F, -1e-35F};
    if (Below(12) == 0) return kOdd[Below(std::size(kOdd))];
    return static_cast<double>(Below(shape_.thresholds)) / 7 - 3;
  }

  // Leaves split at random: deep and shallow ones.
  Tree MakeTree() {
    Tree tree;
    const int leaves = Below(15) == 0 ? 1 : 1 + static_cast<int>(Below(shape_.leaves));
    std::vector<int32_t*> slots;
    tree.leaf_value.push_back(Round(Real()));
    std::vector<std::pair<int, bool>> leaf_parent = {{-1, false}};
    for (int node = 0; node + 1 < leaves; ++node) {
      const size_t leaf =
          Below(2) == 0 ? leaf_parent.size() - 1 : Below(static_cast<int>(leaf_parent.size()));
      const auto [parent, left] = leaf_parent[leaf];
      if (parent >= 0) (left ? tree.left : tree.right)[static_cast<size_t>(parent)] = node;
      tree.left.push_back(~static_cast<int32_t>(leaf));
      tree.right.push_back(~static_cast<int32_t>(leaf_parent.size()));
      leaf_parent[leaf] = {node, true};
      leaf_parent.push_back({node, false});
      tree.leaf_value.push_back(Round(Real()));
      tree.split_feature.push_back(static_cast<int32_t>(Below(shape_.features)));
      tree.threshold.push_back(Threshold());
      tree.category_set.push_back(-1);
      tree.missing_type.push_back(static_cast<MissingType>(Below(3)));
      tree.default_left.push_back(static_cast<uint8_t>(Below(2)));
      if (shape_.categories && tree.split_feature.back() % 3 == 0) AddSet(&tree);
    }
    if (shape_.linear && Below(2) == 0) AddLinear(&tree);
    return tree;
  }

  void AddSet(Tree* tree) {
    if (tree->category_begin.empty()) tree->category_begin.push_back(0);
    tree->category_set.back() = static_cast<int32_t>(tree->category_begin.size()) - 1;
    const size_t words = 1 + Below(3);
    for (size_t i = 0; i < words; ++i)
      tree->category_bits.push_back(static_cast<uint32_t>(random_() & random_()));
    tree->category_begin.push_back(static_cast<int32_t>(tree->category_bits.size()));
  }

  void AddLinear(Tree* tree) {
    tree->linear.resize(tree->leaf_value.size());
    for (Tree::LinearLeaf& leaf : tree->linear) {
      leaf.constant = Real();
      for (size_t i = Below(3); i > 0; --i) {
        leaf.features.push_back(static_cast<int32_t>(Below(shape_.features)));
        leaf.coefficients.push_back(Real());
      }
    }
  }

  Shape shape_;
  std::mt19937 random_;
};

std::vector<double> Predict(const Engine& engine, const std::vector<double>& rows, int count) {
  std::vector<double> out(static_cast<size_t>(count * engine.outputs()), -77);
  engine.PredictRaw(rows.data(), count, engine.feature_count(), out.data());
  return out;
}

void ExpectBits(const std::vector<double>& expected, const std::vector<double>& found) {
  ASSERT_EQ(expected.size(), found.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]) && std::isnan(found[i])) continue;
    ASSERT_EQ(std::bit_cast<uint64_t>(expected[i]), std::bit_cast<uint64_t>(found[i]))
        << "score " << i << ": " << fmt::format("{} and {}", expected[i], found[i]);
  }
}

// Sets SLIPWAY_ISA for its scope.
class IsaScope {
 public:
  explicit IsaScope(Isa isa) { setenv("SLIPWAY_ISA", std::string(IsaName(isa)).c_str(), 1); }
  ~IsaScope() { unsetenv("SLIPWAY_ISA"); }
};

const Shape kShapes[] = {
    {},
    {.trees = 7, .leaves = 2, .features = 1},
    {.trees = 33, .leaves = 16},
    {.trees = 40, .leaves = 64, .features = 40, .thresholds = 200},
    {.trees = 30, .leaves = 31, .features = 130},
    {.trees = 9, .leaves = 300, .thresholds = 3000},
    {.trees = 3, .leaves = 2000, .features = 5, .thresholds = 5000},
    {.trees = 42, .leaves = 31, .outputs = 7},
    {.trees = 40, .leaves = 40, .categories = true},
    {.trees = 40, .leaves = 31, .categories = true, .rule = ValueRule::kXGBoost},
    {.trees = 40, .leaves = 31, .categories = true, .rule = ValueRule::kPlain},
    {.trees = 20, .leaves = 90, .categories = true, .linear = true},
    {.trees = 21, .leaves = 20, .outputs = 3, .linear = true},
    {.trees = 50, .leaves = 31, .float32 = true, .rule = ValueRule::kXGBoost},
    {.trees = 24, .leaves = 200, .outputs = 3, .categories = true, .float32 = true},
    {.trees = 0, .features = 3},
};

TEST(EnginesAreEqual, OnRandomForestsInEveryShapeOfCall) {
  uint32_t seed = 1;
  int compared = 0;
  for (const Shape& shape : kShapes) {
    for (int repeat = 0; repeat < 3; ++repeat) {
      SCOPED_TRACE(fmt::format("shape {} repeat {}", &shape - kShapes, repeat));
      const Forest forest = ForestMaker(shape, ++seed).Make();
      auto reference = CompileEngine(forest, {.engine = "reference"});
      ASSERT_TRUE(reference.ok());
      const std::vector<double> rows = HardRows(forest, 700);
      for (const Isa isa : {Isa::kPortable, Isa::kSse4, Isa::kAvx2, Isa::kAvx512}) {
        const IsaScope scope(isa);
        SCOPED_TRACE(IsaName(isa));
        for (const char* name : {"", "bitvector"}) {
          auto engine = CompileEngine(forest, {.engine = name});
          if (!engine.ok()) continue;  // bit vectors where there are no vectors
          EXPECT_EQ((*engine)->used_features(), (*reference)->used_features());
          for (const int count : {0, 1, 2, 3, 6, 31, 32, 33, 127, 128, 129, 700}) {
            SCOPED_TRACE(fmt::format("{}, {} rows", (*engine)->name(), count));
            ExpectBits(Predict(**reference, rows, count), Predict(**engine, rows, count));
            if (HasFatalFailure()) return;
          }
          ++compared;
        }
      }
    }
  }
  EXPECT_GT(compared, 150);
}

// The same numbers in other clothes: columns, float32, integers, with a validity bitmap, by
// threads.
TEST(EnginesAreEqual, WhateverFormTheColumnsHave) {
  const Forest forest = ForestMaker({.features = 6, .categories = true}, 99).Make();
  auto engine = CompileEngine(forest);
  ASSERT_TRUE(engine.ok());
  constexpr size_t kRows = 20'000, kFeatures = 6;
  std::mt19937 random(5);
  std::vector<float> floats(kRows);
  std::vector<double> doubles(kRows + 1);
  std::vector<int8_t> int8s(kRows);
  std::vector<int64_t> int64s(kRows);
  std::vector<uint16_t> uint16s(kRows * 3);
  std::vector<uint8_t> valid(kRows / 8 + 2);
  for (uint8_t& byte : valid) byte = static_cast<uint8_t>(random());
  std::vector<double> matrix(kRows * kFeatures, std::numeric_limits<double>::quiet_NaN());
  for (size_t row = 0; row < kRows; ++row) {
    double* to = &matrix[row * kFeatures];
    to[0] = int8s[row] = static_cast<int8_t>(random() % 90);
    to[1] = floats[row] = static_cast<float>(random() % 1000) / 100 - 5;
    to[2] = doubles[row + 1] = static_cast<double>(random() % 1000) / 100 - 5;
    int64s[row] = static_cast<int64_t>(random() % 70);
    if ((valid[(row + 3) / 8] >> ((row + 3) % 8) & 1) != 0)
      to[3] = static_cast<double>(int64s[row]);
    to[4] = uint16s[row * 3] = static_cast<uint16_t>(random() % 6);
  }
  std::vector<FeatureColumn> columns(kFeatures);
  columns[0] = {int8s.data(), 1, ValueType::kInt8};
  columns[1] = {floats.data(), 4, ValueType::kFloat32};
  columns[2] = {doubles.data() + 1, 8, ValueType::kFloat64};
  columns[3] = {int64s.data(), 8, ValueType::kInt64, valid.data(), 3};
  columns[4] = {uint16s.data(), 6, ValueType::kUint16};
  auto reference = CompileEngine(forest, {.engine = "reference"});
  ASSERT_TRUE(reference.ok());
  const std::vector<double> expected = Predict(**reference, matrix, kRows);
  for (const int threads : {1, 2, 5}) {
    std::vector<double> found(kRows);
    PredictParallel(**engine, columns, kRows, threads, found.data());
    ExpectBits(expected, found);
    PredictParallel(**reference, columns, kRows, threads, found.data());
    ExpectBits(expected, found);
  }
}

TEST(CompileEngine, SaysWhyAndRefusesUnknownNames) {
  const Forest forest = ForestMaker({}, 3).Make();
  auto engine = CompileEngine(forest);
  ASSERT_TRUE(engine.ok());
  EXPECT_FALSE((*engine)->reason().empty());
  EXPECT_GT((*engine)->memory_bytes(), 1000U);
  EXPECT_FALSE(CompileEngine(forest, {.engine = "magic"}).ok());
  const IsaScope scope(Isa::kPortable);
  auto portable = CompileEngine(forest);
  ASSERT_TRUE(portable.ok());
  EXPECT_FALSE((*portable)->reason().empty());
}

// A tree too large for bit vectors takes the reference for the whole forest.
TEST(CompileEngine, FallsBackToTheReference) {
  const Forest forest = ForestMaker({.trees = 2, .leaves = 40'000, .thresholds = 9000}, 8).Make();
  auto engine = CompileEngine(forest);
  ASSERT_TRUE(engine.ok());
  EXPECT_EQ((*engine)->name(), "reference");
  EXPECT_NE((*engine)->reason().find("walking"), std::string::npos);
  EXPECT_FALSE(CompileEngine(forest, {.engine = "bitvector"}).ok());
}

}  // namespace
}  // namespace slipway
