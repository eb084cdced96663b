#include "slipway/explain/cover.h"

namespace slipway {

std::vector<int32_t> InnerNodesFromRoot(const Tree& tree) {
  std::vector<int32_t> order, open;
  if (!tree.split_feature.empty()) open.push_back(0);
  while (!open.empty()) {
    const int32_t node = open.back();
    open.pop_back();
    order.push_back(node);
    for (const int32_t child :
         {tree.right[static_cast<size_t>(node)], tree.left[static_cast<size_t>(node)]}) {
      if (child >= 0) open.push_back(child);
    }
  }
  return order;
}

std::vector<Cover> CoversOf(const Tree& tree) {
  const std::vector<int32_t> order = InnerNodesFromRoot(tree);
  std::vector<double> rows(order.size());
  std::vector<Cover> covers(order.size());
  for (auto node = order.rbegin(); node != order.rend(); ++node) {
    const size_t at = static_cast<size_t>(*node);
    const auto count = [&](int32_t child) {
      return child < 0 ? tree.leaf_count[static_cast<size_t>(~child)]
                       : rows[static_cast<size_t>(child)];
    };
    const double left = count(tree.left[at]), right = count(tree.right[at]);
    rows[at] = left + right;
    if (rows[at] > 0) covers[at] = {left / rows[at], right / rows[at]};
  }
  return covers;
}

double ExpectedValue(const Tree& tree, const std::vector<Cover>& covers) {
  if (tree.split_feature.empty()) return tree.leaf_value[0];
  const std::vector<int32_t> order = InnerNodesFromRoot(tree);
  std::vector<double> values(order.size());
  for (auto node = order.rbegin(); node != order.rend(); ++node) {
    const size_t at = static_cast<size_t>(*node);
    const auto value = [&](int32_t child) {
      return child < 0 ? tree.leaf_value[static_cast<size_t>(~child)]
                       : values[static_cast<size_t>(child)];
    };
    values[at] = covers[at].left * value(tree.left[at]) + covers[at].right * value(tree.right[at]);
  }
  return values[0];
}

}  // namespace slipway
