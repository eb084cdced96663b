// Internal to forest: a model file as data, whatever it was written as (JSON, UBJSON). Lists of
// numbers, of which models consist, are kept as plain arrays. A value type.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

struct ModelValue {
  enum class Kind : uint8_t { kNull, kBoolean, kNumber, kString, kNumbers, kList, kObject };

  Kind kind = Kind::kNull;
  double number = 0;              // a boolean is 0 or 1
  std::string text;               // kString
  std::vector<double> numbers;    // kNumbers: a list of numbers and booleans alone, or an empty one
  std::vector<std::string> keys;  // kObject: the names of `items`, no two equal
  std::vector<ModelValue> items;  // kObject, and kList: a list of anything but numbers

  // The member of an object, nullptr when absent or null.
  const ModelValue* Find(std::string_view key) const;
};

// What a reader takes at most: it holds some hundred bytes for each of `values` and eight for each
// of `numbers`.
struct ModelValueLimits {
  size_t bytes = size_t{2} << 30;
  int depth = 32;
  size_t values = 4'000'000;  // lists, objects, strings and members; numbers in lists do not count
  size_t numbers = size_t{1} << 28;
  size_t members = 10'000;  // of one object
};

// "an object", "a list of numbers": for messages.
std::string_view ModelValueKindName(ModelValue::Kind kind);

// JSON (RFC 8259), with NaN, Infinity and -Infinity as XGBoost writes them. A number with a point
// or an exponent is read as float32, which is what was written; whole numbers are at most 2^53.
// Errors say at which byte.
Result<ModelValue> ParseModelJson(std::string_view text, const ModelValueLimits& limits = {});

// UBJSON (draft 12) as XGBoost writes it: no high-precision numbers, no typed lists but of numbers,
// no counted objects.
Result<ModelValue> ParseUbjson(std::string_view bytes, const ModelValueLimits& limits = {});

}  // namespace slipway
