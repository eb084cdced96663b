#include "slipway/forest/xgboost_json.h"

#include <bit>

#include <fmt/format.h>

#include "slipway/base/file.h"
#include "slipway/forest/float32_threshold.h"
#include "slipway/forest/model_value.h"
#include "slipway/forest/replaced_for_test.h"

namespace slipway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Two features; tree 0: f0 below 0.5 (missing left), else f1 in {1, 3} right; node 5 was pruned.
constexpr std::string_view kTree0 =
    R"({"base_weights":[0.5,1,0.25,2,3,9],"categories":[1,3],"categories_nodes":[2],)"
    R"("categories_segments":[0],"categories_sizes":[2],"default_left":[1,0,1,0,0,0],"id":0,)"
    R"("left_children":[1,-1,3,-1,-1,-1],"loss_changes":[7,0,6,0,0,0],)"
    R"("parents":[2147483647,0,0,2,2,4],"right_children":[2,-1,4,-1,-1,-1],)"
    R"("split_conditions":[5E-1,1,1E-45,2.5,-3,0],"split_indices":[0,0,1,0,0,0],)"
    R"("split_type":[0,0,1,0,0,0],"sum_hessian":[10,4,6,2,4,1],)"
    R"("tree_param":{"num_deleted":"1","num_feature":"2","num_nodes":"6","size_leaf_vector":"1"}})";
constexpr std::string_view kTree1 =
    R"({"base_weights":[0.25],"categories":[],"categories_nodes":[],"categories_segments":[],)"
    R"("categories_sizes":[],"default_left":[0],"id":1,"left_children":[-1],"loss_changes":[0],)"
    R"("parents":[2147483647],"right_children":[-1],"split_conditions":[0.25],)"
    R"("split_indices":[0],"split_type":[0],"sum_hessian":[10],)"
    R"("tree_param":{"num_deleted":"0","num_feature":"2","num_nodes":"1","size_leaf_vector":"1"}})";

std::string XgboostModel() {
  return fmt::format(
      R"({{"learner":{{"attributes":{{"best_iteration":"1"}},"feature_names":["a","b\u00e9"],)"
      R"("feature_types":["float","c"],"gradient_booster":{{"model":{{)"
      R"("gbtree_model_param":{{"num_parallel_tree":"1","num_trees":"2"}},)"
      R"("iteration_indptr":[0,1,2],"tree_info":[0,0],"trees":[{},{}]}},"name":"gbtree"}},)"
      R"("learner_model_param":{{"base_score":"[2E-1]","boost_from_average":"1",)"
      R"("num_class":"0","num_feature":"2","num_target":"1"}},"objective":)"
      R"({{"name":"binary:logistic","reg_loss_param":{{"scale_pos_weight":"1"}}}}}},)"
      R"("version":[3,2,0]}})",
      kTree0, kTree1);
}

// Big-endian, and lists of numbers as "[$d#L", as XGBoost writes them.
void AppendUbjson(const ModelValue& value, std::string* out) {
  const auto append = [out](uint64_t bits, int bytes) {
    while (bytes-- > 0) out->push_back(static_cast<char>(bits >> (8 * bytes)));
  };
  const auto text = [&](const std::string& from) {
    out->push_back('L');
    append(from.size(), 8);
    *out += from;
  };
  switch (value.kind) {
    case ModelValue::Kind::kNumber:
      out->push_back('l');
      return append(static_cast<uint64_t>(value.number), 4);
    case ModelValue::Kind::kString:
      out->push_back('S');
      return text(value.text);
    case ModelValue::Kind::kNumbers:
      *out += "[$d#L";
      append(value.numbers.size(), 8);
      for (const double number : value.numbers)
        append(std::bit_cast<uint32_t>(static_cast<float>(number)), 4);
      return;
    case ModelValue::Kind::kList:
      *out += "[#L";
      append(value.items.size(), 8);
      for (const ModelValue& item : value.items) AppendUbjson(item, out);
      return;
    case ModelValue::Kind::kObject:
      out->push_back('{');
      for (size_t i = 0; i < value.items.size(); ++i) {
        text(value.keys[i]);
        AppendUbjson(value.items[i], out);
      }
      out->push_back('}');
      return;
    default:
      FAIL() << "a kind that these models have not";
  }
}

std::string AsUbjson(const std::string& json) {
  const Result<ModelValue> value = ParseModelJson(json);
  EXPECT_TRUE(value.ok());
  std::string bytes;
  AppendUbjson(*value, &bytes);
  return bytes;
}

TEST(XGBoost, EveryPartOfAModelIsReadFromJsonAndUbj) {
  for (const std::string& bytes : {XgboostModel(), AsUbjson(XgboostModel())}) {
    EXPECT_TRUE(LooksLikeXGBoost(bytes));
    const Result<Forest> forest = ParseXGBoost(bytes);
    ASSERT_TRUE(forest.ok()) << forest.error().message;
    EXPECT_EQ(forest->feature_count, 2);
    EXPECT_EQ(forest->outputs, 1);
    EXPECT_EQ(forest->iterations, 2);
    EXPECT_EQ(forest->best_iteration, 1);
    EXPECT_EQ(forest->library, "xgboost 3.2.0");
    EXPECT_EQ(forest->objective, "binary:logistic");
    EXPECT_EQ(forest->kind, PredictionKind::kBinary);
    EXPECT_EQ(forest->transform, OutputTransform::kSigmoid);
    EXPECT_EQ(forest->values, ValueRule::kXGBoost);
    EXPECT_TRUE(forest->float32_sums);
    EXPECT_THAT(forest->base, ElementsAre(-std::log(1.0F / 0.2F - 1.0F)));
    EXPECT_THAT(forest->feature_names, ElementsAre("a", "b\xC3\xA9"));
    EXPECT_THAT(forest->categorical_features, ElementsAre(1));
    ASSERT_EQ(forest->trees.size(), 2U);
    const Tree& tree = forest->trees[0];
    EXPECT_THAT(tree.split_feature, ElementsAre(0, 1));
    EXPECT_THAT(tree.threshold, ElementsAre(ThresholdBelowFloat32(0.5F), 0));
    EXPECT_THAT(tree.category_set, ElementsAre(-1, 0));
    EXPECT_THAT(tree.category_bits, ElementsAre(0b1010));
    EXPECT_THAT(tree.left, ElementsAre(~0, ~2));  // the set goes left here
    EXPECT_THAT(tree.right, ElementsAre(1, ~1));
    EXPECT_THAT(tree.leaf_value, ElementsAre(1, 2.5, -3));
    EXPECT_THAT(tree.default_left, ElementsAre(1, 0));  // so NaN goes right
    EXPECT_THAT(tree.internal_count, ElementsAre(10, 6));
    EXPECT_THAT(tree.leaf_count, ElementsAre(4, 2, 4));
    EXPECT_THAT(tree.internal_value, ElementsAre(0.5, 0.25));
    EXPECT_THAT(tree.split_gain, ElementsAre(7, 6));
    EXPECT_THAT(forest->trees[1].leaf_value, ElementsAre(0.25));
    EXPECT_THAT(forest->pandas_categorical, IsEmpty());
  }
}

TEST(XGBoost, FilesOfEveryVersionAreRead) {
  for (const char* version : {"v1", "v2", "v3"}) {
    for (const char* kind : {"categorical", "dart", "linear", "vector", "frame"}) {
      if (version[1] == '1' && kind == std::string_view("vector")) continue;
      if (version[1] != '3' && kind == std::string_view("frame")) continue;
      for (const char* format : {"json", "ubj"}) {
        const std::string path = fmt::format("{}/fuzz/corpus/xgboost_fuzz/{}_{}.{}",
                                             SLIPWAY_SOURCE_DIR, version, kind, format);
        const Result<std::string> bytes = ReadFile(path);
        ASSERT_TRUE(bytes.ok()) << path;
        EXPECT_TRUE(LooksLikeXGBoost(*bytes)) << path;
        const Result<Forest> forest = ParseXGBoost(*bytes);
        ASSERT_TRUE(forest.ok()) << path << ": " << forest.error().message;
        EXPECT_EQ(forest->linear_model.weights.empty(), kind != std::string_view("linear"));
        EXPECT_EQ(forest->outputs, kind == std::string_view("vector")   ? 2
                                   : kind == std::string_view("linear") ? 3
                                                                        : 1);
      }
    }
  }
}

TEST(XGBoost, OnlyItsFilesLookLikeIt) {
  EXPECT_TRUE(LooksLikeXGBoost("{ \n \"learner\": {"));
  EXPECT_TRUE(LooksLikeXGBoost("{\"version\":[1,7,6],\"learner\""));
  EXPECT_FALSE(LooksLikeXGBoost("{\"version\":[1,7,6],\"table\""));
  EXPECT_FALSE(LooksLikeXGBoost("tree\nversion=v4"));
  EXPECT_FALSE(LooksLikeXGBoost("{\"a"));
  EXPECT_FALSE(LooksLikeXGBoost("{"));
  EXPECT_FALSE(LooksLikeXGBoost("{L"));
  EXPECT_FALSE(LooksLikeXGBoost(""));
}

TEST(XGBoost, TreesOfSeveralOutputsTakeTurnsAndKeepTheirOrder) {
  std::string model = Replaced(XgboostModel(), "binary:logistic", "multi:softprob");
  model = Replaced(model, R"("num_class":"0")", R"("num_class":"2")");
  model = Replaced(model, R"("tree_info":[0,0])", R"("tree_info":[1,0])");
  const Result<Forest> forest = ParseXGBoost(model);
  ASSERT_TRUE(forest.ok()) << forest.error().message;
  EXPECT_EQ(forest->iterations, 1);
  EXPECT_THAT(forest->base, ElementsAre(0.2F, 0.2F));
  EXPECT_THAT(forest->trees[0].leaf_value, ElementsAre(0.25));
  EXPECT_EQ(forest->trees[1].leaf_value.size(), 3U);
  EXPECT_EQ(forest->kind, PredictionKind::kMulticlass);
}

TEST(XGBoost, VectorLeavesBecomeATreeForEachOutput) {
  std::string model = Replaced(XgboostModel(), R"("num_target":"1")", R"("num_target":"2")");
  model = Replaced(model, "[2E-1]", "[2E-1,8E-1]");
  for (int i = 0; i < 2; ++i)
    model = Replaced(model, R"("size_leaf_vector":"1")", R"("size_leaf_vector":"2")");
  model = Replaced(model, R"("base_weights":[0.5,1,0.25,2,3,9])",
                   R"("base_weights":[0,0,1,10,0,0,2,20,3,30,9,9])");
  model = Replaced(model, R"("base_weights":[0.25])", R"("base_weights":[7,8])");
  const Result<Forest> forest = ParseXGBoost(model);
  ASSERT_TRUE(forest.ok()) << forest.error().message;
  ASSERT_EQ(forest->trees.size(), 4U);
  EXPECT_THAT(forest->trees[0].leaf_value, ElementsAre(1, 2, 3));
  EXPECT_THAT(forest->trees[1].leaf_value, ElementsAre(10, 20, 30));
  EXPECT_THAT(forest->trees[1].split_feature, ElementsAre(0, 1));
  EXPECT_THAT(forest->trees[2].leaf_value, ElementsAre(7));
  EXPECT_THAT(forest->trees[3].leaf_value, ElementsAre(8));
  EXPECT_EQ(forest->kind, PredictionKind::kRaw);
  EXPECT_EQ(forest->transform, OutputTransform::kSigmoid);

  // From 3.2 on the leaves' values stand apart, and a leaf's right child is its place there.
  std::string apart = Replaced(model, R"("right_children":[2,-1,4,-1,-1,-1])",
                               R"("leaf_weights":[5,50,6,60,7,70],"right_children":[2,2,4,0,1,0])");
  const Result<Forest> newer = ParseXGBoost(apart);
  ASSERT_TRUE(newer.ok()) << newer.error().message;
  EXPECT_THAT(newer->trees[1].leaf_value, ElementsAre(70, 50, 60));
  EXPECT_FALSE(ParseXGBoost(Replaced(apart, "[2,2,4,0,1,0]", "[2,3,4,0,1,0]")).ok());
}

TEST(XGBoost, WeightsOfDartAreMultipliedIntoTheLeaves) {
  std::string model = Replaced(XgboostModel(), R"("gradient_booster":{)",
                               R"("gradient_booster":{"name":"dart","weight_drop":[0.1,-2],)"
                               R"("gbtree":{)");
  model = Replaced(model, R"("name":"gbtree"})", R"("name":"gbtree"}})");
  model = Replaced(model, "2.5,-3,0]", "2.5,-0.0,0]");
  const Result<Forest> forest = ParseXGBoost(model);
  ASSERT_TRUE(forest.ok()) << forest.error().message;
  EXPECT_THAT(forest->trees[0].leaf_value, ElementsAre(0.1F, 0.1F * 2.5F, 0));
  EXPECT_FALSE(std::signbit(forest->trees[0].leaf_value[2]));
  EXPECT_THAT(forest->trees[1].leaf_value, ElementsAre(-0.5));
  EXPECT_FALSE(ParseXGBoost(Replaced(model, "[0.1,-2]", "[0.1]")).ok());
  EXPECT_FALSE(ParseXGBoost(Replaced(model, "[0.1,-2]", "[0.1,NaN]")).ok());
}

TEST(XGBoost, LinearModelsHaveAWeightPerFeatureAndOutputAndTheirBiasesLast) {
  const std::string model =
      R"({"learner":{"feature_names":[],"feature_types":[],"gradient_booster":{"model":)"
      R"({"boosted_rounds":2,"weights":[1,2,3,4,5,6]},"name":"gblinear"},"learner_model_param":)"
      R"({"base_score":"[1E0,2E0]","num_class":"0","num_feature":"2","num_target":"2"},)"
      R"("objective":{"name":"reg:squarederror"}},"version":[3,2,0]})";
  const Result<Forest> forest = ParseXGBoost(model);
  ASSERT_TRUE(forest.ok()) << forest.error().message;
  EXPECT_THAT(forest->linear_model.weights, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(forest->linear_model.bias, ElementsAre(5, 6));
  EXPECT_THAT(forest->base, ElementsAre(1, 1));  // the library takes the first for all
  EXPECT_FALSE(ParseXGBoost(Replaced(model, "[1,2,3,4,5,6]", "[1,2,3,4,5]")).ok());
  EXPECT_FALSE(ParseXGBoost(Replaced(model, "[1,2,3,4,5,6]", "[1,2,3,4,5,NaN]")).ok());
}

TEST(XGBoost, CategoriesOfADataFrameAreKept) {
  const auto with = [](std::string_view enc) {
    return Replaced(XgboostModel(), R"("gbtree_model_param")",
                    fmt::format(R"("cats":{{"enc":{},"feature_segments":[0,0,3],)"
                                R"("sorted_idx":[0,1,2]}},"gbtree_model_param")",
                                enc));
  };
  const std::string empty = R"({"offsets":[],"values":[]})";
  Result<Forest> forest =
      ParseXGBoost(with("[" + empty + R"(,{"offsets":[0,1,3,5],"values":[120,121,121,32,44]}])"));
  ASSERT_TRUE(forest.ok()) << forest.error().message;
  EXPECT_EQ(forest->pandas_categorical, R"([["x","yy"," ,"]])");
  forest = ParseXGBoost(with("[" + empty + R"(,{"type":15,"values":[10,-20]}])"));
  ASSERT_TRUE(forest.ok()) << forest.error().message;
  EXPECT_EQ(forest->pandas_categorical, "[[10,-20]]");
  forest = ParseXGBoost(with("[]"));
  ASSERT_TRUE(forest.ok()) << forest.error().message;
  EXPECT_THAT(forest->pandas_categorical, IsEmpty());
  for (const std::string& enc : {R"([{"type":15,"values":[1]},)" + empty + "]", "[" + empty + "]",
                                 "[" + empty + R"(,{"offsets":[0,9],"values":[120]}])",
                                 "[" + empty + R"(,{"offsets":[1,0],"values":[120]}])",
                                 "[" + empty + R"(,{"offsets":[0,2],"values":[-61,-87]}])",
                                 "[" + empty + R"(,{"type":12,"values":[1.5]}])"}) {
    EXPECT_FALSE(ParseXGBoost(with(enc)).ok()) << enc;
  }
}

struct ObjectiveRule {
  const char* name;
  OutputTransform transform;
  PredictionKind kind;
  double base;  // of 0.2
};

TEST(XGBoost, ObjectivesDecideTransformKindAndBase) {
  const double logit = -std::log(1.0F / 0.2F - 1.0F), log = std::log(0.2F);
  const ObjectiveRule cases[] = {
      {"reg:squarederror", OutputTransform::kIdentity, PredictionKind::kRegression, 0.2F},
      {"reg:logistic", OutputTransform::kSigmoid, PredictionKind::kRegression, logit},
      {"binary:logitraw", OutputTransform::kIdentity, PredictionKind::kRaw, 0.2F},
      {"binary:hinge", OutputTransform::kStep, PredictionKind::kBinary, 0.2F},
      {"count:poisson", OutputTransform::kExp, PredictionKind::kRegression, log},
      {"survival:aft", OutputTransform::kExp, PredictionKind::kRegression, log},
      {"rank:ndcg", OutputTransform::kIdentity, PredictionKind::kRaw, 0.2F},
  };
  for (const ObjectiveRule& test : cases) {
    const Result<Forest> forest =
        ParseXGBoost(Replaced(XgboostModel(), "binary:logistic", test.name));
    ASSERT_TRUE(forest.ok()) << test.name << ": " << forest.error().message;
    EXPECT_EQ(forest->transform, test.transform) << test.name;
    EXPECT_EQ(forest->kind, test.kind) << test.name;
    EXPECT_THAT(forest->base, ElementsAre(test.base)) << test.name;
  }
  // As versions before 3 write it.
  EXPECT_THAT(ParseXGBoost(Replaced(XgboostModel(), "[2E-1]", "2E-1"))->base, ElementsAre(logit));
}

struct BadModel {
  const char* from;
  const char* to;
  const char* message;
};

TEST(XGBoost, WhatIsWrongIsRefusedWithPlaceAndReason) {
  const BadModel cases[] = {
      {"[3,2,0]", "[4,0,0]", "saved by XGBoost 4.0.0"},
      {"[3,2,0]", "[1,6,2]", "saved by XGBoost 1.6.2"},
      {"[3,2,0]", "[3,2]", "'version' has 2 values"},
      {"[3,2,0]", "[3,2,0.5]", "value 2 is 0.5"},
      {"[3,2,0]}", "[3,2,0],\"more\":1}", "'more' is not known"},
      {"[3,2,0]}", "[3,2,0],\"Config\":{}}", "pickled"},
      {"[3,2,0]}", "[3,2,0]} x", "something follows"},
      {"{\"learner\"", "{\"learner\":1,\"learner\"", "the key 'learner' stands twice"},
      {"{\"learner\"", "{\"lerner\"", "'lerner' is not known"},
      {"\"objective\":", "\"objectiv\":", "learner: 'objectiv' is not known"},
      {"binary:logistic", "binary:magic", "objective 'binary:magic' is not known"},
      {"[2E-1]", "[1E0]", "base_score 1 does not suit"},
      {"[2E-1]", "[2E-1,3E-1]", "2 base scores for 1 outputs"},
      {"[2E-1]", "[x]", "'base_score' is '[x]'"},
      {"[2E-1]", "", "'base_score' is ''"},
      {"\"num_class\":\"0\"", "\"num_class\":\"-1\"", "'num_class' is '-1'"},
      {"\"num_class\":\"0\"", "\"num_class\":0", "'num_class' is a number and not a text"},
      {"\"num_class\":\"0\"", "\"num_class\":\"3\"", "output 1 has 0 trees and output 0 has 2"},
      {"\"num_feature\":\"2\",\"num_target\"", "\"num_feature\":\"1\",\"num_target\"",
       "2 feature names for 1 features"},
      {"[\"a\",\"b\\u00e9\"]", "[\"a\",\"a\"]", "'a' stands twice"},
      {"[\"a\",\"b\\u00e9\"]", "[\"a\",1]", "mixes numbers"},
      {"[\"float\",\"c\"]", "[\"float\"]", "1 feature types"},
      {"\"num_class\":\"0\"", "\"num_class\":\"99999999\"", "from 0 to 1000000"},
      {"\"name\":\"gbtree\"", "\"name\":\"gbforest\"", "booster 'gbforest' is not known"},
      {"\"num_trees\":\"2\"", "\"num_trees\":\"3\"", "2 trees and 'num_trees' says 3"},
      {"\"tree_info\":[0,0]", "\"tree_info\":[0]", "'tree_info' has 1 values"},
      {"\"tree_info\":[0,0]", "\"tree_info\":[0,1]", "value 1 is 1"},
      {"\"iteration_indptr\"", "\"iterations\"", "'iterations' is not known"},
      {"\"id\":0", "\"idx\":0", "tree 0: 'idx' is not known"},
      {"\"num_nodes\":\"6\"", "\"num_nodes\":\"7\"", "'left_children' has 6 values and not 7"},
      {"\"num_nodes\":\"6\"", "\"num_nodes\":\"0\"", "'num_nodes' is '0'"},
      {"[1,-1,3,-1,-1,-1]", "[1,-1,6,-1,-1,-1]", "value 2 is 6"},
      {"[1,-1,3,-1,-1,-1]", "[0,-1,3,-1,-1,-1]", "node 0 is reached twice"},
      {"[1,-1,3,-1,-1,-1]", "[1,-1,4,-1,-1,-1]", "node 4 is reached twice"},
      {"[2,-1,4,-1,-1,-1]", "[2,-1,-1,-1,-1,-1]", "node 2: it has a left child"},
      {"[0,0,1,0,0,0],\"split_type\"", "[2,0,1,0,0,0],\"split_type\"", "feature 2 of 2"},
      {"[0,0,1,0,0,0],\"split_type\"", "[-1,0,1,0,0,0],\"split_type\"", "feature -1 of 2"},
      {"[0,0,1,0,0,0],\"split_type\"", "[NaN,0,1,0,0,0],\"split_type\"", "feature nan of 2"},
      {"[5E-1,", "[NaN,", "its split condition is nan"},
      {"[5E-1,", "[-Infinity,", "its split condition is -inf"},
      {"2.5,-3,0]", "2.5,NaN,0]", "leaf 2 is not a finite number"},
      {"\"split_type\":[0,0,1,0,0,0]", "\"split_type\":[0,0,0,0,0,0]", "node 2: its split_type"},
      {"\"split_type\":[0,0,1,0,0,0]", "\"split_type\":[2,0,1,0,0,0]", "node 0: its split_type"},
      {"\"categories\":[1,3]", "\"categories\":[1,-3]", "value 1 is -3"},
      {"\"categories\":[1,3]", "\"categories\":[1,99999999]", "value 1 is 99999999"},
      {"\"categories_sizes\":[2]", "\"categories_sizes\":[3]", "'categories_sizes': value 0"},
      {"\"categories_segments\":[0]", "\"categories_segments\":[1]", "node 2 are out of range"},
      {"\"categories_nodes\":[2]", "\"categories_nodes\":[9]", "value 0 is 9"},
      {"\"sum_hessian\":[10,", "\"sum_hessian\":[", "'sum_hessian' has 5 values"},
      {"\"best_iteration\":\"1\"", "\"best_iteration\":\"x\"", "'best_iteration' is 'x'"},
  };
  for (const BadModel& test : cases) {
    const Result<Forest> forest = ParseXGBoost(Replaced(XgboostModel(), test.from, test.to));
    ASSERT_FALSE(forest.ok()) << test.from << " -> " << test.to;
    EXPECT_EQ(forest.error().code, ErrorCode::kCorruption);
    EXPECT_THAT(forest.error().message, HasSubstr(test.message));
    EXPECT_THAT(forest.error().message, HasSubstr("XGBoost model"));
  }
}

TEST(XGBoost, AModelThatWasNotTrainedIsRefused) {
  std::string model = Replaced(XgboostModel(), fmt::format("[{},{}]", kTree0, kTree1), "[]");
  model = Replaced(model, R"("tree_info":[0,0])", R"("tree_info":[])");
  const Result<Forest> forest = ParseXGBoost(model);
  ASSERT_FALSE(forest.ok());
  EXPECT_THAT(forest.error().message, HasSubstr("no trees"));
}

TEST(XGBoost, AFileCutAnywhereIsRefused) {
  for (const std::string& bytes : {XgboostModel(), AsUbjson(XgboostModel())}) {
    for (size_t size = 0; size < bytes.size(); ++size)
      EXPECT_FALSE(ParseXGBoost(std::string_view(bytes).substr(0, size)).ok()) << size;
    EXPECT_FALSE(ParseXGBoost(bytes + "}").ok());
  }
}

TEST(XGBoost, CategorySetsAreBounded) {
  // 900 nodes with a set of 2 MiB each would fill memory from a small file.
  std::string lefts = "[", rights = "[", ones = "[", zeros = "[", nodes = "[", begins = "[";
  std::string sizes = "[", types = "[";
  constexpr int kSplits = 900;
  for (int node = 0; node <= 2 * kSplits; ++node) {
    const bool split = node % 2 == 0 && node < 2 * kSplits;
    const char* comma = node == 0 ? "" : ",";
    lefts += fmt::format("{}{}", comma, split ? node + 1 : -1);
    rights += fmt::format("{}{}", comma, split ? node + 2 : -1);
    zeros += fmt::format("{}0", comma);
    types += fmt::format("{}{}", comma, split ? 1 : 0);
    if (!split) continue;
    nodes += fmt::format("{}{}", comma, node);
    begins += fmt::format("{}0", comma);
    sizes += fmt::format("{}1", comma);
  }
  const std::string tree = fmt::format(
      R"({{"left_children":{}],"right_children":{}],"split_conditions":{}],"split_indices":{}],)"
      R"("default_left":{}],"split_type":{}],"categories":[16777215],"categories_nodes":{}],)"
      R"("categories_segments":{}],"categories_sizes":{}],"tree_param":{{"num_nodes":"{}"}}}})",
      lefts, rights, zeros, zeros, zeros, types, nodes, begins, sizes, 2 * kSplits + 1);
  const std::string model = Replaced(XgboostModel(), kTree0, tree);
  const Result<Forest> forest = ParseXGBoost(model);
  ASSERT_FALSE(forest.ok());
  EXPECT_THAT(forest.error().message, HasSubstr("category sets are too large"));
  EXPECT_TRUE(ParseXGBoost(Replaced(model, "[16777215]", "[99]")).ok());
}

}  // namespace
}  // namespace slipway
