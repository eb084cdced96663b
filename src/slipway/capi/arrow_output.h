// Output columns as an Arrow struct array. Write may run on several threads for different rows that
// begin at multiples of 64; the rest is confined to one.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/capi/slipway.h"
#include "slipway/table/batch.h"

namespace slipway {

class ArrowOutput {
 public:
  ArrowOutput(const Schema& schema, int64_t rows);
  ~ArrowOutput();
  ArrowOutput(const ArrowOutput&) = delete;
  ArrowOutput& operator=(const ArrowOutput&) = delete;
  // `begin` is a multiple of kBatchRows.
  void Write(int64_t begin, int rows, std::span<const ColumnView> columns);
  // The caller's from now on, to be released by it.
  Status Export(ArrowSchema* schema, ArrowArray* batch) &&;

 private:
  struct Buffers;
  Schema schema_;
  int64_t rows_;
  std::vector<std::unique_ptr<Buffers>> columns_;
};

// The schema alone.
void ExportSchema(const Schema& schema, ArrowSchema* out);

}  // namespace slipway
