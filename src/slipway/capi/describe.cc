#include "slipway/capi/describe.h"

#include "slipway/base/json.h"

namespace slipway {
namespace {

// LightGBM's own list of categories per categorical feature, with their JSON types.
Json CategoryLists(const Forest& settings) {
  if (settings.pandas_categorical.empty()) return Json::array();
  Result<Json> lists = ParseJson(settings.pandas_categorical);
  return lists.ok() ? std::move(*lists) : Json::array();
}

}  // namespace

std::string Describe(const Model& model) {
  const Forest& settings = model.settings();
  Json inputs = SchemaToJson(model.inputs());
  if (model.pipeline() == nullptr) {
    const Json lists = CategoryLists(settings);
    for (size_t i = 0; i < lists.size() && i < settings.categorical_features.size(); ++i)
      inputs[static_cast<size_t>(settings.categorical_features[i])]["categories"] = lists[i];
  }
  const bool has_classes = !model.classes().empty();
  const Json description = {
      {"kind", PredictionKindName(model.kind())},
      {"bundle", model.pipeline() != nullptr},
      {"inputs", std::move(inputs)},
      {"features", model.feature_names()},
      {"outputs", SchemaToJson(model.outputs())},
      {"scores", model.engine().outputs()},
      {"classes", model.classes()},
      {"class_type",
       has_classes ? Json(TypeName(model.outputs().fields.back().type)) : Json(nullptr)},
      {"threshold",
       model.kind() == PredictionKind::kBinary ? Json(model.threshold()) : Json(nullptr)},
      {"engine", model.engine().name()},
      {"reason", model.engine().reason()},
      {"memory_bytes", model.engine().memory_bytes()},
      {"objective", settings.objective},
      {"library", settings.library},
      {"average", settings.average},
      {"info", model.info()}};
  return DumpJson(description);
}

}  // namespace slipway
