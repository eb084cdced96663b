// Reference statistics: what a column looked like when the version was trained. Drift compares with
// them. Two passes: the first learns bounds from a sketch, the second counts exactly.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"
#include "slipway/stats/sketch.h"

namespace slipway {

// One numeric column: up to 255 bins between quantile bounds (upper bounds, inclusive), with exact
// counts. A column of few distinct values has one bin a value and an empty bin on either side.
struct NumericReference {
  int64_t count = 0;  // present, infinities included
  int64_t missing = 0;
  // Of the finite values: mean and stddev (population, as StandardScaler). Of all: min and max. NaN
  // when there are none.
  double mean = 0, stddev = 0, min = 0, max = 0;
  std::vector<double> bounds;  // ascending, distinct, finite; bin i holds (bounds[i-1], bounds[i]];
                               // one more bin above the last
  std::vector<int64_t> counts;  // bounds.size() + 1
  QuantileSketch sketch;
  Json ToJson() const;
  // Strict: what cannot be the statistics of a column is kCorruption.
  static Result<NumericReference> FromJson(const Json& json);
};

// One category column: exact counts of the 1,000 most frequent, then "other".
struct CategoryReference {
  int64_t count = 0;
  int64_t missing = 0;
  std::vector<std::pair<std::string, int64_t>> counts;  // by falling count, ties by text
  int64_t other = 0;
  int64_t distinct = 0;  // at least; exact up to 100,000
  Json ToJson() const;
  static Result<CategoryReference> FromJson(const Json& json);
};

// Confined to one thread. Pass 1: See() every value; FinishBounds(); pass 2: Count() every value;
// Finish().
class NumericReferenceBuilder {
 public:
  void See(std::span<const double> values);  // NaN is missing
  void FinishBounds(int max_bins = 255);
  void Count(std::span<const double> values);
  NumericReference Finish();
  // The bounds of another builder (hold-out is counted on the training bounds).
  // Then there is no first pass: Count() feeds the sketch too.
  void UseBounds(std::vector<double> bounds);
  const std::vector<double>& bounds() const { return reference_.bounds; }

 private:
  NumericReference reference_;
  std::set<double> distinct_;  // finite values, while there are few
  bool many_distinct_ = false;
  bool sketch_in_count_ = false;
  int64_t finite_ = 0;  // Welford's mean and sum of squares are over these
  double mean_ = 0, m2_ = 0;
};

class CategoryReferenceBuilder {
 public:
  void SeeMissing(int64_t n = 1) { missing_ += n; }
  void See(std::string_view text, int64_t n = 1);
  CategoryReference Finish(int max_categories = 1000);

 private:
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, int64_t, TextHash, std::equal_to<>>
      counts_;  // the first 100,000 texts
  int64_t count_ = 0, missing_ = 0;
};

}  // namespace slipway
