// A compensated sum (Neumaier): the error does not grow with the number of terms, so that metrics
// of millions of rows agree with pairwise summation. Confined to one thread.
#pragma once

#include <cmath>

namespace slipway {

class Sum {
 public:
  void Add(double term) {
    const double next = sum_ + term;
    lost_ += std::fabs(sum_) >= std::fabs(term) ? (sum_ - next) + term : (term - next) + sum_;
    sum_ = next;
  }
  // An infinite sum has lost nothing that a correction could give back.
  double value() const { return std::isfinite(sum_) ? sum_ + lost_ : sum_; }

 private:
  double sum_ = 0;
  double lost_ = 0;
};

}  // namespace slipway
