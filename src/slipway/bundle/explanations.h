// Explanations of rows: of each, the raw input columns that moved its score most. The
// `explanations` column of batch scoring and the member of the API node's answers. Immutable and
// thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/explain/explain.h"
#include "slipway/features/pipeline.h"
#include "slipway/forest/forest.h"
#include "slipway/table/batch.h"

namespace slipway {

inline constexpr int kMostExplanations = 10'000;

class Explanations {
 public:
  // The `most` largest per row, by absolute value. `pipeline`: nullptr for a bare model file, whose
  // features are its columns. kInvalidArgument when the forest cannot be explained.
  static Result<std::unique_ptr<Explanations>> Make(const Forest& forest, const Pipeline* pipeline,
                                                    const std::vector<std::string>& features,
                                                    int most);

  // Working memory of one thread.
  struct Scratch {
    std::vector<double> all, sums;
    std::vector<size_t> order;
  };
  // How many rows are explained together at best: one alone costs nearly as much as sixteen.
  static constexpr int kRowsTogether = 64;
  // In two steps: the contributions of `rows` feature rows, kept in the scratch; then the JSON
  // object of one of them as Write would, of the `most` largest.
  void ExplainRows(const double* features, int rows, Scratch* scratch) const;
  void AppendRow(int row, const double* scores, int most, Scratch* scratch, std::string* out) const;
  size_t memory_bytes() const { return explainer_->memory_bytes(); }

  // What contributions are summed back to: the raw input column that a feature's prepared column is
  // made from, when it is made from one alone, else the prepared column.
  const std::vector<std::string>& names() const { return names_; }

  // Fills column[0 .. rows) with JSON objects, name -> contribution to the raw score (before the
  // output transform; of a class: to the predicted one, binary: to class 1), the largest first.
  // Rows with keep == 0 stay null. `matrix`: feature rows; `scores`: rows x outputs transformed
  // scores.
  void Write(const double* matrix, int rows, const uint8_t* keep, const double* scores,
             Column* column) const;

 private:
  Explanations() = default;
  // From one row's contributions of each feature to each output.
  void AppendLargest(const double* all, const double* scores, size_t shown, Scratch* scratch,
                     std::string* out) const;
  void FindNames(const Pipeline* pipeline, const std::vector<std::string>& features);

  std::unique_ptr<Explainer> explainer_;
  std::vector<std::string> names_;
  std::vector<std::string> json_names_;  // quoted
  std::vector<size_t> name_of_;          // of each feature
  size_t most_ = 0;
  double divisor_ = 1;  // of a mean of trees
};

}  // namespace slipway
