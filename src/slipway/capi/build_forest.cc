#include "slipway/capi/build_forest.h"

#include <cmath>
#include <set>

#include <fmt/format.h>

#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr int64_t kMaxFeatures = 10'000'000;
constexpr int64_t kMaxTrees = 10'000'000;
constexpr int64_t kMaxNodes = int64_t{1} << 40;
constexpr int64_t kMaxSetWords = int64_t{1} << 31;

Status CheckHead(const slipway_forest& arrays) {
  if (arrays.struct_size != sizeof(slipway_forest)) {
    return InvalidArgument(fmt::format("struct_size is {} and the library's is {}",
                                       arrays.struct_size, sizeof(slipway_forest)),
                           "header and library are of different versions");
  }
  const auto in_range = [](int64_t value, int64_t least, int64_t most, std::string_view what) {
    if (value >= least && value <= most) return Status();
    return Status(InvalidArgument(fmt::format("{} is {}", what, value)));
  };
  RETURN_IF_ERROR(in_range(arrays.feature_count, 0, kMaxFeatures, "feature_count"));
  RETURN_IF_ERROR(in_range(arrays.score_count, 1, kMaxTrees, "score_count"));
  RETURN_IF_ERROR(in_range(arrays.tree_count, 0, kMaxTrees, "tree_count"));
  RETURN_IF_ERROR(in_range(arrays.set_count, 0, kMaxSetWords, "set_count"));
  RETURN_IF_ERROR(in_range(arrays.kind, SLIPWAY_REGRESSION, SLIPWAY_RAW, "kind"));
  RETURN_IF_ERROR(in_range(arrays.transform, SLIPWAY_IDENTITY, SLIPWAY_STEP, "transform"));
  RETURN_IF_ERROR(
      in_range(arrays.value_rule, SLIPWAY_VALUES_LIGHTGBM, SLIPWAY_VALUES_PLAIN, "value_rule"));
  if (arrays.tree_count == 0) return {};
  if (arrays.node_begin == nullptr || arrays.leaf_value == nullptr)
    return InvalidArgument("node_begin or leaf_value is NULL");
  if (arrays.node_begin[0] != 0) return InvalidArgument("node_begin does not begin with 0");
  for (int64_t tree = 0; tree < arrays.tree_count; ++tree) {
    if (arrays.node_begin[tree + 1] < arrays.node_begin[tree] ||
        arrays.node_begin[tree + 1] > kMaxNodes) {
      return InvalidArgument(fmt::format("tree {} has nodes {} to {}", tree,
                                         arrays.node_begin[tree], arrays.node_begin[tree + 1]));
    }
  }
  if (arrays.node_begin[arrays.tree_count] > 0 &&
      (arrays.split_feature == nullptr || arrays.threshold == nullptr || arrays.left == nullptr ||
       arrays.right == nullptr || arrays.default_left == nullptr)) {
    return InvalidArgument(
        "split_feature, threshold, left, right or default_left is NULL, and there are nodes");
  }
  if (arrays.set_count > 0 && (arrays.set_begin == nullptr || arrays.set_bits == nullptr))
    return InvalidArgument("set_begin or set_bits is NULL, and there are sets");
  for (int64_t set = 0; set < arrays.set_count; ++set) {
    if (arrays.set_begin[0] != 0 || arrays.set_begin[set + 1] < arrays.set_begin[set] ||
        arrays.set_begin[set + 1] > kMaxSetWords) {
      return InvalidArgument(fmt::format("set {} has words {} to {}", set, arrays.set_begin[set],
                                         arrays.set_begin[set + 1]));
    }
  }
  return {};
}

Status ReadNames(const slipway_forest& arrays, Forest* forest) {
  std::set<std::string_view> seen;
  for (int64_t i = 0; i < arrays.feature_count; ++i) {
    if (arrays.feature_names == nullptr) {
      forest->feature_names.push_back(fmt::format("f{}", i));
      continue;
    }
    const char* name = arrays.feature_names[i];
    if (name == nullptr || !IsValidUtf8(name))
      return InvalidArgument(fmt::format("the name of feature {} is NULL or not UTF-8", i));
    if (!seen.insert(name).second)
      return InvalidArgument(
          fmt::format("the feature name '{}' stands twice", std::string_view(name).substr(0, 60)));
    forest->feature_names.emplace_back(name);
  }
  return {};
}

// The sets that a tree uses become its own, in order of use.
Status AddCategorySet(const slipway_forest& arrays, int64_t node, Tree* tree) {
  const int32_t set = arrays.category_set == nullptr ? -1 : arrays.category_set[node];
  if (set == -1) {
    tree->category_set.push_back(-1);
    return {};
  }
  if (set < 0 || set >= arrays.set_count)
    return InvalidArgument(
        fmt::format("node {} uses category set {} of {}", node, set, arrays.set_count));
  if (tree->category_begin.empty()) tree->category_begin.push_back(0);
  tree->category_set.push_back(static_cast<int32_t>(tree->category_begin.size()) - 1);
  tree->category_bits.insert(tree->category_bits.end(), arrays.set_bits + arrays.set_begin[set],
                             arrays.set_bits + arrays.set_begin[set + 1]);
  if (tree->category_bits.size() > static_cast<size_t>(INT32_MAX))
    return InvalidArgument("a tree's category sets are too large");
  tree->category_begin.push_back(static_cast<int32_t>(tree->category_bits.size()));
  return {};
}

Result<Tree> ReadTree(const slipway_forest& arrays, int64_t number) {
  const int64_t begin = arrays.node_begin[number], end = arrays.node_begin[number + 1];
  const int64_t leaves = begin + number, leaves_end = end + number + 1;
  Tree tree;
  if (end > begin) {
    tree.split_feature.assign(arrays.split_feature + begin, arrays.split_feature + end);
    tree.threshold.assign(arrays.threshold + begin, arrays.threshold + end);
    tree.left.assign(arrays.left + begin, arrays.left + end);
    tree.right.assign(arrays.right + begin, arrays.right + end);
    tree.default_left.assign(arrays.default_left + begin, arrays.default_left + end);
  }
  for (int64_t node = begin; node < end; ++node) {
    const uint8_t missing =
        arrays.missing_type == nullptr ? uint8_t{SLIPWAY_MISSING_NAN} : arrays.missing_type[node];
    if (missing > SLIPWAY_MISSING_NAN)
      return InvalidArgument(fmt::format("node {} has the missing type {}", node - begin, missing));
    tree.missing_type.push_back(static_cast<MissingType>(missing));
    RETURN_IF_ERROR(AddCategorySet(arrays, node, &tree));
  }
  tree.leaf_value.assign(arrays.leaf_value + leaves, arrays.leaf_value + leaves_end);
  if (arrays.node_count != nullptr && arrays.leaf_count != nullptr) {
    tree.internal_count.assign(arrays.node_count + begin, arrays.node_count + end);
    tree.leaf_count.assign(arrays.leaf_count + leaves, arrays.leaf_count + leaves_end);
    for (const std::vector<double>* counts : {&tree.internal_count, &tree.leaf_count}) {
      for (const double count : *counts) {
        if (!std::isfinite(count) || count < 0)
          return InvalidArgument("a count is negative or not a number");
      }
    }
  }
  return tree;
}

}  // namespace

Result<Forest> ForestFromArrays(const slipway_forest& arrays) {
  RETURN_IF_ERROR(CheckHead(arrays));
  Forest forest;
  forest.feature_count = static_cast<int>(arrays.feature_count);
  forest.outputs = static_cast<int>(arrays.score_count);
  forest.iterations = static_cast<int>(arrays.tree_count / arrays.score_count);
  // The enums have the same numbers in the same order.
  static constexpr PredictionKind kKinds[] = {PredictionKind::kRegression, PredictionKind::kBinary,
                                              PredictionKind::kMulticlass, PredictionKind::kRaw};
  forest.kind = kKinds[arrays.kind];
  forest.transform = static_cast<OutputTransform>(arrays.transform);
  static_assert(static_cast<int>(OutputTransform::kStep) == SLIPWAY_STEP);
  forest.values = static_cast<ValueRule>(arrays.value_rule);
  static_assert(static_cast<int>(ValueRule::kPlain) == SLIPWAY_VALUES_PLAIN);
  static_assert(static_cast<int>(MissingType::kNaN) == SLIPWAY_MISSING_NAN);
  forest.average = arrays.average != 0;
  forest.float32_sums = arrays.float32_sums != 0;
  forest.sigmoid = arrays.sigmoid;
  forest.library = arrays.library == nullptr ? "arrays" : arrays.library;
  forest.objective = arrays.objective == nullptr ? "" : arrays.objective;
  if (arrays.base != nullptr) forest.base.assign(arrays.base, arrays.base + arrays.score_count);
  RETURN_IF_ERROR(ReadNames(arrays, &forest));
  forest.trees.reserve(static_cast<size_t>(arrays.tree_count));
  std::set<int32_t> categorical;
  for (int64_t i = 0; i < arrays.tree_count; ++i) {
    Result<Tree> tree = ReadTree(arrays, i);
    if (!tree.ok()) return tree.error().Within(fmt::format("tree {}", i));
    for (size_t node = 0; node < tree->category_set.size(); ++node) {
      if (tree->category_set[node] >= 0) categorical.insert(tree->split_feature[node]);
    }
    forest.trees.push_back(std::move(*tree));
  }
  forest.categorical_features.assign(categorical.begin(), categorical.end());
  return forest;
}

}  // namespace slipway
