// Nodes in XGBoost's files: arrays over all nodes, leaves too, of which pruning leaves some behind
// that nothing reaches (src/tree/tree_model.cc, multi_target_tree_model.cc). A number goes left
// when it is, as float32, below the condition; a category goes right when it is in the set.
#include "slipway/forest/xgboost_tree.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "slipway/forest/float32_threshold.h"
#include "slipway/forest/xgboost_members.h"

namespace slipway::xgboost {
namespace {

constexpr std::string_view kTreeMembers[] = {"base_weights",
                                             "categories",
                                             "categories_nodes",
                                             "categories_segments",
                                             "categories_sizes",
                                             "default_left",
                                             "id",
                                             "left_children",
                                             "loss_changes",
                                             "parents",
                                             "right_children",
                                             "split_conditions",
                                             "split_indices",
                                             "split_type",
                                             "sum_hessian",
                                             "tree_param",
                                             "leaf_weights"};
constexpr int32_t kMostNodes = 1 << 30;
// XGBoost holds categories as float32, and takes larger ones for none.
constexpr int32_t kLargestCategory = (1 << 24) - 1;

class TreeReader {
 public:
  TreeReader(const ModelValue& from, const TreeShape& shape, size_t* words_left)
      : from_(from), shape_(shape), words_left_(words_left) {}

  Result<std::vector<Tree>> Read() {
    RETURN_IF_ERROR(ReadArrays());
    RETURN_IF_ERROR(ReadCategories());
    RETURN_IF_ERROR(Walk());
    if (width_ == 1) {
      std::vector<Tree> one;
      one.push_back(std::move(tree_));
      return one;
    }
    std::vector<Tree> trees(static_cast<size_t>(width_), tree_);
    for (size_t output = 0; output < trees.size(); ++output)
      trees[output].leaf_value = std::move(vector_leaves_[output]);
    return trees;
  }

 private:
  Status ReadArrays() {
    RETURN_IF_ERROR(OnlyMembers(from_, kTreeMembers));
    ASSIGN_OR_RETURN(const ModelValue* const parameters, Object(from_, "tree_param"));
    ASSIGN_OR_RETURN(const int32_t nodes, Parameter(*parameters, "num_nodes", 1, kMostNodes, 0));
    ASSIGN_OR_RETURN(width_, Parameter(*parameters, "size_leaf_vector", 0, 1 << 24, 1));
    width_ = std::max(width_, 1);
    if (width_ != 1 && width_ != shape_.outputs)
      return Corruption(
          fmt::format("its leaves have {} values for {} outputs", width_, shape_.outputs));
    if (width_ != 1 && shape_.weight) return Corruption("dart with leaves of several values");
    count_ = static_cast<size_t>(nodes);
    ASSIGN_OR_RETURN(const auto lefts, Numbers(from_, "left_children", count_));
    ASSIGN_OR_RETURN(left_, WholeNumbers("left_children", lefts, -1, nodes - 1));
    ASSIGN_OR_RETURN(const auto rights, Numbers(from_, "right_children", count_));
    ASSIGN_OR_RETURN(right_, WholeNumbers("right_children", rights, -1, nodes - 1));
    ASSIGN_OR_RETURN(feature_, Numbers(from_, "split_indices", count_));
    ASSIGN_OR_RETURN(condition_, Numbers(from_, "split_conditions", count_));
    ASSIGN_OR_RETURN(default_left_, Numbers(from_, "default_left", count_));
    RETURN_IF_ERROR(Optional("sum_hessian", count_, &cover_));
    RETURN_IF_ERROR(Optional("loss_changes", count_, &gain_));
    RETURN_IF_ERROR(Optional("base_weights", count_ * static_cast<size_t>(width_), &weight_));
    if (width_ == 1) return {};
    vector_leaves_.resize(static_cast<size_t>(width_));
    if (from_.Find("leaf_weights") != nullptr) {
      ASSIGN_OR_RETURN(leaf_weight_, Numbers(from_, "leaf_weights"));
    } else if (weight_.empty()) {
      return Corruption("'base_weights' is missing");
    }
    return {};
  }

  Status Optional(std::string_view key, size_t size, std::span<const double>* values) {
    const ModelValue* const found = from_.Find(key);
    if (found == nullptr || (found->kind == ModelValue::Kind::kNumbers && found->numbers.empty()))
      return {};
    ASSIGN_OR_RETURN(*values, Numbers(from_, key, size));
    return {};
  }

  // Where each node's categories lie, and that the nodes that split on categories are these.
  Status ReadCategories() {
    set_of_.assign(count_, -1);
    std::span<const double> types, nodes, begins, sizes;
    RETURN_IF_ERROR(Optional("split_type", count_, &types));
    if (from_.Find("categories_nodes") != nullptr) {
      ASSIGN_OR_RETURN(nodes, Numbers(from_, "categories_nodes"));
      ASSIGN_OR_RETURN(begins, Numbers(from_, "categories_segments", nodes.size()));
      ASSIGN_OR_RETURN(sizes, Numbers(from_, "categories_sizes", nodes.size()));
      ASSIGN_OR_RETURN(const auto all, Numbers(from_, "categories"));
      ASSIGN_OR_RETURN(categories_, WholeNumbers("categories", all, 0, kLargestCategory));
    }
    const int32_t last_node = static_cast<int32_t>(count_) - 1;
    ASSIGN_OR_RETURN(const auto owners, WholeNumbers("categories_nodes", nodes, 0, last_node));
    const int32_t most = static_cast<int32_t>(std::min<size_t>(categories_.size(), INT32_MAX));
    ASSIGN_OR_RETURN(begins_, WholeNumbers("categories_segments", begins, 0, most));
    ASSIGN_OR_RETURN(sizes_, WholeNumbers("categories_sizes", sizes, 1, most));
    for (size_t i = 0; i < owners.size(); ++i) {
      const size_t node = static_cast<size_t>(owners[i]);
      if (set_of_[node] >= 0)
        return Corruption(fmt::format("'categories_nodes': node {} stands twice", node));
      if (begins_[i] > most - sizes_[i])
        return Corruption(fmt::format("the categories of node {} are out of range", node));
      set_of_[node] = static_cast<int32_t>(i);
    }
    for (size_t node = 0; node < count_; ++node) {
      const double type = types.empty() ? 0 : types[node];
      if ((type != 0 && type != 1) || (type == 1) != (set_of_[node] >= 0))
        return Corruption(
            fmt::format("node {}: its split_type {} and its categories disagree", node, type));
    }
    return {};
  }

  // In preorder, from the root.
  Status Walk() {
    struct Open {
      int32_t node;
      int32_t parent;  // -1: the root
      bool left;
    };
    std::vector<uint8_t> seen(count_);
    std::vector<Open> open = {{0, -1, true}};
    while (!open.empty()) {
      const Open here = open.back();
      open.pop_back();
      const size_t node = static_cast<size_t>(here.node);
      if (seen[node] != 0) return Corruption(fmt::format("node {} is reached twice", here.node));
      seen[node] = 1;
      const bool leaf = left_[node] < 0;
      int32_t index = 0;
      if (leaf) {
        if (Status status = AddLeaf(node); !status.ok())
          return status.error().Within(fmt::format("leaf {}", here.node));
        index = ~(leaves_++);
      } else {
        index = static_cast<int32_t>(tree_.split_feature.size());
        if (Status status = AddSplit(node); !status.ok())
          return status.error().Within(fmt::format("node {}", here.node));
      }
      if (here.parent >= 0)
        (here.left ? tree_.left : tree_.right)[static_cast<size_t>(here.parent)] = index;
      if (leaf) continue;
      // A set sends its categories left here.
      const bool swap = set_of_[node] >= 0;
      open.push_back({right_[node], index, swap});
      open.push_back({left_[node], index, !swap});
    }
    return {};
  }

  Status AddLeaf(size_t node) {
    if (!cover_.empty()) tree_.leaf_count.push_back(cover_[node]);
    if (width_ == 1) {
      const float value = static_cast<float>(condition_[node]);
      // XGBoost adds a tree of a dart to 0 before it multiplies: -0 becomes 0.
      tree_.leaf_value.push_back(shape_.weight ? (0.0F + value) * *shape_.weight : value);
      return {};
    }
    const std::span<const double> from = leaf_weight_.empty() ? weight_ : leaf_weight_;
    const size_t width = static_cast<size_t>(width_);
    // Where leaf_weights are, a leaf's place in them stands as its right child.
    const size_t place = leaf_weight_.empty() ? node : static_cast<size_t>(right_[node]);
    if (place >= from.size() / width) return Corruption("its values are out of range");
    for (size_t output = 0; output < width; ++output)
      vector_leaves_[output].push_back(static_cast<float>(from[place * width + output]));
    return {};
  }

  Status AddSplit(size_t node) {
    if (right_[node] < 0) return Corruption("it has a left child and no right one");
    if (!(feature_[node] >= 0 && feature_[node] < shape_.feature_count))
      return Corruption(
          fmt::format("it splits on feature {} of {}", feature_[node], shape_.feature_count));
    tree_.split_feature.push_back(static_cast<int32_t>(feature_[node]));
    tree_.missing_type.push_back(MissingType::kNaN);
    tree_.left.push_back(0);
    tree_.right.push_back(0);
    if (!cover_.empty()) tree_.internal_count.push_back(cover_[node]);
    if (!gain_.empty()) tree_.split_gain.push_back(gain_[node]);
    if (width_ == 1 && !weight_.empty()) tree_.internal_value.push_back(weight_[node]);
    const bool left = default_left_[node] != 0;
    if (set_of_[node] >= 0) {
      tree_.threshold.push_back(0);
      tree_.default_left.push_back(left ? 0 : 1);
      return AddSet(static_cast<size_t>(set_of_[node]));
    }
    const float condition = static_cast<float>(condition_[node]);
    if (!(condition >= std::numeric_limits<float>::lowest()))
      return Corruption(fmt::format("its split condition is {}", condition));
    tree_.threshold.push_back(ThresholdBelowFloat32(condition));
    tree_.default_left.push_back(left ? 1 : 0);
    tree_.category_set.push_back(-1);
    return {};
  }

  Status AddSet(size_t set) {
    const auto begin = categories_.begin() + begins_[set];
    const auto end = begin + sizes_[set];
    const size_t words = static_cast<size_t>(*std::max_element(begin, end)) / 32 + 1;
    const size_t copies = static_cast<size_t>(width_);
    if (words > *words_left_ / copies) return Corruption("the model's category sets are too large");
    *words_left_ -= words * copies;
    if (tree_.category_begin.empty()) tree_.category_begin.push_back(0);
    tree_.category_set.push_back(static_cast<int32_t>(tree_.category_begin.size()) - 1);
    const size_t at = tree_.category_bits.size();
    tree_.category_bits.resize(at + words);
    for (auto category = begin; category != end; ++category)
      tree_.category_bits[at + static_cast<size_t>(*category) / 32] |= 1U << (*category % 32);
    tree_.category_begin.push_back(static_cast<int32_t>(tree_.category_bits.size()));
    return {};
  }

  const ModelValue& from_;
  const TreeShape& shape_;
  size_t* words_left_;
  size_t count_ = 0;
  int32_t width_ = 1;
  std::vector<int32_t> left_, right_;
  std::span<const double> feature_, condition_, default_left_, cover_, gain_, weight_, leaf_weight_;
  std::vector<int32_t> set_of_, categories_, begins_, sizes_;
  Tree tree_;
  int32_t leaves_ = 0;
  std::vector<std::vector<double>> vector_leaves_;
};

}  // namespace

Result<std::vector<Tree>> ReadTree(const ModelValue& tree, const TreeShape& shape,
                                   size_t* words_left) {
  return TreeReader(tree, shape, words_left).Read();
}

}  // namespace slipway::xgboost
