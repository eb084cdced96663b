// Contributions against LightGBM's own pred_contrib, against the textbook, and their properties.
#include "slipway/explain/explain.h"

#include <cmath>
#include <random>

#include <fmt/format.h>

#include "slipway/explain/fast_explainer.h"
#include "slipway/explain/quadrature.h"
#include "slipway/forest/lightgbm_text.h"
#include "slipway/score/engine.h"
#include "slipway/score/lightgbm_for_test.h"

namespace slipway {
namespace {

using lightgbm_for_test::Case;
using lightgbm_for_test::kFeatures;
using lightgbm_for_test::Library;

// Of the row's largest absolute contribution.
constexpr double kRelative = 1e-9;

std::unique_ptr<Explainer> Compiled(const Forest& forest, bool reference) {
  ExplainOptions options;
  options.reference = reference;
  auto explainer = CompileExplainer(forest, options);
  EXPECT_TRUE(explainer.ok()) << explainer.error().message;
  return explainer.ok() ? std::move(*explainer) : nullptr;
}

std::vector<double> Contributions(const Explainer& explainer, const std::vector<double>& matrix) {
  const size_t features = static_cast<size_t>(explainer.feature_count());
  const size_t rows = matrix.size() / features;
  std::vector<double> out(rows * static_cast<size_t>(explainer.outputs()) * (features + 1), 17);
  explainer.Explain(matrix.data(), static_cast<int64_t>(rows), explainer.feature_count(),
                    out.data());
  return out;
}

// Of each output of each row: `width` numbers.
void ExpectNear(const std::vector<double>& ours, const std::vector<double>& theirs, size_t width,
                const char* what) {
  ASSERT_EQ(ours.size(), theirs.size()) << what;
  for (size_t begin = 0; begin < ours.size(); begin += width) {
    double largest = 0;
    for (size_t i = begin; i < begin + width; ++i)
      largest = std::max(largest, std::fabs(theirs[i]));
    for (size_t i = begin; i < begin + width; ++i) {
      ASSERT_LE(std::fabs(ours[i] - theirs[i]), kRelative * largest)
          << what
          << fmt::format(": output row {}, feature {}: {} and {}", begin / width, i - begin,
                         ours[i], theirs[i]);
    }
  }
}

void ExpectAdditive(const Forest& forest, const std::vector<double>& matrix,
                    const std::vector<double>& contributions) {
  auto engine = CompileEngine(forest);
  ASSERT_TRUE(engine.ok());
  const size_t width = static_cast<size_t>(forest.feature_count) + 1;
  const size_t rows = matrix.size() / (width - 1);
  std::vector<double> raw(rows * static_cast<size_t>(forest.outputs));
  (*engine)->PredictRaw(matrix.data(), static_cast<int64_t>(rows), forest.feature_count,
                        raw.data());
  ASSERT_EQ(contributions.size(), raw.size() * width);
  for (size_t i = 0; i < raw.size(); ++i) {
    double sum = 0, largest = 0;
    for (size_t k = i * width; k < (i + 1) * width; ++k) {
      sum += contributions[k];
      largest = std::max(largest, std::fabs(contributions[k]));
    }
    ASSERT_NEAR(sum, raw[i], kRelative * largest) << "score " << i;
  }
}

TEST(ExplainerAgainstLightGbm, EveryKindOfModelGivesTheSameContributions) {
  const Library& lib = lightgbm_for_test::LoadLibrary();
  if (lib.create == nullptr)
    GTEST_SKIP() << "no lib_lightgbm.so in SLIPWAY_LIB_DIR: THE CONTRIBUTIONS ARE NOT COMPARED";
  uint32_t seed = 7000;
  int compared = 0, refused = 0, categorical = 0, single_leaf = 0;
  for (const Case& test : lightgbm_for_test::Cases()) {
    SCOPED_TRACE(test.name);
    const std::vector<double> rows = lightgbm_for_test::TrainingRows(
        600, seed += 10, test.parameters.find("dense") == std::string::npos);
    const std::string text =
        lightgbm_for_test::Train(lib, test, rows, lightgbm_for_test::Labels(rows, test, seed));
    Result<Forest> forest = ParseLightGbmText(text);
    ASSERT_TRUE(forest.ok()) << forest.error().message;
    if (test.parameters.find("linear_tree") != std::string::npos) {
      const auto explainer = CompileExplainer(*forest);
      ASSERT_FALSE(explainer.ok());
      EXPECT_NE(explainer.error().message.find("linear leaves"), std::string::npos);
      ++refused;
      continue;
    }
    for (const Tree& tree : forest->trees) {
      categorical += !tree.category_begin.empty();
      single_leaf += tree.split_feature.empty();
    }
    const std::vector<double> probes = lightgbm_for_test::AdversarialRows(*forest, seed + 1, 150);
    const std::vector<double> theirs = lightgbm_for_test::LibraryScores(
        lib, text, probes, C_API_PREDICT_CONTRIB, forest->outputs * (kFeatures + 1));
    const auto reference = Contributions(*Compiled(*forest, true), probes);
    ExpectNear(reference, theirs, kFeatures + 1, "reference");
    const auto fast = Contributions(*Compiled(*forest, false), probes);
    ExpectNear(fast, theirs, kFeatures + 1, "fast");
    ExpectAdditive(*forest, probes, fast);
    if (HasFatalFailure()) return;
    ++compared;
  }
  EXPECT_GE(compared, 60);
  EXPECT_GE(refused, 6);
  EXPECT_GT(categorical, 50);
  EXPECT_GT(single_leaf, 3);
}

// A random tree whose every leaf has `rows` training rows, or by chance none.
Tree RandomTree(int leaves, int features, bool chain, std::mt19937* random) {
  Tree tree;
  std::uniform_real_distribution<double> uniform(0, 1);
  const size_t inner = static_cast<size_t>(leaves) - 1;
  tree.left.assign(inner, 0);
  tree.right.assign(inner, 0);
  std::vector<int32_t*> unused;
  for (size_t node = 0; node < inner; ++node) {
    if (node > 0) {
      const size_t at = chain ? unused.size() - 1 : (*random)() % unused.size();
      *unused[at] = static_cast<int32_t>(node);
      unused.erase(unused.begin() + static_cast<std::ptrdiff_t>(at));
    }
    tree.split_feature.push_back(
        static_cast<int32_t>((*random)() % static_cast<unsigned>(features)));
    tree.threshold.push_back(uniform(*random));
    tree.category_set.push_back(-1);
    tree.missing_type.push_back(MissingType::kNaN);
    tree.default_left.push_back((*random)() % 2);
    unused.push_back(&tree.left[node]);
    unused.push_back(&tree.right[node]);
  }
  for (int leaf = 0; leaf < leaves; ++leaf) {
    *unused[static_cast<size_t>(leaf)] = ~leaf;
    tree.leaf_value.push_back(uniform(*random) - 0.5);
    tree.leaf_count.push_back((*random)() % 5 == 0 ? 0 : static_cast<double>((*random)() % 1000));
  }
  return tree;
}

Forest ForestOf(std::vector<Tree> trees, int features, int outputs) {
  Forest forest;
  forest.feature_count = features;
  forest.outputs = outputs;
  forest.kind = outputs > 1 ? PredictionKind::kRaw : PredictionKind::kRegression;
  forest.iterations = static_cast<int>(trees.size()) / outputs;
  forest.trees = std::move(trees);
  const Status status = Validate(forest);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return forest;
}

std::vector<double> RandomRows(int rows, int features, std::mt19937* random) {
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<double> matrix(static_cast<size_t>(rows * features));
  for (double& value : matrix)
    value = (*random)() % 10 == 0 ? std::numeric_limits<double>::quiet_NaN() : uniform(*random);
  return matrix;
}

// Long paths need many points; more thresholds of a feature than ranks fill several columns.
TEST(FastExplainer, EqualsTheTextbookOnTreesOfEveryShape) {
  std::mt19937 random(5);
  struct Shape {
    int trees, leaves, features, outputs, rows;
    bool chain;
  };
  for (const Shape& shape : {Shape{3, 2, 1, 1, 1, false}, Shape{4, 3, 2, 2, 9, false},
                             Shape{5, 31, 28, 1, 300, false}, Shape{6, 255, 40, 3, 40, false},
                             Shape{2, 30, 60, 1, 33, true}, Shape{2, 60, 60, 1, 8, true},
                             Shape{2, 200, 5, 1, 31, true}, Shape{70, 600, 1, 1, 40, false}}) {
    SCOPED_TRACE(fmt::format("{} leaves of {} features", shape.leaves, shape.features));
    std::vector<Tree> trees;
    for (int i = 0; i < shape.trees; ++i)
      trees.push_back(RandomTree(shape.leaves, shape.features, shape.chain, &random));
    Forest forest = ForestOf(std::move(trees), shape.features, shape.outputs);
    forest.base.assign(static_cast<size_t>(shape.outputs), 0.25);
    const std::vector<double> rows = RandomRows(shape.rows, shape.features, &random);
    const auto fast = Contributions(*Compiled(forest, false), rows);
    ExpectAdditive(forest, rows, fast);
    const size_t width = static_cast<size_t>(shape.features) + 1;
    if (shape.chain && shape.features > 40) continue;  // the textbook itself loses digits there
    ExpectNear(fast, Contributions(*Compiled(forest, true), rows), width, "textbook");
  }
}

TEST(FastExplainer, EveryInstructionSetAgrees) {
  std::mt19937 random(6);
  const Forest forest = ForestOf({RandomTree(63, 9, false, &random)}, 9, 1);
  const std::vector<double> rows = RandomRows(70, 9, &random);
  const auto best = Contributions(*Compiled(forest, false), rows);
  ASSERT_EQ(setenv("SLIPWAY_ISA", "portable", 1), 0);
  const auto portable = Contributions(*Compiled(forest, false), rows);
  ASSERT_EQ(unsetenv("SLIPWAY_ISA"), 0);
  ExpectNear(best, portable, 10, "portable");
}

TEST(FastExplainer, BlocksAndThreadsDoNotChangeABit) {
  std::mt19937 random(7);
  std::vector<Tree> trees;
  for (int i = 0; i < 10; ++i) trees.push_back(RandomTree(31, 6, false, &random));
  const Forest forest = ForestOf(std::move(trees), 6, 2);
  const auto explainer = Compiled(forest, false);
  const int rows = 5000;  // several blocks
  const std::vector<double> matrix = RandomRows(rows, 6, &random);
  const std::vector<double> whole = Contributions(*explainer, matrix);
  std::vector<double> parallel(whole.size()), single(whole.size());
  ExplainParallel(*explainer, matrix.data(), rows, 6, 3, parallel.data());
  for (int64_t row = 0; row < rows; ++row)
    explainer->Explain(matrix.data() + row * 6, 1, 6, single.data() + row * 14);
  EXPECT_EQ(whole, parallel);
  EXPECT_EQ(whole, single);
  // Few rows have kernels of their own.
  for (const int64_t count : {2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 63, 64, 65}) {
    std::vector<double> few(static_cast<size_t>(count) * 14);
    explainer->Explain(matrix.data() + 600, count, 6, few.data());
    EXPECT_TRUE(std::equal(few.begin(), few.end(), whole.begin() + 1400)) << count;
  }
}

TEST(FastExplainer, TablesMadeForEachBlockGiveTheSameBits) {
  std::mt19937 random(9);
  std::vector<Tree> trees;
  for (int i = 0; i < 6; ++i) trees.push_back(RandomTree(200, 20, false, &random));
  const Forest forest = ForestOf(std::move(trees), 20, 1);
  const std::vector<double> rows = RandomRows(1500, 20, &random);
  const auto made_once = MakeFastExplainer(forest, BestIsa());
  const auto made_anew = MakeFastExplainer(forest, BestIsa(), 0);
  EXPECT_GT(made_once->memory_bytes(), 2 * made_anew->memory_bytes());
  EXPECT_EQ(Contributions(*made_once, rows), Contributions(*made_anew, rows));
}

TEST(Explainer, ALinearModelsContributionsAreItsProducts) {
  Forest forest;
  forest.feature_count = 2;
  forest.outputs = 2;
  forest.kind = PredictionKind::kRaw;
  forest.base = {1, 2};
  forest.linear_model = {{10, 20, 30, 40}, {0.5, 0.25}};
  ASSERT_TRUE(Validate(forest).ok());
  const auto got =
      Contributions(*Compiled(forest, false), {3, std::numeric_limits<double>::quiet_NaN()});
  EXPECT_EQ(got, (std::vector<double>{30, 0, 1.5, 60, 0, 2.25}));
}

TEST(Explainer, AModelWithoutCountsIsRefused) {
  std::mt19937 random(8);
  Tree tree = RandomTree(4, 2, false, &random);
  tree.leaf_count.clear();
  const auto none = CompileExplainer(ForestOf({tree}, 2, 1));
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(none.error().message.find("tree 0"), std::string::npos);
  tree.leaf_count = {1, 2, -1, 4};
  const auto negative = CompileExplainer(ForestOf({tree}, 2, 1));
  ASSERT_FALSE(negative.ok());
  EXPECT_NE(negative.error().message.find("leaf 2"), std::string::npos);
}

TEST(Explainer, ATreeWithoutBoundIsRefusedBeforeItTakesTheMemory) {
  const int leaves = 30'000;
  Tree tree;
  for (int node = 0; node + 1 < leaves; ++node) {
    tree.split_feature.push_back(node);
    tree.left.push_back(~node);
    tree.right.push_back(node + 2 < leaves ? node + 1 : ~(leaves - 1));
  }
  const size_t inner = tree.split_feature.size();
  tree.threshold.assign(inner, 0);
  tree.category_set.assign(inner, -1);
  tree.missing_type.assign(inner, MissingType::kNone);
  tree.default_left.assign(inner, 0);
  tree.leaf_value.assign(static_cast<size_t>(leaves), 1);
  tree.leaf_count.assign(static_cast<size_t>(leaves), 1);
  const auto explainer = CompileExplainer(ForestOf({tree}, leaves, 1));
  ASSERT_FALSE(explainer.ok());
  EXPECT_NE(explainer.error().message.find("29999 features on one path"), std::string::npos);
}

TEST(Quadrature, IntegratesPolynomialsExactly) {
  for (const int count : {1, 4, 8, 32, 100}) {
    const Quadrature quadrature = GaussLegendre(count);
    for (int degree = 0; degree < 2 * count; ++degree) {
      double integral = 0;
      for (size_t i = 0; i < quadrature.points.size(); ++i)
        integral += quadrature.weights[i] * std::pow(quadrature.points[i], degree);
      EXPECT_NEAR(integral * (degree + 1), 1, 1e-12) << count << " points, degree " << degree;
    }
  }
}

}  // namespace
}  // namespace slipway
