// LightGBM's parameters: names and aliases as the library itself lists them, the ones that Slipway
// sets, and the full set that a training uses. Pure functions over the loaded library; thread-safe.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"
#include "slipway/train/train.h"

namespace slipway {

// Ordered name -> value, all names canonical.
using LightGbmParameters = std::vector<std::pair<std::string, std::string>>;

// What the recipe asks for, checked and under canonical names: unknown names (with a suggestion),
// two names of one parameter, and parameters that Slipway sets itself are errors. Values are
// LightGBM's own check.
Result<std::map<std::string, std::string>> CheckLightGbmParameters(const TrainSpec& spec);

struct ParameterContext {
  int classes = 0;  // multiclass
  int threads = 1;
  std::vector<int> categorical;  // model features that are native category codes
};
// The parameters actually used: what was asked, and what Slipway sets where the recipe is silent.
// Includes num_iterations. Passing them to another LightGBM of the same version with the same rows
// gives the same model.
Result<LightGbmParameters> EffectiveParameters(const TrainSpec& spec,
                                               const ParameterContext& context);

// "a=1 b=x", as the C API takes them.
std::string ParameterText(const LightGbmParameters& parameters);
const std::string* FindParameter(const LightGbmParameters& parameters, std::string_view name);
Json ParametersToJson(const LightGbmParameters& parameters);
// A value as the JSON that a person would write: number, boolean or text.
Json ParameterValueToJson(const std::string& value);

}  // namespace slipway
