// A mergeable quantile sketch (KLL; Karnin, Lang, Liberty, "Optimal Quantile Approximation in Streams", FOCS 2016),
// deterministic: its coin is a counter. Rank error about 1 % at k = 200, 0.25 % at k = 800. Confined to one thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"

namespace slipway {

class QuantileSketch {
 public:
  explicit QuantileSketch(int k = 400);
  void Add(double value);  // NaN is ignored
  void Merge(const QuantileSketch& other);
  int64_t count() const { return count_; }
  double min() const;
  double max() const;
  // q in [0, 1]; NaN when empty. Exact while count() <= k.
  double Quantile(double q) const;
  std::vector<double> Quantiles(std::span<const double> q) const;
  Json ToJson() const;
  static Result<QuantileSketch> FromJson(const Json& json);

 private:
  void Compact();
  int k_;
  int64_t count_ = 0;
  uint64_t coin_ = 0;
  double min_ = 0, max_ = 0;
  std::vector<std::vector<double>> levels_;
};

}  // namespace slipway
