// What a Pipeline holds; shared by its fitter and its JSON form. Internal to the module.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "slipway/features/encoder.h"
#include "slipway/features/pipeline.h"

namespace slipway {

inline constexpr int kMaxMatrixWidth = 100'000;

struct Pipeline::State {
  Preparer preparer;
  std::vector<Encoder> encoders;
  // Derived by MakeState.
  std::vector<int> sources;  // per encoder: its column in preparer.output()
  std::vector<int> offsets;  // per encoder: its first matrix column
  std::vector<ModelFeature> features;

  // Checks that every encoder's column is there with its type and derives the rest. Feature names
  // are made unique.
  static Result<std::shared_ptr<const State>> Make(Preparer preparer,
                                                   std::vector<Encoder> encoders);
};

}  // namespace slipway
