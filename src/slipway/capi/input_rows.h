// Rows from outside, checked against a model's inputs: from an Arrow record batch or from plain
// columns. Borrows both; immutable, thread-safe.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "slipway/bundle/model.h"
#include "slipway/capi/arrow_column.h"

namespace slipway {

class InputRows {
 public:
  static Result<InputRows> FromArrow(const Model& model, const ArrowSchema* schema,
                                     const ArrowArray* batch);
  static Result<InputRows> FromColumns(const Model& model, std::span<const slipway_column> columns,
                                       int64_t rows);
  static Result<InputRows> FromMatrix(const Model& model, const slipway_matrix& matrix);

  int64_t rows() const { return rows_; }
  // Of a model file: its features, without a copy where the values are plain numbers.
  std::span<const FeatureColumn> features() const { return features_; }
  // Of a bundle: rows [begin, begin + rows) of all inputs.
  Status Fill(int64_t begin, int rows, OwnedBatch* batch) const;

 private:
  Status AddFeature(const Model& model, int feature, const ArrowColumn& column);

  int64_t rows_ = 0;
  std::vector<FeatureColumn> features_;        // a model file's inputs, or a bundle's as numbers
  std::vector<ArrowColumn> columns_;           // a bundle's inputs from Arrow, else empty
  std::deque<std::vector<double>> converted_;  // what features_ could not point into
};

}  // namespace slipway
