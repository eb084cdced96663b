// The target column: what it may be, its classes, and rows -> labels. Learned in the first pass,
// then immutable.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/table/batch.h"
#include "slipway/train/split.h"
#include "slipway/train/train.h"

namespace slipway {

inline constexpr int kMaxClasses = 1000;
inline constexpr int64_t kMinTrainingRows = 20;

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

// Whether the target of a row is missing (null, NaN, empty text).
bool TargetMissing(const ColumnView& column, int row);
// The column types that a prediction kind can have; the error says how to change the recipe.
Status CheckTargetType(PredictionKind kind, const Field& target);

// Rows -> labels: the number itself, or the index of the class. Immutable and thread-safe.
class TargetCoder {
 public:
  PredictionKind kind() const { return kind_; }
  Type type() const { return type_; }
  // In training order: false before true, numbers and dates ascending, texts by their bytes. Empty
  // for regression.
  const std::vector<std::string>& classes() const { return classes_; }
  // Training rows per class.
  const std::vector<int64_t>& training_counts() const { return training_counts_; }
  // NaN for a missing target and for a class that training did not have.
  void Labels(const ColumnView& column, int rows, double* out) const;
  // A coder for classes known by their texts (an existing version's).
  static TargetCoder OfClasses(PredictionKind kind, Type type, std::vector<std::string> classes);

 private:
  friend class TargetLearner;
  PredictionKind kind_ = PredictionKind::kRegression;
  Type type_ = Type::kDouble;
  bool by_text_ = false;  // OfClasses: every value is compared by its text
  std::vector<std::string> classes_;
  std::vector<int64_t> training_counts_;
  std::unordered_map<uint64_t, int> by_bits_;
  std::unordered_map<std::string, int, StringHash, std::equal_to<>> by_string_;
};

// Sees every row that the filters keep, once. Confined to one thread.
class TargetLearner {
 public:
  // REQUIRES: CheckTargetType(kind, target).ok().
  TargetLearner(PredictionKind kind, Field target) : kind_(kind), target_(std::move(target)) {}
  // REQUIRES: not TargetMissing.
  Status See(const ColumnView& column, int row, Side side);
  void SeeMissing() { ++missing_; }
  int64_t missing() const { return missing_; }
  int64_t training_rows() const { return training_; }
  int64_t holdout_rows() const { return holdout_; }
  // The errors of a target that cannot be learned, each with what was found and the way out.
  Result<TargetCoder> Finish() const;

 private:
  struct Class {
    std::string text;
    int64_t training = 0, holdout = 0;
  };
  Status CheckClasses(const std::vector<const Class*>& ordered) const;

  PredictionKind kind_;
  Field target_;
  int64_t missing_ = 0, training_ = 0, holdout_ = 0;
  double min_ = 0, max_ = 0;
  std::unordered_map<uint64_t, Class> by_bits_;
  std::unordered_map<std::string, Class, StringHash, std::equal_to<>> by_string_;
  bool overflow_ = false;  // more distinct values than are counted
};

}  // namespace slipway
