// Strict importer of LightGBM text models, versions v3 and v4 (format: LightGBM
// src/boosting/gbdt_model_text.cpp). Foreign bytes: bounded, never crashes, refuses with the line
// and the reason; a key that stands twice is refused.
#pragma once

#include <string_view>

#include "slipway/forest/forest.h"

namespace slipway {

// `text` is the whole file, at most 2 GiB. Uses best iteration as LightGBM's own predict does on a
// loaded file: all trees.
Result<Forest> ParseLightGbmText(std::string_view text);
// Whether the bytes look like such a file (begin with "tree").
bool LooksLikeLightGbmText(std::string_view head);

}  // namespace slipway
