// Rows of a request in another protocol, given as records of predict-multi: what a value means is
// then defined in one place (record_reader.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace slipway {

// Read once, in order. Confined to one thread.
class TabularRows {
 public:
  virtual ~TabularRows() = default;
  virtual int64_t rows() const = 0;
  // Appends the next rows as `{"features":{..}},..`, at most `most` and until *out has `bytes`
  // bytes: how many.
  virtual int64_t AppendItems(int64_t most, size_t bytes, std::string* out) = 0;
};

// `"name":`.
std::string JsonKey(std::string_view name);

}  // namespace slipway
