#include "slipway/train/feature_reference.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "slipway/base/json.h"
#include "slipway/train/split.h"

namespace slipway {

FeatureReference::FeatureReference(const Schema& prepared, const std::vector<int>& columns) {
  for (int column : columns) {
    const Field& field = prepared.fields[static_cast<size_t>(column)];
    Entry& entry = entries_.emplace_back();
    entry.column = column;
    entry.field = field;
    entry.numeric = field.type != Type::kString && field.type != Type::kBoolean;
  }
}

void FeatureReference::Gather(const ColumnView& column, int rows, const SideOfRow& side) {
  numbers_.resize(static_cast<size_t>(rows));
  ColumnAsDoubles(column, rows, numbers_.data());
  values_[0].clear();
  values_[1].clear();
  for (int r = 0; r < rows; ++r) {
    if (side.use[r] == side.train) values_[0].push_back(numbers_[static_cast<size_t>(r)]);
    if (side.use[r] == side.holdout) values_[1].push_back(numbers_[static_cast<size_t>(r)]);
  }
}

void FeatureReference::See(const Batch& prepared, const SideOfRow& side) {
  for (Entry& entry : entries_) {
    if (!entry.numeric) continue;
    Gather(prepared.columns[static_cast<size_t>(entry.column)], prepared.rows, side);
    entry.numbers[0].See(values_[0]);
    entry.numbers[1].See(values_[1]);
  }
}

void FeatureReference::FinishBounds(const std::vector<std::string>& sources) {
  std::erase_if(entries_, [&](const Entry& entry) {
    return std::find(sources.begin(), sources.end(), entry.field.name) == sources.end();
  });
  for (Entry& entry : entries_) {
    if (!entry.numeric) continue;
    entry.numbers[0].FinishBounds();
    entry.numbers[1].UseBounds(entry.numbers[0].bounds());
  }
}

void FeatureReference::CountTexts(const ColumnView& column, int rows, const SideOfRow& side,
                                  Entry* entry) {
  // Summed over the batch first: a column has few distinct texts.
  std::unordered_map<std::string_view, int64_t> counts[2];
  for (int r = 0; r < rows; ++r) {
    const int at = side.use[r] == side.train ? 0 : side.use[r] == side.holdout ? 1 : -1;
    if (at < 0) continue;
    const bool text_column = column.type == Type::kString;
    if (!column.valid(r) || (text_column && column.strings()[r].empty())) {
      entry->categories[at].SeeMissing();
    } else if (text_column) {
      ++counts[at][column.strings()[r]];
    } else {
      ++counts[at][column.booleans()[r] != 0 ? "true" : "false"];
    }
  }
  for (int at = 0; at < 2; ++at) {
    for (const auto& [each, n] : counts[at]) entry->categories[at].See(each, n);
  }
}

void FeatureReference::Count(const Batch& prepared, const SideOfRow& side) {
  for (Entry& entry : entries_) {
    const ColumnView& column = prepared.columns[static_cast<size_t>(entry.column)];
    if (!entry.numeric) {
      CountTexts(column, prepared.rows, side, &entry);
      continue;
    }
    Gather(column, prepared.rows, side);
    entry.numbers[0].Count(values_[0]);
    entry.numbers[1].Count(values_[1]);
  }
}

Json FeatureReference::ToJson(bool holdout) {
  Json out = Json::object();
  for (Entry& entry : entries_) {
    Json each = {{"type", TypeName(entry.field.type)},
                 {"kind", entry.numeric ? "numeric" : "category"}};
    const Json content = entry.numeric ? entry.numbers[holdout ? 1 : 0].Finish().ToJson()
                                       : entry.categories[holdout ? 1 : 0].Finish().ToJson();
    each.update(content);
    out[entry.field.name] = std::move(each);
  }
  return out;
}

}  // namespace slipway
