#include "slipway/forest/lightgbm_text.h"

#include <functional>

#include <fmt/format.h>

#include "slipway/base/file.h"
#include "slipway/forest/replaced_for_test.h"

namespace slipway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Seed(const std::string& name) {
  const std::string path =
      std::string(SLIPWAY_SOURCE_DIR) + "/fuzz/corpus/lightgbm_text_fuzz/" + name;
  Result<std::string> text = ReadFile(path);
  EXPECT_TRUE(text.ok()) << path;
  return text.ok() ? *text : "";
}

// A model of two trees without tree_sizes, so that tests may change its lines.
std::string LightGbmModel() {
  return "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx="
         "1\n"
         "objective=regression\nfeature_names=a b\nfeature_infos=[0:1] 3:1:2\n\n"
         "Tree=0\nnum_leaves=3\nnum_cat=1\nsplit_feature=0 1\nsplit_gain=5 4\nthreshold=0.5 0\n"
         "decision_type=10 1\nleft_child=1 -1\nright_child=-3 -2\nleaf_value=1 2 3\nleaf_weight=1 "
         "1 1\n"
         "leaf_count=10 20 30\ninternal_value=0 0\ninternal_weight=2 2\ninternal_count=60 30\n"
         "cat_boundaries=0 1\ncat_threshold=6\nis_linear=0\nshrinkage=0.1\n\n\n"
         "Tree=1\nnum_leaves=1\nnum_cat=0\nleaf_value=0.25\nshrinkage=1\n\n\n"
         "end of trees\n\nfeature_importances:\na=1\n\nparameters:\n[objective: regression]\n\nend "
         "of parameters\n";
}

TEST(LightGbmText, EveryPartOfAModelIsRead) {
  Result<Forest> forest = ParseLightGbmText(LightGbmModel());
  ASSERT_TRUE(forest.ok()) << forest.error().message;
  EXPECT_EQ(forest->feature_count, 2);
  EXPECT_EQ(forest->iterations, 2);
  EXPECT_THAT(forest->feature_names, ElementsAre("a", "b"));
  EXPECT_THAT(forest->categorical_features, ElementsAre(1));
  EXPECT_EQ(forest->library, "lightgbm v4");
  EXPECT_EQ(forest->kind, PredictionKind::kRegression);
  ASSERT_EQ(forest->trees.size(), 2U);
  const Tree& tree = forest->trees[0];
  EXPECT_THAT(tree.split_feature, ElementsAre(0, 1));
  EXPECT_THAT(tree.threshold, ElementsAre(0.5, 0));
  EXPECT_THAT(tree.category_set, ElementsAre(-1, 0));
  EXPECT_THAT(tree.missing_type, ElementsAre(MissingType::kNaN, MissingType::kNone));
  EXPECT_THAT(tree.default_left, ElementsAre(1, 0));
  EXPECT_THAT(tree.leaf_value, ElementsAre(1, 2, 3));
  EXPECT_THAT(tree.leaf_count, ElementsAre(10, 20, 30));
  EXPECT_THAT(tree.split_gain, ElementsAre(5, 4));
  EXPECT_THAT(tree.category_begin, ElementsAre(0, 1));
  EXPECT_THAT(tree.category_bits, ElementsAre(6));
  EXPECT_THAT(forest->trees[1].leaf_value, ElementsAre(0.25));
}

TEST(LightGbmText, FilesOfTheLibraryAreRead) {
  for (const char* name : {"regression.txt", "binary_categorical.txt", "multiclass_rf.txt",
                           "linear.txt", "single_leaf.txt", "pandas.txt", "crlf.txt"}) {
    const std::string text = Seed(name);
    EXPECT_TRUE(LooksLikeLightGbmText(text));
    Result<Forest> forest = ParseLightGbmText(text);
    EXPECT_TRUE(forest.ok()) << name << ": " << forest.error().message;
  }
  Result<Forest> rf = ParseLightGbmText(Seed("multiclass_rf.txt"));
  ASSERT_TRUE(rf.ok());
  EXPECT_TRUE(rf->average);
  EXPECT_EQ(rf->outputs, 3);
  EXPECT_EQ(rf->transform, OutputTransform::kSoftmax);
  Result<Forest> pandas = ParseLightGbmText(Seed("pandas.txt"));
  ASSERT_TRUE(pandas.ok());
  EXPECT_EQ(pandas->pandas_categorical, R"([["blue", "red"]])");
  EXPECT_THAT(pandas->categorical_features, ElementsAre(1));
}

TEST(LightGbmText, LineEndsOfWindowsChangeNothing) {
  Result<Forest> unix_ends = ParseLightGbmText(Seed("regression.txt"));
  Result<Forest> windows_ends = ParseLightGbmText(Seed("crlf.txt"));
  ASSERT_TRUE(unix_ends.ok() && windows_ends.ok());
  EXPECT_EQ(unix_ends->trees[0].threshold, windows_ends->trees[0].threshold);
  EXPECT_EQ(unix_ends->feature_names, windows_ends->feature_names);
}

struct ObjectiveCase {
  const char* text;
  OutputTransform transform;
  PredictionKind kind;
};

TEST(LightGbmText, ObjectivesDecideTransformAndKind) {
  const ObjectiveCase cases[] = {
      {"regression", OutputTransform::kIdentity, PredictionKind::kRegression},
      {"regression sqrt", OutputTransform::kSignedSquare, PredictionKind::kRegression},
      {"quantile sqrt", OutputTransform::kSignedSquare, PredictionKind::kRegression},
      {"huber", OutputTransform::kIdentity, PredictionKind::kRegression},
      {"tweedie", OutputTransform::kExp, PredictionKind::kRegression},
      {"binary sigmoid:2", OutputTransform::kSigmoid, PredictionKind::kBinary},
      {"cross_entropy", OutputTransform::kSigmoid, PredictionKind::kRegression},
      {"cross_entropy_lambda", OutputTransform::kLog1pExp, PredictionKind::kRegression},
      {"lambdarank", OutputTransform::kIdentity, PredictionKind::kRaw},
      {"custom", OutputTransform::kIdentity, PredictionKind::kRaw},
  };
  for (const ObjectiveCase& test : cases) {
    Result<Forest> forest = ParseLightGbmText(
        Replaced(LightGbmModel(), "objective=regression", fmt::format("objective={}", test.text)));
    ASSERT_TRUE(forest.ok()) << test.text << ": " << forest.error().message;
    EXPECT_EQ(forest->transform, test.transform) << test.text;
    EXPECT_EQ(forest->kind, test.kind) << test.text;
  }
  Result<Forest> none = ParseLightGbmText(Replaced(LightGbmModel(), "objective=regression\n", ""));
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->kind, PredictionKind::kRaw);
}

struct BadCase {
  const char* from;
  const char* to;
  const char* message;
};

TEST(LightGbmText, WhatIsWrongIsRefusedWithPlaceAndReason) {
  const BadCase cases[] = {
      {"tree\n", "forest\n", "first line"},
      {"version=v4", "version=v2", "'v2' is not supported"},
      {"version=v4\n", "version=v4\nversion=v4\n", "line 3: key 'version' stands twice"},
      {"num_class=1\n", "", "no 'num_class'"},
      {"num_class=1\n", "num_class=2\n", "2 classes with 1 trees"},
      {"num_tree_per_iteration=1", "num_tree_per_iteration=0", "num_tree_per_iteration"},
      {"max_feature_idx=1", "max_feature_idx=99999999", "max_feature_idx"},
      {"max_feature_idx=1", "max_feature_idx=2", "2 names for 3 features"},
      {"feature_names=a b", "feature_names=a a", "'a' stands twice"},
      {"feature_infos=[0:1] 3:1:2", "feature_infos=none", "1 values for 2 features"},
      {"objective=regression\n", "objective=magic\n", "unknown objective 'magic'"},
      {"objective=regression\n", "objective=binary\n", "sigmoid"},
      {"objective=regression\n", "objective=binary sigmoid:-1\n", "not above 0"},
      {"objective=regression\n", "objective=multiclass num_class:3\n", "3 classes"},
      {"label_index=0\n", "label_index=0\nsurprise=1\n", "unknown key 'surprise'"},
      {"feature_infos=[0:1] 3:1:2\n", "feature_infos=[0:1] 3:1:2\ntree_sizes=10 10\n",
       "the header says 10"},
      {"Tree=1", "Tree=2", "where tree 1 belongs"},
      {"num_cat=1\n", "num_cat=1\nnum_cat=1\n", "key 'num_cat' stands twice"},
      {"num_leaves=3\n", "num_leaves=1000000000\n", "instead of 1000000000"},
      {"num_leaves=3\n", "num_leaves=0\n", "from 1 to"},
      {"num_leaves=3\n", "", "tree 0: key 'num_leaves' is missing"},
      {"leaf_value=1 2 3", "leaf_value=1 2", "2 values instead of 3"},
      {"leaf_value=1 2 3", "leaf_value=1 2 3 4", "more than 3"},
      {"leaf_value=1 2 3", "leaf_value=1 x 3", "'x' is not a number"},
      {"leaf_value=1 2 3", "leaf_value=1 nan 3", "leaf 1 is not a finite number"},
      {"threshold=0.5 0", "threshold=nan 0", "no number as its threshold"},
      {"threshold=0.5 0", "threshold=0.5 1", "not one of 1 category sets"},
      {"threshold=0.5 0", "threshold=0.5 0.5", "not one of 1 category sets"},
      {"split_feature=0 1", "split_feature=0 2", "node 1 splits on feature 2 of 2"},
      {"split_feature=0 1", "split_feature=-1 1", "feature -1"},
      {"left_child=1 -1", "left_child=7 -1", "out of range"},
      {"left_child=1 -1", "left_child=1 -9", "out of range"},
      {"left_child=1 -1", "left_child=1 0", "reached twice"},
      {"left_child=1 -1", "left_child=1 -2", "reached twice"},
      {"left_child=1 -1\nright_child=-3 -2", "left_child=-1 1\nright_child=-3 -2",
       "cannot be reached"},
      {"decision_type=10 1", "decision_type=15 1", "not a decision"},
      {"cat_boundaries=0 1", "cat_boundaries=0 2", "1 values instead of 2"},
      {"cat_boundaries=0 1", "cat_boundaries=1 1", "begin at 0"},
      {"cat_boundaries=0 1", "cat_boundaries=0 -1", "negative"},
      {"is_linear=0", "is_linear=1", "leaf_const"},
      {"end of trees\n", "", "'end of trees' belongs"},
      {"end of parameters\n", "", "cut off"},
      {"end of parameters\n", "end of parameters\n\npandas_categorical:[[\"a\"", "line"},
  };
  for (const BadCase& test : cases) {
    std::string text = LightGbmModel();
    // The last case's mark needs the importances gone as well.
    if (std::string_view(test.from) == "end of trees\n")
      text = Replaced(text, "feature_importances:\n", "");
    Result<Forest> forest = ParseLightGbmText(Replaced(text, test.from, test.to));
    ASSERT_FALSE(forest.ok()) << test.from << " -> " << test.to;
    EXPECT_EQ(forest.error().code, ErrorCode::kCorruption);
    EXPECT_THAT(forest.error().message, HasSubstr(test.message));
    EXPECT_THAT(forest.error().message, HasSubstr("LightGBM model"));
  }
}

TEST(LightGbmText, AFileCutAnywhereBeforeItsEndOfTreesIsRefused) {
  const std::string text = Seed("regression.txt");
  const size_t end = text.find("end of trees");
  for (size_t size = 0; size < end + 12; ++size) {
    EXPECT_FALSE(ParseLightGbmText(text.substr(0, size)).ok()) << size;
  }
}

TEST(LightGbmText, AChangedLengthOfATreeIsNoticed) {
  const std::string text = Replaced(Seed("regression.txt"), "is_linear=0", "is_linear=0 ");
  EXPECT_FALSE(ParseLightGbmText(text).ok());
}

TEST(LightGbmText, NumbersAreCorrectlyRounded) {
  const std::string text = Replaced(LightGbmModel(), "leaf_value=1 2 3",
                                    "leaf_value=2.2250738585072011e-308 5e-324 0.1");
  Result<Forest> forest = ParseLightGbmText(text);
  ASSERT_TRUE(forest.ok()) << forest.error().message;
  EXPECT_THAT(forest->trees[0].leaf_value, ElementsAre(2.2250738585072011e-308, 5e-324, 0.1));
}

TEST(Validate, RefusesWhatAnImporterCouldGetWrong) {
  Result<Forest> good = ParseLightGbmText(LightGbmModel());
  ASSERT_TRUE(good.ok());
  const auto refused = [&](const std::function<void(Forest*)>& change) {
    Forest forest = *good;
    change(&forest);
    return !Validate(forest).ok();
  };
  EXPECT_TRUE(Validate(*good).ok());
  EXPECT_TRUE(refused([](Forest* f) { f->trees.clear(); }));
  EXPECT_TRUE(refused([](Forest* f) { f->outputs = 0; }));
  EXPECT_TRUE(refused([](Forest* f) { f->iterations = 1; }));
  EXPECT_TRUE(refused([](Forest* f) { f->sigmoid = 0; }));
  EXPECT_TRUE(refused([](Forest* f) { f->feature_count = 1; }));
  EXPECT_TRUE(refused([](Forest* f) { f->trees[0].right.pop_back(); }));
  EXPECT_TRUE(refused([](Forest* f) { f->trees[0].leaf_count.pop_back(); }));
  EXPECT_TRUE(refused([](Forest* f) { f->trees[0].category_set[0] = 1; }));
  EXPECT_TRUE(refused([](Forest* f) { f->trees[0].category_bits.clear(); }));
  EXPECT_TRUE(refused([](Forest* f) { f->trees[0].linear.resize(2); }));
  EXPECT_TRUE(refused([](Forest* f) { f->trees[1].linear = {{1, {5}, {1}}}; }));
  EXPECT_TRUE(refused([](Forest* f) { f->trees[1].linear = {{1, {0}, {}}}; }));
  EXPECT_TRUE(refused([](Forest* f) { f->categorical_features = {9}; }));
}

}  // namespace
}  // namespace slipway
