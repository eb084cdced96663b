// The codes of one feature's categories, as the library that trained the model numbered them.
// Reading is thread-safe, adding is not.
#pragma once

#include <limits>
#include <string_view>
#include <vector>

#include "slipway/features/text_index.h"

namespace slipway {

class CategoryCodes {
 public:
  // The first code of a text counts.
  void Add(std::string_view text, double code) {
    if (index_.Insert(text) == static_cast<int>(codes_.size())) codes_.push_back(code);
  }
  // NaN, which is what a missing value is: not a category of the training rows.
  double Find(std::string_view text) const {
    const int at = index_.Find(text);
    return at < 0 ? std::numeric_limits<double>::quiet_NaN() : codes_[static_cast<size_t>(at)];
  }
  bool empty() const { return codes_.empty(); }

 private:
  TextIndex index_;
  std::vector<double> codes_;
};

}  // namespace slipway
