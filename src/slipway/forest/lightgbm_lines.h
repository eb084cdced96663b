// Internal to forest: lines and number lists of LightGBM text models. Borrow from the text;
// confined to one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"

namespace slipway::lightgbm {

// Walks over lines; "\n" or "\r\n" ends one.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}
  // The next line without its end; false at the end of the text.
  bool Next(std::string_view* line);
  // As Next, without moving.
  bool Peek(std::string_view* line) const;
  int64_t number() const { return number_; }  // of the line that Next gave last, from 1
  size_t offset() const { return offset_; }   // of the line that Next gives next
  bool saw_carriage_return() const { return saw_carriage_return_; }

 private:
  std::string_view text_;
  size_t offset_ = 0;
  int64_t number_ = 0;
  bool saw_carriage_return_ = false;
};

// kCorruption "line N: ...".
Error BadLine(int64_t line, std::string_view message);

// The words between blanks; runs of blanks count as one.
std::vector<std::string_view> Words(std::string_view text);

// Exactly `count` numbers, correctly rounded; errors speak of `key`.
Result<std::vector<double>> ParseDoubles(std::string_view key, std::string_view text, size_t count);
Result<std::vector<int32_t>> ParseInts(std::string_view key, std::string_view text, size_t count);
Result<std::vector<uint32_t>> ParseWords32(std::string_view key, std::string_view text,
                                           size_t count);
Result<int32_t> ParseInt(std::string_view key, std::string_view text, int32_t least, int32_t most);

}  // namespace slipway::lightgbm
