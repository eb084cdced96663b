// The engines against XGBoost itself: models of every kind, imported and compared on adversarial
// rows, to the last bit.
#include <bit>
#include <set>

#include "slipway/forest/xgboost_json.h"
#include "slipway/score/engine.h"
#include "slipway/score/xgboost_for_test.h"

namespace slipway::xgboost_for_test {
namespace {

void ExpectSameScores(const std::vector<double>& ours, const std::vector<double>& theirs,
                      const char* what) {
  ASSERT_EQ(ours.size(), theirs.size()) << what;
  for (size_t i = 0; i < ours.size(); ++i) {
    if (std::isnan(ours[i]) && std::isnan(theirs[i])) continue;
    ASSERT_EQ(std::bit_cast<uint64_t>(ours[i]), std::bit_cast<uint64_t>(theirs[i]))
        << what << " score " << i << ": " << fmt::format("{} and {}", ours[i], theirs[i]);
  }
}

// Of survival:aft, whose exp depends on how the library was compiled (transform.cc).
void ExpectNear32(const std::vector<double>& ours, const std::vector<double>& theirs) {
  ASSERT_EQ(ours.size(), theirs.size());
  for (size_t i = 0; i < ours.size(); ++i) {
    const float score = static_cast<float>(theirs[i]);
    ASSERT_EQ(static_cast<double>(static_cast<float>(ours[i])), ours[i]);
    ASSERT_GE(ours[i], std::nextafter(score, 0.0F)) << i;
    ASSERT_LE(ours[i], std::nextafter(score, std::numeric_limits<float>::infinity())) << i;
  }
}

// Rows at the edges: every feature takes the thresholds themselves, their neighbours as float64 and
// as float32, all kinds of missing and odd values; infinities, and what rounds to them, if asked.
std::vector<double> EdgeRows(const Forest& forest, uint32_t seed, int rows, bool infinities) {
  std::vector<std::vector<double>> values(kFeatures);
  const double special[] = {kNaN,
                            kInf,
                            -kInf,
                            0.0,
                            -0.0,
                            5e-324,
                            -5e-324,
                            1e-45,
                            -1e-45,
                            7e-46,
                            -7.1e-46,
                            1e-310,
                            1e-38,
                            -1e-38,
                            1,
                            -1,
                            -0.5,
                            -1e-50,
                            0.5,
                            2.5,
                            3,
                            3.999,
                            3.99999999999,
                            7,
                            11,
                            12,
                            31,
                            32,
                            33,
                            63,
                            64,
                            69,
                            70,
                            95,
                            96,
                            1000,
                            16777216,
                            16777217,
                            16777218,
                            2147483647,
                            2147483648.0,
                            4294967296.0,
                            4294967303.0,
                            -2147483649.0,
                            1e18,
                            9007199254740993.0,
                            -1e18,
                            1e38,
                            3.4028234663852886e38,
                            3.4028235677973362e38,
                            -3.4028235677973362e38,
                            3.4028235677973366e38,
                            -3.4028235677973366e38,
                            1e300,
                            -1e300,
                            -3};
  for (std::vector<double>& list : values) list.assign(std::begin(special), std::end(special));
  for (const Tree& tree : forest.trees) {
    for (size_t i = 0; i < tree.threshold.size(); ++i) {
      std::vector<double>& list = values[static_cast<size_t>(tree.split_feature[i])];
      const double t = tree.threshold[i];
      const float below = static_cast<float>(t);
      const float condition = std::nextafter(below, std::numeric_limits<float>::infinity());
      for (const double v : {t, double{below}, double{condition}}) {
        list.push_back(v);
        list.push_back(std::nextafter(v, kInf));
        list.push_back(std::nextafter(v, -kInf));
      }
    }
  }
  std::mt19937 random(seed);
  std::vector<double> matrix = TrainingRows(rows, seed, random() % 2 != 0);
  for (size_t i = 0; i < matrix.size(); ++i) {
    const std::vector<double>& list = values[i % kFeatures];
    // Every fifth row is whole: the library has another path for rows without missing values.
    const bool whole = i / kFeatures % 5 == 0;
    if (whole && std::isnan(matrix[i])) matrix[i] = 1;
    if (random() % 3 == 0) continue;
    const double value = list[random() % list.size()];
    const bool finite = std::isfinite(static_cast<float>(value));
    if (std::isnan(value) ? whole : !finite && !infinities) continue;
    matrix[i] = value;
  }
  return matrix;
}

// What the models made use of, so that the suite can prove that it covers the kinds.
struct SeenModels {
  int models = 0, categorical = 0, linear = 0, single_leaf = 0, default_left = 0, large = 0;
  std::set<std::string> objectives;
};

std::vector<double> FirstOfLargest(const std::vector<double>& scores, int outputs) {
  std::vector<double> labels;
  for (auto row = scores.begin(); row != scores.end(); row += outputs)
    labels.push_back(static_cast<double>(std::max_element(row, row + outputs) - row));
  return labels;
}

void CheckEngine(const Forest& forest, const Engine& engine, const std::vector<double>& rows,
                 const std::vector<double>& margins, const std::vector<double>& predictions) {
  SCOPED_TRACE(engine.name());
  const int64_t count = static_cast<int64_t>(rows.size()) / kFeatures;
  std::vector<double> scores(static_cast<size_t>(count * forest.outputs), 17);
  engine.PredictRaw(rows.data(), count, kFeatures, scores.data());
  ExpectSameScores(scores, margins, "margin");
  ApplyOutputTransform(forest, count, scores.data());
  if (forest.objective == "multi:softmax") scores = FirstOfLargest(scores, forest.outputs);
  if (forest.objective == "survival:aft") return ExpectNear32(scores, predictions);
  ExpectSameScores(scores, predictions, "prediction");
}

void CheckRows(const Library& lib, const Case& test, const Saved& saved, const Forest& forest,
               const std::vector<double>& rows, bool in_place) {
  const std::vector<double> margins =
      LibraryScores(lib, saved.json, rows, test.Has("cat"), true, in_place);
  const std::vector<double> predictions =
      LibraryScores(lib, saved.json, rows, test.Has("cat"), false, in_place);
  for (const char* name : {"", "reference", "bitvector"}) {
    Result<std::unique_ptr<Engine>> engine = CompileEngine(forest, {name});
    if (std::string_view(name) == "bitvector" && !engine.ok()) continue;  // it need not suit
    ASSERT_TRUE(engine.ok()) << engine.error().message;
    CheckEngine(forest, **engine, rows, margins, predictions);
    if (testing::Test::HasFatalFailure()) return;
  }
}

void Note(const Forest& forest, SeenModels* seen) {
  ++seen->models;
  seen->linear += !forest.linear_model.weights.empty();
  seen->objectives.insert(forest.objective);
  for (const Tree& tree : forest.trees) {
    seen->categorical += !tree.category_begin.empty();
    seen->single_leaf += tree.split_feature.empty();
    seen->large += tree.leaf_count_total() > 64;
    for (const uint8_t left : tree.default_left) seen->default_left += left;
  }
}

void CheckXgboost(const Library& lib, const Case& test, uint32_t seed, SeenModels* seen) {
  SCOPED_TRACE(test.words);
  const std::vector<double> matrix = TrainingRows(300, seed, !test.Has("dense"));
  const Saved saved = Train(lib, test, matrix, Labels(matrix, test, seed));
  if (testing::Test::HasFailure()) return;
  EXPECT_TRUE(LooksLikeXGBoost(saved.json) && LooksLikeXGBoost(saved.ubj));
  const Result<Forest> forest = ParseXGBoost(saved.json);
  ASSERT_TRUE(forest.ok()) << forest.error().message;
  const Result<Forest> from_ubj = ParseXGBoost(saved.ubj);
  ASSERT_TRUE(from_ubj.ok()) << from_ubj.error().message;
  EXPECT_EQ(forest->best_iteration, 2);
  Note(*forest, seen);
  const bool in_place_too = !test.Has("booster=") && !(lib.release < 200 && test.Has("cat"));
  for (const int rows : {1, 7, 400}) {
    CheckRows(lib, test, saved, *forest, EdgeRows(*forest, seed + 1, rows, false), false);
    if (testing::Test::HasFatalFailure()) return;
  }
  CheckRows(lib, test, saved, *from_ubj, EdgeRows(*forest, seed + 2, 50, false), false);
  if (testing::Test::HasFatalFailure() || !in_place_too) return;
  CheckRows(lib, test, saved, *forest, EdgeRows(*forest, seed + 3, 100, true), true);
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  const auto add = [&](std::string words, int least_release = 107) {
    cases.push_back({std::move(words), least_release});
  };
  for (const char* objective :
       {"reg:squarederror", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror",
        "reg:logistic", "reg:gamma", "reg:tweedie", "count:poisson", "survival:cox", "survival:aft",
        "binary:logistic", "binary:logitraw", "binary:hinge", "multi:softmax num_class=4",
        "multi:softprob num_class=4", "rank:pairwise", "rank:ndcg", "rank:map"}) {
    const std::string base = fmt::format("objective={}", objective);
    const bool adaptive = base.ends_with("absoluteerror");  // its leaves need trees
    add(base);
    add(base + " base_score=0.3 max_depth=3");
    add(base + " tree_method=hist cat max_cat_to_onehot=1");
    add(base + " booster=dart rate_drop=0.5 one_drop=1 rounds=10");
    if (!adaptive) add(base + " booster=gblinear rounds=3");
  }
  add("objective=reg:quantileerror quantile_alpha=0.3", 200);
  add("objective=reg:quantileerror quantile_alpha=[0.1,0.5,0.9]", 200);
  for (const char* objective :
       {"reg:squarederror", "binary:logistic", "multi:softprob num_class=4"}) {
    const std::string base = fmt::format("objective={}", objective);
    add(base + " tree_method=exact");
    add(base + " tree_method=approx cat max_cat_to_onehot=1");
    add(base + " tree_method=hist cat max_cat_to_onehot=100");
    add(base + " tree_method=hist cat max_cat_to_onehot=1 max_cat_threshold=2 dense");
    add(base + " tree_method=hist grow_policy=lossguide max_leaves=20 max_depth=0 cat");
    add(base + " tree_method=hist max_depth=9 min_child_weight=0.01 reg_lambda=0 rounds=3");
    add(base + " tree_method=hist num_parallel_tree=3 subsample=0.5 learning_rate=1 rounds=2");
    add(base + " tree_method=exact gamma=2");        // pruned nodes stay in the file
    add(base + " tree_method=exact gamma=1000000");  // single leaves
    add(base + " max_depth=1 rounds=30 dense");
    add(base +
        " tree_method=hist booster=dart cat normalize_type=forest sample_type=weighted "
        "rate_drop=0.3 rounds=12");
    add(base + " booster=dart num_parallel_tree=2 rate_drop=0.9 rounds=5");
    add(base + " booster=gblinear updater=coord_descent rounds=8 dense");
  }
  add("objective=multi:softprob num_class=4 tree_method=hist multi_strategy=multi_output_tree",
      200);
  add("objective=reg:squarederror targets=3 tree_method=hist base_score=[0.5,-1,7]", 301);
  for (const char* objective : {"reg:squarederror", "reg:logistic", "binary:logistic"}) {
    const std::string base = fmt::format("objective={} tree_method=hist targets=3", objective);
    add(base);
    add(base + " cat num_parallel_tree=2");
    add(base + " multi_strategy=multi_output_tree", 200);
    add(base + " multi_strategy=multi_output_tree num_parallel_tree=2 max_depth=3", 200);
  }
  return cases;
}

TEST(EngineAgainstXGBoost, EveryKindOfModelGivesTheSameBits) {
  const Library& lib = LoadLibrary();
  if (lib.create == nullptr)
    GTEST_SKIP() << "no xgboost/lib/libxgboost.so in SLIPWAY_LIB_DIR: THE ENGINE IS NOT COMPARED "
                    "WITH THE LIBRARY";
  SeenModels seen;
  uint32_t seed = 100;
  for (int repeat = 0; repeat < 2; ++repeat) {
    for (const Case& test : Cases()) {
      if (test.least_release > lib.release) continue;
      CheckXgboost(lib, test, seed += 10, &seen);
      if (HasFailure()) return;
    }
  }
  EXPECT_GE(seen.models, 200);
  EXPECT_GE(seen.objectives.size(), lib.release < 200 ? 18U : 19U);
  EXPECT_GT(seen.categorical, 300);
  EXPECT_GT(seen.linear, 30);
  EXPECT_GT(seen.single_leaf, 30);
  EXPECT_GT(seen.large, 5);
  EXPECT_GT(seen.default_left, 1000);
}

}  // namespace
}  // namespace slipway::xgboost_for_test
