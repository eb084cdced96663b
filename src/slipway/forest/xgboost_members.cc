#include "slipway/forest/xgboost_members.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "slipway/base/text.h"

namespace slipway::xgboost {
namespace {

using Kind = ModelValue::Kind;

Error IsNot(std::string_view key, const ModelValue& value, Kind wanted) {
  return Corruption(fmt::format("'{}' is {} and not {}", key, ModelValueKindName(value.kind),
                                ModelValueKindName(wanted)));
}

Result<const ModelValue*> Member(const ModelValue& from, std::string_view key, Kind kind) {
  const ModelValue* const found = from.Find(key);
  if (found == nullptr) return Corruption(fmt::format("'{}' is missing", key));
  if (found->kind != kind) return IsNot(key, *found, kind);
  return found;
}

// nullptr: absent, or empty.
Result<const ModelValue*> ItemsOf(const ModelValue& from, std::string_view key, Kind each) {
  const ModelValue* const found = from.Find(key);
  if (found == nullptr) return found;
  if (found->kind == Kind::kNumbers && found->numbers.empty())
    return static_cast<const ModelValue*>(nullptr);
  if (found->kind != Kind::kList) return IsNot(key, *found, Kind::kList);
  for (const ModelValue& item : found->items) {
    if (item.kind != each) return IsNot(key, item, each);
  }
  return found;
}

}  // namespace

Result<const ModelValue*> Object(const ModelValue& from, std::string_view key) {
  return Member(from, key, Kind::kObject);
}

Result<std::string> Text(const ModelValue& from, std::string_view key) {
  ASSIGN_OR_RETURN(const ModelValue* const found, Member(from, key, Kind::kString));
  return found->text;
}

Result<std::span<const double>> Numbers(const ModelValue& from, std::string_view key) {
  ASSIGN_OR_RETURN(const ModelValue* const found, Member(from, key, Kind::kNumbers));
  return std::span<const double>(found->numbers);
}

Result<std::span<const double>> Numbers(const ModelValue& from, std::string_view key, size_t size) {
  ASSIGN_OR_RETURN(const std::span<const double> numbers, Numbers(from, key));
  if (numbers.size() != size)
    return Corruption(fmt::format("'{}' has {} values and not {}", key, numbers.size(), size));
  return numbers;
}

Result<std::vector<std::string>> Texts(const ModelValue& from, std::string_view key) {
  ASSIGN_OR_RETURN(const ModelValue* const found, ItemsOf(from, key, Kind::kString));
  std::vector<std::string> texts;
  if (found == nullptr) return texts;
  for (const ModelValue& item : found->items) texts.push_back(item.text);
  return texts;
}

Result<std::span<const ModelValue>> Objects(const ModelValue& from, std::string_view key) {
  ASSIGN_OR_RETURN(const ModelValue* const found, ItemsOf(from, key, Kind::kObject));
  return found == nullptr ? std::span<const ModelValue>() : std::span(found->items);
}

Result<int32_t> Parameter(const ModelValue& from, std::string_view key, int32_t least, int32_t most,
                          int32_t absent) {
  const ModelValue* const found = from.Find(key);
  if (found == nullptr) return absent;
  if (found->kind != Kind::kString) return IsNot(key, *found, Kind::kString);
  const std::optional<int64_t> value = ParseInt64(found->text);
  if (!value || *value < least || *value > most) {
    return Corruption(fmt::format("'{}' is '{}' and not a whole number from {} to {}", key,
                                  found->text.substr(0, 40), least, most));
  }
  return static_cast<int32_t>(*value);
}

Result<std::vector<int32_t>> WholeNumbers(std::string_view key, std::span<const double> values,
                                          int32_t least, int32_t most) {
  std::vector<int32_t> numbers;
  numbers.reserve(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (!(values[i] >= least && values[i] <= most) || values[i] != std::floor(values[i])) {
      return Corruption(fmt::format("'{}': value {} is {} and not a whole number from {} to {}",
                                    key, i, FormatDouble(values[i]), least, most));
    }
    numbers.push_back(static_cast<int32_t>(values[i]));
  }
  return numbers;
}

Status OnlyMembers(const ModelValue& object, std::span<const std::string_view> known) {
  for (const std::string& key : object.keys) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    return Corruption(fmt::format("'{}' is not known", key.substr(0, 60)),
                      "models that XGBoost 1.7 to 3.2 saved are read");
  }
  return {};
}

}  // namespace slipway::xgboost
