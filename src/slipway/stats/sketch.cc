#include "slipway/stats/sketch.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {

namespace {

constexpr int kMinK = 8;
constexpr int kMaxK = 1 << 16;
constexpr size_t kMaxLevels = 56;    // count stays below 2^63
constexpr size_t kMinCapacity = 8;   // smaller levels cost more compactions than they save
constexpr double kShrink = 2.0 / 3;  // of a level's capacity to the next one's above

// A fair but repeatable coin: splitmix64 of its number.
bool Coin(uint64_t number) {
  uint64_t z = (number + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return ((z ^ (z >> 31)) & 1) != 0;
}

Error BadSketch(const std::string& what) { return Corruption("quantile sketch: " + what); }

}  // namespace

QuantileSketch::QuantileSketch(int k)
    : k_(std::clamp(k, kMinK, kMaxK)), lowest_capacity_(static_cast<size_t>(k_)), levels_(1) {}

size_t QuantileSketch::Capacity(size_t level) const {
  const double depth = static_cast<double>(levels_.size() - 1 - level);
  return std::max(kMinCapacity, static_cast<size_t>(std::ceil(k_ * std::pow(kShrink, depth))));
}

void QuantileSketch::Add(double value) {
  if (std::isnan(value)) return;
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = count_ == 0 ? value : std::max(max_, value);
  ++count_;
  levels_[0].push_back(value);
  if (levels_[0].size() > lowest_capacity_) Compact();
}

// Halves every level that is too full, from the bottom: of each two neighbours in order, one moves
// up.
void QuantileSketch::Compact() {
  for (size_t h = 0; h < levels_.size(); ++h) {
    if (levels_[h].size() <= Capacity(h)) continue;
    if (h + 1 == levels_.size()) levels_.emplace_back();
    std::vector<double>& level = levels_[h];
    std::vector<double>& above = levels_[h + 1];
    if (h == 0) std::sort(level.begin(), level.end());
    const bool odd = level.size() % 2 != 0;
    const size_t pairs = level.size() / 2;
    const auto middle = static_cast<std::ptrdiff_t>(above.size());
    const bool coin = Coin(coin_++);
    // Of an odd number one stays: the first or the last, so that neither end is favoured.
    const size_t begin = odd && Coin(coin_++) ? 1 : 0;
    const double left = odd ? (begin == 1 ? level.front() : level.back()) : 0;
    for (size_t i = 0; i < pairs; ++i) above.push_back(level[begin + 2 * i + (coin ? 1 : 0)]);
    std::inplace_merge(above.begin(), above.begin() + middle, above.end());
    level.clear();
    if (odd) level.push_back(left);
  }
  lowest_capacity_ = Capacity(0);
}

void QuantileSketch::Merge(const QuantileSketch& other) {
  if (&other == this) return Merge(QuantileSketch(other));
  if (other.count_ == 0) return;
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = count_ == 0 ? other.max_ : std::max(max_, other.max_);
  count_ += other.count_;
  coin_ += other.coin_;
  if (levels_.size() < other.levels_.size()) levels_.resize(other.levels_.size());
  for (size_t h = 0; h < other.levels_.size(); ++h) {
    const auto middle = static_cast<std::ptrdiff_t>(levels_[h].size());
    levels_[h].insert(levels_[h].end(), other.levels_[h].begin(), other.levels_[h].end());
    if (h > 0)
      std::inplace_merge(levels_[h].begin(), levels_[h].begin() + middle, levels_[h].end());
  }
  Compact();
}

double QuantileSketch::min() const { return count_ == 0 ? kNoStatistic : min_; }
double QuantileSketch::max() const { return count_ == 0 ? kNoStatistic : max_; }

double QuantileSketch::Quantile(double q) const { return Quantiles({&q, 1}).front(); }

std::vector<double> QuantileSketch::Quantiles(std::span<const double> q) const {
  std::vector<double> out(q.size(), kNoStatistic);
  if (count_ == 0) return out;
  std::vector<std::pair<double, int64_t>>
      items;  // value, how many it stands for; then: how many up to here
  for (size_t h = 0; h < levels_.size(); ++h) {
    for (double value : levels_[h]) items.emplace_back(value, int64_t{1} << h);
  }
  std::sort(items.begin(), items.end());
  int64_t sum = 0;
  for (auto& item : items) item.second = sum += item.second;
  for (size_t i = 0; i < q.size(); ++i) {
    if (std::isnan(q[i])) continue;
    const double rank = std::ceil(q[i] * static_cast<double>(count_));
    if (rank <= 1) {
      out[i] = min_;
    } else if (rank >= static_cast<double>(count_)) {
      out[i] = max_;
    } else {
      out[i] =
          std::lower_bound(items.begin(), items.end(), static_cast<int64_t>(rank),
                           [](const auto& item, int64_t wanted) { return item.second < wanted; })
              ->first;
    }
  }
  return out;
}

Json QuantileSketch::ToJson() const {
  Json levels = Json::array();
  for (const auto& level : levels_) {
    Json values = Json::array();
    for (double value : level) values.push_back(DoubleToJson(value));
    levels.push_back(std::move(values));
  }
  Json json = Json::object();
  json["k"] = k_;
  json["count"] = count_;
  json["coin"] = coin_;
  json["min"] = DoubleToJson(count_ == 0 ? 0 : min_);
  json["max"] = DoubleToJson(count_ == 0 ? 0 : max_);
  json["levels"] = std::move(levels);
  return json;
}

Result<QuantileSketch> QuantileSketch::FromJson(const Json& json) {
  if (!json.is_object() || json.size() != 6)
    return BadSketch("its keys are not k, count, coin, min, max, levels");
  auto number = [&](std::string_view key, int64_t least, int64_t most) -> Result<int64_t> {
    const Json* value = FindMember(json, key);
    if (value == nullptr || !value->is_number_integer())
      return BadSketch("'" + std::string(key) + "' is not a whole number");
    const bool huge = value->is_number_unsigned() && value->get<uint64_t>() > uint64_t{INT64_MAX};
    if (huge || value->get<int64_t>() < least || value->get<int64_t>() > most) {
      return BadSketch("'" + std::string(key) + "' is out of range");
    }
    return value->get<int64_t>();
  };
  ASSIGN_OR_RETURN(const int64_t k, number("k", kMinK, kMaxK));
  QuantileSketch sketch(static_cast<int>(k));
  ASSIGN_OR_RETURN(sketch.count_, number("count", 0, INT64_MAX));
  ASSIGN_OR_RETURN(const int64_t coin, number("coin", 0, INT64_MAX));
  sketch.coin_ = static_cast<uint64_t>(coin);
  for (auto [key, to] : {std::pair{"min", &sketch.min_}, std::pair{"max", &sketch.max_}}) {
    const Json* value = FindMember(json, key);
    if (value == nullptr) return BadSketch("'" + std::string(key) + "' is missing");
    ASSIGN_OR_RETURN(*to, DoubleFromJson(*value));
  }
  const Json* levels = FindMember(json, "levels");
  if (levels == nullptr || !levels->is_array() || levels->empty() || levels->size() > kMaxLevels) {
    return BadSketch("'levels' is not a list of 1 to 56 levels");
  }
  sketch.levels_.resize(levels->size());
  sketch.lowest_capacity_ = sketch.Capacity(0);
  int64_t left = sketch.count_;
  for (size_t h = 0; h < levels->size(); ++h) {
    const Json& values = (*levels)[h];
    if (!values.is_array() || values.size() > static_cast<size_t>(kMaxK) * 2)
      return BadSketch("a level is not a short list");
    for (const Json& item : values) {
      ASSIGN_OR_RETURN(const double value, DoubleFromJson(item));
      if (!(value >= sketch.min_ && value <= sketch.max_))
        return BadSketch("a value is not between min and max");
      if (h > 0 && !sketch.levels_[h].empty() && value < sketch.levels_[h].back())
        return BadSketch("a level is not sorted");
      if (left < int64_t{1} << h) return BadSketch("its values stand for more than its count");
      left -= int64_t{1} << h;
      sketch.levels_[h].push_back(value);
    }
  }
  if (left != 0) return BadSketch("its values stand for less than its count");
  return sketch;
}

}  // namespace slipway
