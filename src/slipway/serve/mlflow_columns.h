// Which of a model's columns an MLflow request has. Internal to the readers of its bodies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/serve/tabular_answers.h"
#include "slipway/table/schema.h"

namespace slipway {

// Collects the columns that were seen. Confined to one thread.
class SeenColumns {
 public:
  // `columns` must outlive it.
  explicit SeenColumns(const Schema& columns)
      : columns_(&columns), seen_(static_cast<size_t>(columns.size()), 0) {}
  void See(std::string_view name);
  // kInvalidArgument in MLflow's words: columns that were not seen.
  Status Check() const;

 private:
  const Schema* columns_;
  std::vector<uint8_t> seen_;
  int next_ = -1;
};

// `"name":` of each; empty where the model has no such column.
std::vector<std::string> MlflowKeys(const std::vector<std::string>& names,
                                    const EndpointColumns& columns);
// That they have every column of the model, and none twice.
Status CheckMlflowColumns(const std::vector<std::string>& names, const EndpointColumns& columns);

}  // namespace slipway
