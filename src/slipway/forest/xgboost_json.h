// Strict importer of the models that XGBoost 1.7 to 3.2 saves with save_model, as JSON or UBJ
// (format: XGBoost doc/model.schema, src/learner.cc, src/gbm). Foreign bytes: bounded, never
// crashes, refuses with the place and the reason; a member that is not known is refused, as it may
// change what the model answers. docs/models-in.md tells what is read and what is exact.
#pragma once

#include <string_view>

#include "slipway/forest/forest.h"

namespace slipway {

// `bytes` is the whole file, at most 2 GiB. All trees score, as in XGBoost's own Booster.predict;
// the best iteration of early stopping is told.
Result<Forest> ParseXGBoost(std::string_view bytes);
// Whether the bytes look like such a file: an object whose first key is XGBoost's.
bool LooksLikeXGBoost(std::string_view head);

}  // namespace slipway
