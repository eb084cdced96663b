// Reference statistics of the prepared columns that features come from, apart for training and
// held-out rows. Confined to one thread. See() every batch once; FinishBounds(); Count() every
// batch once; ToJson().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/stats/reference.h"
#include "slipway/table/batch.h"

namespace slipway {

// The rows of `use` that have the value `train` or `holdout` count on that side, others nowhere.
struct SideOfRow {
  const uint8_t* use = nullptr;
  uint8_t train = 1, holdout = 2;
};

class FeatureReference {
 public:
  FeatureReference() = default;
  // Watches the columns `columns` of `prepared`.
  FeatureReference(const Schema& prepared, const std::vector<int>& columns);
  void See(const Batch& prepared, const SideOfRow& side);
  // From here on only the columns named in `sources` matter.
  void FinishBounds(const std::vector<std::string>& sources);
  void Count(const Batch& prepared, const SideOfRow& side);
  // {"distance_km": {"type": "double", "kind": "numeric", ...}, "payment_type": {"kind":
  // "category", ...}}.
  Json ToJson(bool holdout);

 private:
  struct Entry {
    int column = 0;
    Field field;
    bool numeric = false;
    NumericReferenceBuilder numbers[2];
    CategoryReferenceBuilder categories[2];
  };
  // Splits a column's numbers by side into values_.
  void Gather(const ColumnView& column, int rows, const SideOfRow& side);
  static void CountTexts(const ColumnView& column, int rows, const SideOfRow& side, Entry* entry);

  std::vector<Entry> entries_;
  std::vector<double> numbers_;
  std::vector<double> values_[2];
};

}  // namespace slipway
