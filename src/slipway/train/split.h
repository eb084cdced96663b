// Which rows are held out. Membership comes from the row's own content, so it is the same across
// retraining, file order and formats, and duplicates of a row never stand on both sides. Immutable;
// thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "slipway/stats/sketch.h"
#include "slipway/table/batch.h"
#include "slipway/train/train.h"

namespace slipway {

// One 64-bit hash per row over all columns of the batch, in the schema's order. Canonical by value,
// not by type: the whole number 5 hashes alike as int64 and as double, NaN as missing, -0 as 0;
// text hashes as its bytes.
void HashRows(const Batch& batch, uint64_t seed, std::vector<uint64_t>* out);

// Another order of the same rows, independent of the split: for choosing a fixed number of rows,
// the smallest first.
uint64_t ReorderHash(uint64_t hash, uint64_t salt);

enum class Side : uint8_t { kTrain, kHoldout };

// The rule of one training run.
class SplitRule {
 public:
  // All rows train.
  static SplitRule None();
  static SplitRule Share(double holdout, int64_t seed);
  // Rows of fold `fold` of `folds` are held out.
  static SplitRule Fold(int fold, int folds, int64_t seed);
  // Rows with a time after `threshold` are held out; rows without a time train.
  static SplitRule Time(double threshold);

  bool uses_hash() const { return kind_ == Kind::kShare || kind_ == Kind::kFold; }
  bool uses_time() const { return kind_ == Kind::kTime; }
  bool holds_out() const { return kind_ != Kind::kNone; }
  uint64_t seed() const { return static_cast<uint64_t>(seed_); }
  Side OfHash(uint64_t hash) const;
  Side OfTime(double time) const { return time > threshold_ ? Side::kHoldout : Side::kTrain; }

 private:
  enum class Kind { kNone, kShare, kFold, kTime };
  Kind kind_ = Kind::kNone;
  double holdout_ = 0;
  int fold_ = 0, folds_ = 0;
  int64_t seed_ = 0;
  double threshold_ = 0;
};

// Numbers of a column for splitting and statistics: dates and timestamps as their own units,
// booleans 0/1, missing NaN. REQUIRES: not a string column.
void ColumnAsDoubles(const ColumnView& column, int rows, double* out);

// The value after which rows are held out: the exact (1 - holdout) quantile up to `exact` values, a
// sketch's beyond.
class TimeThreshold {
 public:
  explicit TimeThreshold(size_t exact = 1'000'000);
  void Add(double time);  // NaN is ignored
  int64_t count() const { return count_; }
  // REQUIRES: count() > 0.
  double Get(double holdout);

 private:
  size_t exact_;
  int64_t count_ = 0;
  std::vector<double> values_;
  QuantileSketch sketch_;
};

}  // namespace slipway
