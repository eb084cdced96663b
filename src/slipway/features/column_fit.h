// What fitting learns of one prepared column: the statistics that its handling needs, the inference
// of its kind when the recipe is silent, and the warnings. Confined to one thread. Internal to the
// module.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/features/encoder.h"
#include "slipway/features/spec.h"
#include "slipway/features/text_index.h"
#include "slipway/stats/sketch.h"
#include "slipway/table/batch.h"

namespace slipway {

// More distinct values than this are not told apart, in counting categories as in looking for
// identifiers.
inline constexpr int64_t kMaxDistinct = 100'000;
// Silent string columns with more distinct texts are ignored; the default of max_categories.
inline constexpr int kDefaultCategories = 1'000;
inline constexpr int kDefaultOneHotCategories = 100;

class ColumnFit {
 public:
  // The spec's settings must fit the type (CheckSpec). `median_values`: values kept exactly for the
  // median.
  ColumnFit(Field field, FeatureSpec spec, int64_t median_values);

  // An error when the column's type cannot have the kind or the parts that the spec names.
  static Status CheckSpec(const Field& field, const FeatureSpec& spec);

  const Field& field() const { return field_; }
  bool ignored() const { return spec_.kind == FeatureKind::kIgnore; }
  // Learns from the rows with use[row] != 0 (all without `use`).
  void Observe(const ColumnView& view, int rows, const uint8_t* use);
  // The fitted encoder; nullopt: ignored, and why stands in *warnings.
  Result<std::optional<Encoder>> Finish(std::vector<std::string>* warnings) const;

 private:
  bool silent() const { return !spec_.kind; }
  // The kind that silence or the spec gives.
  FeatureKind kind() const;
  template <typename T>
  void ObserveNumbers(const T* values, const ColumnView& view, int rows, const uint8_t* use);
  void ObserveNumber(double value);
  void ObserveCategories(const ColumnView& view, int rows, const uint8_t* use);
  void CountDistinct(uint64_t hash);
  void CountCategory(std::string_view text);
  // Whether the values look like identifiers; fills the warning.
  bool LooksLikeId(std::string* warning) const;
  Status FinishNumeric(Encoder* encoder) const;
  Status FinishCategory(Encoder* encoder, std::vector<std::string>* warnings) const;
  double Median() const;

  // Constant after construction.
  Field field_;
  FeatureSpec spec_;
  bool moments_ = false, median_ = false;
  int64_t median_values_;

  int64_t present_ = 0;
  int64_t first_ = 0;  // bits of the first value, to tell a constant column
  bool differs_ = false;
  DistinctCounter distinct_{
      kMaxDistinct};  // silent integers; silent strings past kDefaultCategories

  int64_t judged_ = 0;  // present values when distinct_ last looked

  // Numeric, of finite values. Sums are wide so that no sum of doubles overflows.
  int64_t finite_ = 0;
  long double mean_ = 0, squares_ = 0;
  double min_ = 0, max_ = 0;
  std::vector<double> exact_;  // the values, until there are too many
  bool sketched_ = false;
  QuantileSketch sketch_{800};

  // Category.
  TextIndex categories_;
  std::vector<int64_t> counts_;
  int64_t uncounted_ = 0;  // values whose text came after the limit
  bool too_many_ = false;  // silent strings: counting has moved on to distinct_
  std::string text_;
};

}  // namespace slipway
