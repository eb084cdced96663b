// Latencies in 1/64 steps of powers of two (1.6 %), from 1 ns to hours.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace slipway::load {

class Histogram {
 public:
  Histogram() : counts_(64 * 64) {}
  void Add(int64_t ns) {
    const uint64_t value = ns > 0 ? static_cast<uint64_t>(ns) : 1;
    ++counts_[Index(value)];
    ++total_;
    if (static_cast<int64_t>(value) > max_) max_ = static_cast<int64_t>(value);
  }
  int64_t total() const { return total_; }
  // Microseconds; 0 when empty.
  double Quantile(double q) const {
    if (total_ == 0) return 0;
    const int64_t rank = static_cast<int64_t>(q * static_cast<double>(total_ - 1)) + 1;
    int64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= rank) return Middle(i) / 1e3;
    }
    return max() / 1e3;
  }
  double max() const { return static_cast<double>(max_); }
  void Clear() {
    counts_.assign(counts_.size(), 0);
    total_ = max_ = 0;
  }

 private:
  static size_t Index(uint64_t value) {
    const int power = static_cast<int>(std::bit_width(value)) - 1;
    if (power < 6) return static_cast<size_t>(value);
    return static_cast<size_t>(power - 5) * 64 + (value >> (power - 6) & 63);
  }
  static double Middle(size_t index) {
    if (index < 64) return static_cast<double>(index);
    const int power = static_cast<int>(index / 64) + 5;
    const uint64_t step = uint64_t{1} << (power - 6);
    return static_cast<double>((uint64_t{1} << power) + (index & 63) * step + step / 2);
  }
  std::vector<int64_t> counts_;
  int64_t total_ = 0, max_ = 0;
};

}  // namespace slipway::load
