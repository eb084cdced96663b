// Internal to forest: what XGBoost 3.1 and later keep of the category columns of a data frame.
#pragma once

#include "slipway/forest/forest.h"
#include "slipway/forest/model_value.h"

namespace slipway::xgboost {

// Fills pandas_categorical from the member "cats" of `model`, if it holds categories.
// categorical_features are there.
Status ReadCategories(const ModelValue& model, Forest* forest);

}  // namespace slipway::xgboost
