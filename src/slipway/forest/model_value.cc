#include "slipway/forest/model_value.h"

namespace slipway {

const ModelValue* ModelValue::Find(std::string_view key) const {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] == key) return items[i].kind == Kind::kNull ? nullptr : &items[i];
  }
  return nullptr;
}

std::string_view ModelValueKindName(ModelValue::Kind kind) {
  switch (kind) {
    case ModelValue::Kind::kNull:
      return "null";
    case ModelValue::Kind::kBoolean:
      return "a boolean";
    case ModelValue::Kind::kNumber:
      return "a number";
    case ModelValue::Kind::kString:
      return "a text";
    case ModelValue::Kind::kNumbers:
      return "a list of numbers";
    case ModelValue::Kind::kList:
      return "a list";
    case ModelValue::Kind::kObject:
      return "an object";
  }
  return "";
}

}  // namespace slipway
