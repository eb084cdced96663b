// Internal to forest: what the readers of JSON and UBJSON share: limits, and lists that stay plain
// arrays while they hold numbers alone.
#pragma once

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "slipway/base/text.h"
#include "slipway/forest/model_value.h"

namespace slipway {

class ModelValueBudget {
 public:
  explicit ModelValueBudget(const ModelValueLimits& limits) : limits_(limits) {}

  // Before each value that is not a number.
  Status Take(int depth) {
    if (depth > limits_.depth)
      return Corruption(fmt::format("more than {} levels deep", limits_.depth));
    if (++taken_ > limits_.values)
      return Corruption(fmt::format("more than {} values", limits_.values));
    return {};
  }

  Status AddMember(std::string key, ModelValue value, ModelValue* object) const {
    if (object->keys.size() >= limits_.members)
      return Corruption(fmt::format("an object has more than {} members", limits_.members));
    if (std::find(object->keys.begin(), object->keys.end(), key) != object->keys.end())
      return Corruption(fmt::format("the key '{}' stands twice", key.substr(0, 60)));
    object->keys.push_back(std::move(key));
    object->items.push_back(std::move(value));
    return {};
  }

  // `list` begins as an empty kNumbers.
  Status AddNumber(double number, ModelValue* list) {
    if (!list->items.empty()) return Mixed();
    RETURN_IF_ERROR(TakeNumbers(1));
    list->numbers.push_back(number);
    return {};
  }

  Status AddItem(ModelValue item, ModelValue* list) {
    if (item.kind == ModelValue::Kind::kNumber || item.kind == ModelValue::Kind::kBoolean)
      return AddNumber(item.number, list);
    if (!list->numbers.empty()) return Mixed();
    list->kind = ModelValue::Kind::kList;
    list->items.push_back(std::move(item));
    return {};
  }

  Status TakeNumbers(size_t count) {
    if (count > limits_.numbers - numbers_)
      return Corruption(fmt::format("more than {} numbers in lists", limits_.numbers));
    numbers_ += count;
    return {};
  }

 private:
  static Error Mixed() { return Corruption("a list mixes numbers with other values"); }

  ModelValueLimits limits_;
  size_t taken_ = 0;
  size_t numbers_ = 0;
};

}  // namespace slipway
