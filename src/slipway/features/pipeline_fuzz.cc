// Bytes as a stored pipeline: refused, or usable and equal to itself after a round trip.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/features/pipeline.h"
#include "slipway/table/batch.h"

namespace {

using slipway::Column;
using slipway::Type;

constexpr int kRows = 3;

void Fill(Type type, Column* column) {
  column->Reset(type);
  for (int r = 1; r < kRows; ++r) {  // row 0 stays missing
    column->SetValid(r);
    switch (type) {
      case Type::kBoolean:
        column->booleans()[r] = 1;
        break;
      case Type::kDouble:
        column->doubles()[r] = r * 1.5e300;
        break;
      case Type::kString:
        column->strings()[r] = r == 1 ? "a" : "2020-01-02";
        break;
      case Type::kDate:
        column->dates()[r] = r == 1 ? INT32_MIN : 18'000;
        break;
      case Type::kInt64:
      case Type::kTimestamp:
        column->ints()[r] = r == 1 ? INT64_MIN : 7;
        break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  slipway::JsonLimits limits;
  limits.max_bytes = 1 << 20;
  auto json = slipway::ParseJson({reinterpret_cast<const char*>(bytes), size}, limits);
  if (!json.ok()) return 0;
  auto pipeline = slipway::Pipeline::FromJson(*json);
  if (!pipeline.ok()) {
    if (pipeline.error().code != slipway::ErrorCode::kCorruption) std::abort();
    return 0;
  }
  const std::string stored = slipway::DumpJson(pipeline->ToJson());
  auto again = slipway::Pipeline::FromJson(*slipway::ParseJson(stored));
  if (!again.ok() || slipway::DumpJson(again->ToJson()) != stored) std::abort();
  const slipway::Schema& inputs = pipeline->inputs();
  if (inputs.size() > 50 || pipeline->feature_count() > 1'000) return 0;

  std::vector<Column> columns(static_cast<size_t>(inputs.size()));
  std::vector<slipway::ColumnView> views;
  for (int i = 0; i < inputs.size(); ++i) {
    const size_t c = static_cast<size_t>(i);
    Fill(inputs.fields[c].type, &columns[c]);
    views.push_back(columns[c].View());
  }
  const slipway::Batch batch{&inputs, kRows, 0, views, {}, 0};
  const size_t cells = static_cast<size_t>(kRows) * static_cast<size_t>(pipeline->feature_count());
  std::vector<double> first(cells), second(cells);
  uint8_t keep[kRows];
  slipway::PipelineScratch scratch;
  pipeline->Transform(batch, &scratch, first.data(), keep);
  again->Transform(batch, &scratch, second.data(), keep);
  if (std::memcmp(first.data(), second.data(), cells * sizeof(double)) != 0) std::abort();
  return 0;
}
