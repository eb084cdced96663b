// How one prepared column becomes columns of the matrix: the fitted values and the loop that
// applies them. A plain value; immutable once in a Pipeline.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "slipway/features/pipeline.h"
#include "slipway/features/spec.h"
#include "slipway/features/text_index.h"
#include "slipway/table/batch.h"

namespace slipway {

enum class Scale { kNone, kStandard, kMinmax };
enum class TimePart { kYear, kMonth, kDay, kHour, kMinute, kWeekday, kEpoch };

struct Encoder {
  std::string column;
  Type type = Type::kDouble;
  FeatureKind kind = FeatureKind::kNumeric;

  // numeric: (value, or `fill` when missing; less `offset`) / `divisor`
  MissingPolicy missing = MissingPolicy::kNative;
  double fill = 0;  // NaN for native
  Scale scale = Scale::kNone;
  double offset = 0, divisor = 1;

  // category
  CategoryEncode encode = CategoryEncode::kNative;
  UnseenPolicy unseen = UnseenPolicy::kOther;
  // In the order of their codes: `coded` of them, then those that training folded into "other"
  // (code `coded`). The folded ones are listed only where the policy treats unseen ones
  // differently.
  TextIndex categories;
  int coded = 0;
  bool other = false;  // there is an "other"

  // timestamp
  std::vector<TimePart> parts;

  // Matrix columns that it fills.
  int width() const;
  // Appends them, named.
  void AppendFeatures(std::vector<ModelFeature>* out) const;
  // Fills rows [begin, end) of its columns; `matrix` points at its first column of row 0, rows are
  // `stride` doubles apart. Clears keep[row] for an unseen category under `error`.
  void Encode(const ColumnView& view, int begin, int end, int stride, double* matrix, uint8_t* keep,
              std::string* text) const;
};

// A category's text of a value that is not a string; false: missing. Shared by fitting and
// encoding.
bool CategoryText(const ColumnView& view, int row, std::string* text);

// The word of a part ("weekday"), and back; -1 for an unknown word.
std::string_view TimePartName(TimePart part);
int FindTimePart(std::string_view name);
// Day parts of a date: all but hour and minute.
bool NeedsTimeOfDay(TimePart part);

}  // namespace slipway
