// How many training rows went where: the weights of TreeSHAP. Internal to explain.
#pragma once

#include <vector>

#include "slipway/forest/forest.h"

namespace slipway {

// The part of an inner node's training rows that went left and right, and how many it had. A
// node's rows are those of its children, so that the parts sum to 1 whatever rounding the file's
// own sums went through (XGBoost's are float32); a node without rows sends half of them each way.
struct Cover {
  double left = 0.5;
  double right = 0.5;
};

// One per inner node. REQUIRES: tree.leaf_count is there.
std::vector<Cover> CoversOf(const Tree& tree);

// What the tree gives on average over its training rows.
double ExpectedValue(const Tree& tree, const std::vector<Cover>& covers);

// Inner nodes, parents before children.
std::vector<int32_t> InnerNodesFromRoot(const Tree& tree);

}  // namespace slipway
