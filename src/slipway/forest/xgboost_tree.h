// Internal to forest: one tree of an XGBoost model.
#pragma once

#include <optional>
#include <vector>

#include "slipway/forest/forest.h"
#include "slipway/forest/model_value.h"

namespace slipway::xgboost {

struct TreeShape {
  int feature_count = 0;
  int outputs = 1;
  std::optional<float> weight;  // dart: what the leaves are multiplied by
};

// One tree, or one per output when its leaves are vectors (multi_strategy=multi_output_tree). Takes
// the words of category sets out of `words_left`. Shape and ranges are checked.
Result<std::vector<Tree>> ReadTree(const ModelValue& tree, const TreeShape& shape,
                                   size_t* words_left);

}  // namespace slipway::xgboost
