// What a person writes about preparing data and handling features (the `prepare:`, `features:` of a
// train recipe), as values. Parsing and printing them as JSON; the YAML layer converts to JSON
// first. No fitted state here.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"
#include "slipway/table/schema.h"

namespace slipway {

// {filter: EXPR} | {column: NAME, expr: EXPR} | {drop: [NAME...]} | {rename: {OLD: NEW}} | {cast:
// {NAME: TYPE}}
struct PrepareStep {
  enum class Kind { kFilter, kColumn, kDrop, kRename, kCast };
  Kind kind = Kind::kFilter;
  std::string expression;                                    // filter, column
  std::string column;                                        // column
  std::vector<std::string> names;                            // drop
  std::vector<std::pair<std::string, std::string>> renames;  // rename: old, new
  std::vector<std::pair<std::string, Type>> casts;           // cast
  bool operator==(const PrepareStep&) const = default;
};

enum class FeatureKind { kNumeric, kCategory, kTimestamp, kIgnore };
enum class MissingPolicy { kMedian, kMean, kConstant, kNative };  // native: NaN goes to the trees
enum class CategoryEncode { kNative, kOrdinal, kOneHot };  // frequency and target come with the Lab
enum class UnseenPolicy { kOther, kMissing, kError };

// {as: numeric, missing: median|mean|constant|native, value: 0, scale: none|standard|minmax}
// {as: category, encode: native|ordinal|one_hot, max_categories: N, unseen: other|missing|error}
// {as: timestamp, parts: [year, month, day, hour, minute, weekday, epoch]}
// or just the word: `key: ignore`.
struct FeatureSpec {
  std::optional<FeatureKind> kind;  // absent: inferred
  std::optional<MissingPolicy> missing;
  double constant = 0;
  std::string scale = "none";
  std::optional<CategoryEncode> encode;
  int max_categories = 0;  // 0: 1,000 (100 for one_hot)
  std::optional<UnseenPolicy> unseen;
  std::vector<std::string> parts;
  bool operator==(const FeatureSpec&) const = default;
};

// Both: an unknown key or word is an error with the path ("features.passenger_count.missing: ...")
// and a suggestion. Settings without `as` say the kind by themselves (`missing` means numeric,
// `encode` category, `parts` timestamp).
Result<std::vector<PrepareStep>> PrepareFromJson(const Json& json);
Json PrepareToJson(const std::vector<PrepareStep>& steps);
Result<std::map<std::string, FeatureSpec>> FeaturesFromJson(const Json& json);
Json FeaturesToJson(const std::map<std::string, FeatureSpec>& features);

}  // namespace slipway
