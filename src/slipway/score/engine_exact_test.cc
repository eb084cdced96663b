// The engine against the library itself: models of every kind, imported and compared on adversarial
// rows, to the last bit.
#include <bit>

#include <fmt/format.h>

#include "slipway/forest/lightgbm_text.h"
#include "slipway/score/engine.h"
#include "slipway/score/isa.h"
#include "slipway/score/lightgbm_for_test.h"

namespace slipway::lightgbm_for_test {
namespace {

void ExpectSameBits(const std::vector<double>& ours, const std::vector<double>& theirs,
                    const char* what) {
  ASSERT_EQ(ours.size(), theirs.size());
  for (size_t i = 0; i < ours.size(); ++i) {
    if (std::isnan(ours[i]) && std::isnan(theirs[i])) continue;
    ASSERT_EQ(std::bit_cast<uint64_t>(ours[i]), std::bit_cast<uint64_t>(theirs[i]))
        << what << " score " << i << ": " << fmt::format("{} and {}", ours[i], theirs[i]);
  }
}

// What a case's models made use of, so that the suite can prove that it covers the kinds.
struct Seen {
  int models = 0, categorical = 0, linear = 0, zero = 0, nan = 0, none = 0, single_leaf = 0,
      bitvector = 0;
};

void CheckLightGbm(const Library& lib, const Case& test, uint32_t seed, Seen* seen) {
  SCOPED_TRACE(test.name);
  const std::vector<double> matrix =
      TrainingRows(600, seed, test.parameters.find("dense") == std::string::npos);
  const std::string text = Train(lib, test, matrix, Labels(matrix, test, seed));
  Result<Forest> forest = ParseLightGbmText(text);
  ASSERT_TRUE(forest.ok()) << forest.error().message;
  ++seen->models;
  for (const Tree& tree : forest->trees) {
    seen->categorical += !tree.category_begin.empty();
    seen->linear += !tree.linear.empty();
    seen->single_leaf += tree.split_feature.empty();
    for (const MissingType missing : tree.missing_type) {
      seen->zero += missing == MissingType::kZero;
      seen->nan += missing == MissingType::kNaN;
      seen->none += missing == MissingType::kNone;
    }
  }
  Result<std::unique_ptr<Engine>> reference = CompileEngine(*forest, {.engine = "reference"});
  ASSERT_TRUE(reference.ok()) << reference.error().message;
  // The fast engine, where there is one, even for the forests that the reference takes faster.
  Result<std::unique_ptr<Engine>> engine = CompileEngine(*forest, {.engine = "bitvector"});
  seen->bitvector += engine.ok();
  if (!engine.ok()) engine = CompileEngine(*forest);
  ASSERT_TRUE(engine.ok()) << engine.error().message;
  for (const int rows : {1, 7, 2000}) {
    const std::vector<double> probes = AdversarialRows(*forest, seed + 1, rows);
    std::vector<double> scores(static_cast<size_t>(rows * forest->outputs), 17);
    std::vector<double> expected = scores;
    (*reference)->PredictRaw(probes.data(), rows, kFeatures, expected.data());
    (*engine)->PredictRaw(probes.data(), rows, kFeatures, scores.data());
    ExpectSameBits(scores, expected, "raw, reference");
    ExpectSameBits(
        scores, LibraryScores(lib, text, probes, C_API_PREDICT_RAW_SCORE, forest->outputs), "raw");
    ApplyOutputTransform(*forest, rows, scores.data());
    ExpectSameBits(scores, LibraryScores(lib, text, probes, C_API_PREDICT_NORMAL, forest->outputs),
                   "transformed");
  }
}

TEST(EngineAgainstLightGbm, EveryKindOfModelGivesTheSameBits) {
  const Library& lib = LoadLibrary();
  if (lib.create == nullptr)
    GTEST_SKIP()
        << "no lib_lightgbm.so in SLIPWAY_LIB_DIR: THE ENGINE IS NOT COMPARED WITH THE LIBRARY";
  Seen seen;
  uint32_t seed = 100;
  for (int repeat = 0; repeat < 2; ++repeat) {
    for (const Case& test : Cases()) {
      CheckLightGbm(lib, test, seed += 10, &seen);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GE(seen.models, 150);
  EXPECT_EQ(seen.bitvector, BestIsa() == Isa::kPortable ? 0 : seen.models);
  EXPECT_GT(seen.categorical, 50);
  EXPECT_GT(seen.linear, 20);
  EXPECT_GT(seen.zero, 100);
  EXPECT_GT(seen.nan, 100);
  EXPECT_GT(seen.none, 100);
  EXPECT_GT(seen.single_leaf, 3);
}

}  // namespace
}  // namespace slipway::lightgbm_for_test
