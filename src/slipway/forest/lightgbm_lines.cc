#include "slipway/forest/lightgbm_lines.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "slipway/base/text.h"

namespace slipway::lightgbm {
namespace {

template <typename T>
bool ParseNumber(std::string_view word, T* out) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), *out);
  return error == std::errc() && end == word.data() + word.size();
}

template <>
bool ParseNumber<double>(std::string_view word, double* out) {
  const std::optional<double> value = ParseDouble(word);
  if (value) *out = *value;
  return value.has_value();
}

std::string Shortened(std::string_view text) {
  constexpr size_t kMost = 40;
  return std::string(text.substr(0, kMost)) + (text.size() > kMost ? "..." : "");
}

bool IsOrdinary(double value) { return std::isfinite(value); }
bool IsOrdinary(int32_t) { return true; }
bool IsOrdinary(uint32_t) { return true; }

template <typename T>
Result<std::vector<T>> ParseList(std::string_view key, std::string_view text, size_t count) {
  std::vector<T> numbers;
  // A number takes at least two characters with its blank, so that a wrong count cannot ask for
  // much.
  numbers.reserve(std::min(count, text.size() / 2 + 1));
  size_t at = 0;
  while (true) {
    while (at < text.size() && text[at] == ' ') ++at;
    if (at == text.size()) break;
    T number{};
    // Straight from the list; what does not read so is looked at as a word of its own.
    const char* const last = text.data() + text.size();
    const auto [behind, error] = std::from_chars(text.data() + at, last, number);
    size_t end = static_cast<size_t>(behind - text.data());
    const bool read =
        error == std::errc() && (behind == last || *behind == ' ') && IsOrdinary(number);
    if (!read) end = std::min(text.find(' ', at), text.size());
    const std::string_view word = text.substr(at, end - at);
    if (!read && !ParseNumber(word, &number)) {
      return Corruption(
          fmt::format("key '{}': '{}' is not a number of the right kind", key, Shortened(word)));
    }
    if (numbers.size() == count)
      return Corruption(fmt::format("key '{}' has more than {} values", key, count));
    numbers.push_back(number);
    at = end;
  }
  if (numbers.size() != count) {
    return Corruption(
        fmt::format("key '{}' has {} values instead of {}", key, numbers.size(), count));
  }
  return numbers;
}

}  // namespace

bool Lines::Next(std::string_view* line) {
  if (!Peek(line)) return false;
  const size_t end = text_.find('\n', offset_);
  if (end != std::string_view::npos && end > offset_ && text_[end - 1] == '\r')
    saw_carriage_return_ = true;
  offset_ = end == std::string_view::npos ? text_.size() : end + 1;
  ++number_;
  return true;
}

bool Lines::Peek(std::string_view* line) const {
  if (offset_ >= text_.size()) return false;
  const size_t end = std::min(text_.find('\n', offset_), text_.size());
  *line = text_.substr(offset_, end - offset_);
  if (!line->empty() && line->back() == '\r') line->remove_suffix(1);
  return true;
}

Error BadLine(int64_t line, std::string_view message) {
  return Corruption(fmt::format("line {}: {}", line, message));
}

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find(' ', at), text.size());
    if (end > at) words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

Result<std::vector<double>> ParseDoubles(std::string_view key, std::string_view text,
                                         size_t count) {
  return ParseList<double>(key, text, count);
}

Result<std::vector<int32_t>> ParseInts(std::string_view key, std::string_view text, size_t count) {
  return ParseList<int32_t>(key, text, count);
}

Result<std::vector<uint32_t>> ParseWords32(std::string_view key, std::string_view text,
                                           size_t count) {
  return ParseList<uint32_t>(key, text, count);
}

Result<int32_t> ParseInt(std::string_view key, std::string_view text, int32_t least, int32_t most) {
  int32_t value = 0;
  if (!ParseNumber(text, &value) || value < least || value > most) {
    return Corruption(fmt::format("key '{}': '{}' is not a whole number from {} to {}", key,
                                  Shortened(text), least, most));
  }
  return value;
}

}  // namespace slipway::lightgbm
