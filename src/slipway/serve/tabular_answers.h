// What an endpoint takes and gives as columns, and its answers to records as columns again: for the
// protocols that speak of columns instead of records (oip_api.h, mlflow_api.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/serve/endpoint.h"
#include "slipway/serve/request_scan.h"
#include "slipway/table/schema.h"

namespace slipway {

// The columns of a prediction endpoint.
struct EndpointColumns {
  // In the order of a matrix: the model's inputs that no table fills, then what the tables' keys
  // need besides.
  Schema inputs;
  // Inputs that a table fills when the request does not have them.
  Schema looked_up;
  Schema outputs;                    // of the model, without explanations
  std::vector<std::string> classes;  // not empty: outputs are a label and a probability per class
  Type label_type = Type::kString;

  bool labels() const { return !classes.empty(); }
};
// kInvalidArgument: the endpoint makes no predictions.
Result<EndpointColumns> ColumnsOfEndpoint(const ServedEndpoint& endpoint);

// Answers, chunk after chunk. Of an endpoint with classes, `label` and the probabilities; of the
// others, the values. A row without a prediction (a filter or a policy ignored it) has label -1 and
// NaN.
class TabularAnswers {
 public:
  // `columns` must outlive it.
  explicit TabularAnswers(const EndpointColumns* columns);

  // Reads `{"results":[..]}` as predict-multi answers. REQUIRES: kHttpPadding readable bytes after
  // `text`. kInvalidArgument: a record was wrong (the message says which row); kInternal: it is no
  // such text.
  Status Append(std::string_view text);

  int64_t rows() const { return rows_; }
  // Numbers per row: one per class, or one per output.
  size_t width() const { return width_; }
  double value(int64_t row, size_t at) const {
    return values_[static_cast<size_t>(row) * width_ + at];
  }
  int32_t label(int64_t row) const { return labels_[static_cast<size_t>(row)]; }
  // The first row without a prediction, -1: every row has one; and why.
  int64_t first_ignored() const { return first_ignored_; }
  const std::string& ignore_reason() const { return ignore_reason_; }

 private:
  Status Row();
  bool Values();
  bool Label();
  bool Probabilities();
  bool Problem();

  const EndpointColumns* columns_;
  size_t width_;
  int64_t rows_ = 0, first_ignored_ = -1;
  std::vector<double> values_;
  std::vector<int32_t> labels_;
  std::string ignore_reason_, problem_;
  TextArena arena_;
  RequestScanner scan_;
};

}  // namespace slipway
