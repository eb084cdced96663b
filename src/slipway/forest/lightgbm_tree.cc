#include "slipway/forest/lightgbm_tree.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace slipway::lightgbm {
namespace {

// Bits of decision_type.
constexpr int kCategoricalBit = 1;
constexpr int kDefaultLeftBit = 2;
constexpr int kMissingShift = 2;

constexpr std::array<std::string_view, 22> kTreeKeys = {
    "num_leaves",    "num_cat",        "split_feature",   "split_gain",     "threshold",
    "decision_type", "left_child",     "right_child",     "leaf_value",     "leaf_weight",
    "leaf_count",    "internal_value", "internal_weight", "internal_count", "cat_boundaries",
    "cat_threshold", "is_linear",      "leaf_const",      "num_features",   "leaf_features",
    "leaf_coeff",    "shrinkage"};

class Block {
 public:
  Status Read(Lines* lines) {
    std::string_view line;
    while (lines->Next(&line) && !line.empty()) {
      const size_t equals = line.find('=');
      if (equals == std::string_view::npos)
        return BadLine(lines->number(), "a tree's line has no '='");
      const std::string_view key = line.substr(0, equals);
      const auto known = std::find(kTreeKeys.begin(), kTreeKeys.end(), key);
      if (known == kTreeKeys.end()) {
        return BadLine(lines->number(),
                       fmt::format("unknown key '{}' in a tree", key.substr(0, 40)));
      }
      Entry& entry = entries_[static_cast<size_t>(known - kTreeKeys.begin())];
      if (entry.line != 0) {
        return BadLine(
            lines->number(),
            fmt::format("key '{}' stands twice in a tree, first on line {}", key, entry.line));
      }
      entry = {line.substr(equals + 1), lines->number()};
    }
    return {};
  }

  bool Has(std::string_view key) const { return Find(key).line != 0; }

  Result<std::string_view> Text(std::string_view key) const {
    const Entry& entry = Find(key);
    if (entry.line == 0) return Corruption(fmt::format("key '{}' is missing", key));
    return entry.text;
  }

  Result<int32_t> Int(std::string_view key, int32_t least, int32_t most) const {
    ASSIGN_OR_RETURN(const std::string_view text, Text(key));
    return At(key, ParseInt(key, text, least, most));
  }
  Result<std::vector<int32_t>> Ints(std::string_view key, size_t count) const {
    ASSIGN_OR_RETURN(const std::string_view text, Text(key));
    return At(key, ParseInts(key, text, count));
  }
  Result<std::vector<double>> Doubles(std::string_view key, size_t count) const {
    ASSIGN_OR_RETURN(const std::string_view text, Text(key));
    return At(key, ParseDoubles(key, text, count));
  }
  Result<std::vector<uint32_t>> Bits(std::string_view key, size_t count) const {
    ASSIGN_OR_RETURN(const std::string_view text, Text(key));
    return At(key, ParseWords32(key, text, count));
  }
  // Statistics that predicting does not need: empty when the key is absent or, in a tree of one
  // leaf, has no values.
  Result<std::vector<double>> Statistics(std::string_view key, size_t count) const {
    const Entry& entry = Find(key);
    if (entry.text.find_first_not_of(' ') == std::string_view::npos) return std::vector<double>();
    return At(key, ParseDoubles(key, entry.text, count));
  }

  Error Bad(std::string_view key, std::string_view message) const {
    return BadLine(Find(key).line, fmt::format("key '{}': {}", key, message));
  }

 private:
  struct Entry {
    std::string_view text;
    int64_t line = 0;
  };

  const Entry& Find(std::string_view key) const {
    const auto known = std::find(kTreeKeys.begin(), kTreeKeys.end(), key);
    return entries_[static_cast<size_t>(known - kTreeKeys.begin())];
  }

  template <typename T>
  Result<T> At(std::string_view key, Result<T> result) const {
    if (result.ok()) return result;
    return result.error().Within(fmt::format("line {}", Find(key).line));
  }

  std::array<Entry, kTreeKeys.size()> entries_;
};

Status ReadCategorySets(const Block& block, int32_t sets, Tree* tree) {
  ASSIGN_OR_RETURN(tree->category_begin,
                   block.Ints("cat_boundaries", static_cast<size_t>(sets) + 1));
  if (tree->category_begin.back() < 0) return block.Bad("cat_boundaries", "a negative boundary");
  const size_t words = static_cast<size_t>(tree->category_begin.back());
  ASSIGN_OR_RETURN(tree->category_bits, block.Bits("cat_threshold", words));
  return {};
}

Status ReadNodes(const Block& block, size_t inner, int32_t sets, Tree* tree) {
  ASSIGN_OR_RETURN(tree->split_feature, block.Ints("split_feature", inner));
  ASSIGN_OR_RETURN(tree->threshold, block.Doubles("threshold", inner));
  ASSIGN_OR_RETURN(tree->left, block.Ints("left_child", inner));
  ASSIGN_OR_RETURN(tree->right, block.Ints("right_child", inner));
  ASSIGN_OR_RETURN(const std::vector<int32_t> decisions, block.Ints("decision_type", inner));
  tree->category_set.assign(inner, -1);
  tree->missing_type.resize(inner);
  tree->default_left.resize(inner);
  for (size_t i = 0; i < inner; ++i) {
    const int32_t decision = decisions[i];
    const int32_t missing = decision >> kMissingShift;
    if (decision < 0 || missing > 2) {
      return block.Bad("decision_type",
                       fmt::format("{} of node {} is not a decision", decision, i));
    }
    tree->missing_type[i] = static_cast<MissingType>(missing);
    tree->default_left[i] = (decision & kDefaultLeftBit) != 0;
    if ((decision & kCategoricalBit) == 0) continue;
    const double set = tree->threshold[i];
    if (!(set >= 0 && set < sets) || set != std::floor(set)) {
      return block.Bad("threshold",
                       fmt::format("{} of node {} is not one of {} category sets", set, i, sets));
    }
    tree->category_set[i] = static_cast<int32_t>(set);
    tree->threshold[i] = 0;
    tree->default_left[i] = 0;  // NaN is in no category set, whatever the bit says
  }
  return {};
}

Status ReadLinearLeaves(const Block& block, size_t leaves, Tree* tree) {
  ASSIGN_OR_RETURN(const std::vector<double> constants, block.Doubles("leaf_const", leaves));
  ASSIGN_OR_RETURN(const std::vector<int32_t> counts, block.Ints("num_features", leaves));
  size_t total = 0;
  for (const int32_t count : counts) {
    if (count < 0) return block.Bad("num_features", "a negative count");
    total += static_cast<size_t>(count);
  }
  ASSIGN_OR_RETURN(const std::vector<int32_t> features, block.Ints("leaf_features", total));
  ASSIGN_OR_RETURN(const std::vector<double> coefficients, block.Doubles("leaf_coeff", total));
  tree->linear.resize(leaves);
  auto feature = features.begin();
  auto coefficient = coefficients.begin();
  for (size_t leaf = 0; leaf < leaves; ++leaf) {
    tree->linear[leaf] = {constants[leaf],
                          {feature, feature + counts[leaf]},
                          {coefficient, coefficient + counts[leaf]}};
    feature += counts[leaf];
    coefficient += counts[leaf];
  }
  return {};
}

}  // namespace

Result<Tree> ParseTreeBlock(Lines* lines) {
  Block block;
  RETURN_IF_ERROR(block.Read(lines));
  Tree tree;
  constexpr int32_t kMost = 1 << 30;
  ASSIGN_OR_RETURN(const int32_t num_leaves, block.Int("num_leaves", 1, kMost));
  ASSIGN_OR_RETURN(const int32_t sets, block.Int("num_cat", 0, kMost));
  const size_t leaves = static_cast<size_t>(num_leaves);
  const size_t inner = leaves - 1;
  ASSIGN_OR_RETURN(tree.leaf_value, block.Doubles("leaf_value", leaves));
  if (inner > 0) {
    RETURN_IF_ERROR(ReadNodes(block, inner, sets, &tree));
    if (sets > 0) RETURN_IF_ERROR(ReadCategorySets(block, sets, &tree));
    ASSIGN_OR_RETURN(tree.split_gain, block.Statistics("split_gain", inner));
    ASSIGN_OR_RETURN(tree.internal_value, block.Statistics("internal_value", inner));
    ASSIGN_OR_RETURN(tree.internal_count, block.Statistics("internal_count", inner));
  } else if (sets > 0) {
    return block.Bad("num_cat", "category sets in a tree of one leaf");
  }
  ASSIGN_OR_RETURN(tree.leaf_count, block.Statistics("leaf_count", leaves));
  int32_t is_linear = 0;
  if (block.Has("is_linear")) {
    ASSIGN_OR_RETURN(is_linear, block.Int("is_linear", 0, 1));
  }
  if (is_linear != 0) RETURN_IF_ERROR(ReadLinearLeaves(block, leaves, &tree));
  return tree;
}

}  // namespace slipway::lightgbm
