#include "slipway/serve/mlflow_columns.h"

#include <algorithm>

#include "slipway/base/text.h"
#include "slipway/serve/json_text.h"
#include "slipway/serve/tabular_rows.h"

namespace slipway {

void SeenColumns::See(std::string_view name) {
  // Records repeat their names in one order.
  if (columns_->size() == 0) return;
  next_ = next_ + 1 < columns_->size() ? next_ + 1 : 0;
  if (columns_->fields[static_cast<size_t>(next_)].name != name) {
    const int at = columns_->Find(name);
    if (at < 0) return;
    next_ = at;
  }
  seen_[static_cast<size_t>(next_)] = 1;
}

Status SeenColumns::Check() const {
  std::vector<std::string> missing;
  for (size_t i = 0; i < seen_.size(); ++i) {
    if (seen_[i] == 0) missing.push_back(columns_->fields[i].name);
  }
  if (missing.empty()) return {};
  return InvalidArgument("Model is missing inputs " + QuotedList(missing) + ".",
                         "send null where a value is missing");
}

std::vector<std::string> MlflowKeys(const std::vector<std::string>& names,
                                    const EndpointColumns& columns) {
  std::vector<std::string> keys;
  for (const std::string& name : names) {
    const bool known = columns.inputs.Find(name) >= 0 || columns.looked_up.Find(name) >= 0;
    keys.push_back(known ? JsonKey(name) : std::string());
  }
  return keys;
}

Status CheckMlflowColumns(const std::vector<std::string>& names, const EndpointColumns& columns) {
  SeenColumns seen(columns.inputs);
  for (const std::string& name : names) seen.See(name);
  std::vector<std::string> sorted = names;
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
    return InvalidArgument("column '" + Excerpt(*twice) + "' stands there twice");
  return seen.Check();
}

}  // namespace slipway
