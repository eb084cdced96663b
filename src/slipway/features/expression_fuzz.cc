// Any text: compiles or is refused; what compiles evaluates on a fixed batch with nulls and odd
// values.
#include <cmath>
#include <limits>

#include "slipway/features/expression.h"

namespace {

slipway::OwnedBatch& FixedBatch() {
  using slipway::Type;
  static slipway::OwnedBatch batch(slipway::Schema{{{"i", Type::kInt64},
                                                    {"d", Type::kDouble},
                                                    {"s", Type::kString},
                                                    {"b", Type::kBoolean},
                                                    {"t", Type::kTimestamp},
                                                    {"day", Type::kDate}}});
  if (batch.rows == 0) {
    const int64_t ints[] = {0, -1, 7, std::numeric_limits<int64_t>::min(),
                            std::numeric_limits<int64_t>::max()};
    const double doubles[] = {0.0, -2.5, std::numeric_limits<double>::infinity(), std::nan(""),
                              1e300};
    const char* texts[] = {"", "x", "2015-05-07 19:52:06", "Ärger 1e3", "  12 "};
    batch.rows = 70;
    for (int row = 0; row < batch.rows; ++row) {
      const int at = row % 5;
      batch.column(0).ints()[row] = ints[at];
      batch.column(1).doubles()[row] = doubles[(row + row / 5) % 5];
      batch.column(2).strings()[row] = texts[at];
      batch.column(3).booleans()[row] = static_cast<uint8_t>(row % 2);
      batch.column(4).ints()[row] = ints[(row + 1) % 5];
      batch.column(5).dates()[row] =
          row % 3 == 0 ? std::numeric_limits<int32_t>::min() : row * 1000;
      for (int column = 0; column < 6; ++column) {
        if ((row + column) % 7 != 0) batch.column(column).SetValid(row);
      }
    }
  }
  return batch;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slipway::OwnedBatch& batch = FixedBatch();
  auto expression =
      slipway::Expression::Compile({reinterpret_cast<const char*>(data), size}, batch.schema());
  if (!expression.ok()) return 0;
  static slipway::ExpressionScratch scratch;
  slipway::Column out;
  expression->Evaluate(batch.View(), &scratch, &out);
  size_t bytes = 0;
  for (int row = 0; row < batch.rows; ++row) {
    if (out.type() == slipway::Type::kString && out.valid(row)) bytes += out.strings()[row].size();
    if (out.type() == slipway::Type::kDouble && out.valid(row) && std::isnan(out.doubles()[row]))
      __builtin_trap();
  }
  return bytes == size_t{1} << 40 ? 1 : 0;
}
