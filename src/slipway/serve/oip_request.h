// An infer request of the Open Inference Protocol v2, read but not yet scored: JSON, JSON with
// binary tensors behind it, or one raw tensor. Knows nothing of models but their input columns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/serve/oip_tensor.h"
#include "slipway/serve/request_scan.h"
#include "slipway/serve/tabular_rows.h"
#include "slipway/table/schema.h"

namespace slipway {

struct OipOutputChoice {
  std::string_view name;
  std::optional<bool> binary;
};

// Views into the body and the arena.
struct OipRequest {
  std::string_view id;         // as JSON text, with its quotes; empty: none
  bool binary_output = false;  // of the request as a whole
  std::vector<OipInput> inputs;
  std::vector<OipOutputChoice> outputs;  // empty: all of them
};

// `json_bytes`: the value of Inference-Header-Content-Length; empty: the body is JSON. "0": the
// body is one tensor, which `columns` then explain: the only column, or rows of FP64 when all are
// numbers. REQUIRES: kHttpPadding readable bytes after `body`. Every tensor is checked.
Result<OipRequest> ParseOipRequest(std::string_view body, std::string_view json_bytes,
                                   const Schema& columns, TextArena* arena);

// Which column each input is: a matrix (one input of shape [rows, columns]) or an input per column
// (shape [rows] or [rows, 1]). The inputs of the request are read in order, chunk after chunk.
// Confined to one thread.
class OipRows : public TabularRows {
 public:
  // `more`: columns that may be named besides, but are no part of a matrix. kInvalidArgument:
  // unknown or doubled names, lengths that differ, a matrix for a model that has texts. `request`
  // must outlive it.
  static Result<OipRows> Make(const OipRequest& request, const Schema& columns,
                              const Schema& more = {});

  int64_t rows() const override { return rows_; }
  // Columns that the request does not have are absent.
  int64_t AppendItems(int64_t most, size_t bytes, std::string* out) override;

 private:
  struct Source {
    std::string key;  // "\"name\":"
    size_t reader = 0;
  };
  int64_t rows_ = 0, next_ = 0;
  std::vector<Source> sources_;
  std::vector<OipReader> readers_;
};

}  // namespace slipway
