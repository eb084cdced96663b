#include "slipway/stats/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kMostBins = 255;
constexpr size_t kMostDistinct = 100'000;

Error BadReference(const std::string& what) { return Corruption("reference statistics: " + what); }

Result<int64_t> CountMember(const Json& json, std::string_view key) {
  const Json* value = FindMember(json, key);
  if (value == nullptr || !value->is_number_integer() || *value < 0 || *value > INT64_MAX) {
    return BadReference("'" + std::string(key) + "' is not a count");
  }
  return value->get<int64_t>();
}

}  // namespace

void NumericReferenceBuilder::See(std::span<const double> values) {
  for (double value : values) {
    reference_.sketch.Add(value);
    if (many_distinct_ || !std::isfinite(value)) continue;
    distinct_.insert(value == 0 ? 0.0 : value);  // one zero
    if (distinct_.size() > kMostBins) {
      many_distinct_ = true;
      distinct_.clear();
    }
  }
}

void NumericReferenceBuilder::FinishBounds(int max_bins) {
  max_bins = std::clamp(max_bins, 1, kMostBins);
  std::vector<double>& bounds = reference_.bounds;
  bounds.clear();
  if (!many_distinct_ && static_cast<int>(distinct_.size()) + 2 <= max_bins) {
    if (!distinct_.empty()) {
      // Later data below the least value must not look like it.
      const double fence = std::nextafter(*distinct_.begin(), -kInfinity);
      if (std::isfinite(fence)) bounds.push_back(fence);
    }
    bounds.insert(bounds.end(), distinct_.begin(), distinct_.end());
  } else {
    std::vector<double> q;
    for (int i = 1; i < max_bins; ++i) q.push_back(static_cast<double>(i) / max_bins);
    for (double bound : reference_.sketch.Quantiles(q)) {
      if (std::isfinite(bound) && (bounds.empty() || bound > bounds.back()))
        bounds.push_back(bound);
    }
  }
  reference_.counts.assign(bounds.size() + 1, 0);
}

void NumericReferenceBuilder::UseBounds(std::vector<double> bounds) {
  reference_.bounds = std::move(bounds);
  reference_.counts.assign(reference_.bounds.size() + 1, 0);
  sketch_in_count_ = reference_.sketch.count() == 0;
}

void NumericReferenceBuilder::Count(std::span<const double> values) {
  NumericReference& r = reference_;
  if (r.counts.empty()) r.counts.assign(r.bounds.size() + 1, 0);
  for (double value : values) {
    if (std::isnan(value)) {
      ++r.missing;
      continue;
    }
    r.min = r.count == 0 ? value : std::min(r.min, value);
    r.max = r.count == 0 ? value : std::max(r.max, value);
    ++r.count;
    const auto bin = std::lower_bound(r.bounds.begin(), r.bounds.end(), value) - r.bounds.begin();
    ++r.counts[static_cast<size_t>(bin)];
    if (sketch_in_count_) r.sketch.Add(value);
    if (!std::isfinite(value)) continue;
    const double before = value - mean_;
    mean_ += before / static_cast<double>(++finite_);
    m2_ += before * (value - mean_);
  }
}

NumericReference NumericReferenceBuilder::Finish() {
  NumericReference& r = reference_;
  if (r.counts.empty()) r.counts.assign(r.bounds.size() + 1, 0);
  r.mean = finite_ == 0 ? kNoStatistic : mean_;
  r.stddev = finite_ == 0 ? kNoStatistic : std::sqrt(m2_ / static_cast<double>(finite_));
  if (r.count == 0) r.min = r.max = kNoStatistic;
  NumericReference out = std::move(reference_);
  *this = NumericReferenceBuilder();
  return out;
}

Json NumericReference::ToJson() const {
  Json json = Json::object();
  json["count"] = count;
  json["missing"] = missing;
  json["mean"] = DoubleToJson(mean);
  json["stddev"] = DoubleToJson(stddev);
  json["min"] = DoubleToJson(min);
  json["max"] = DoubleToJson(max);
  json["bounds"] = bounds;
  json["counts"] = counts;
  json["sketch"] = sketch.ToJson();
  return json;
}

Result<NumericReference> NumericReference::FromJson(const Json& json) {
  if (!json.is_object() || json.size() != 9) {
    return BadReference(
        "the keys are not count, missing, mean, stddev, min, max, bounds, counts, sketch");
  }
  NumericReference out;
  ASSIGN_OR_RETURN(out.count, CountMember(json, "count"));
  ASSIGN_OR_RETURN(out.missing, CountMember(json, "missing"));
  for (auto [key, to] : {std::pair{"mean", &out.mean}, std::pair{"stddev", &out.stddev},
                         std::pair{"min", &out.min}, std::pair{"max", &out.max}}) {
    const Json* value = FindMember(json, key);
    auto number = value == nullptr ? Result<double>(BadReference("")) : DoubleFromJson(*value);
    if (!number.ok()) return BadReference("'" + std::string(key) + "' is not a number");
    *to = *number;
  }
  const Json* bounds = FindMember(json, "bounds");
  const Json* counts = FindMember(json, "counts");
  if (bounds == nullptr || counts == nullptr || !bounds->is_array() || !counts->is_array() ||
      bounds->size() >= kMostBins || counts->size() != bounds->size() + 1) {
    return BadReference("'bounds' and 'counts' are not up to 255 bins");
  }
  for (const Json& bound : *bounds) {
    if (!bound.is_number()) return BadReference("a bound is not a number");
    const double value = bound.get<double>();
    if (!std::isfinite(value) || (!out.bounds.empty() && value <= out.bounds.back())) {
      return BadReference("the bounds do not ascend");
    }
    out.bounds.push_back(value);
  }
  int64_t left = out.count;
  for (const Json& count : *counts) {
    if (!count.is_number_integer() || count < 0 || count > left)
      return BadReference("'counts' do not add up to 'count'");
    out.counts.push_back(count.get<int64_t>());
    left -= out.counts.back();
  }
  if (left != 0) return BadReference("'counts' do not add up to 'count'");
  const Json* sketch = FindMember(json, "sketch");
  if (sketch == nullptr) return BadReference("'sketch' is missing");
  ASSIGN_OR_RETURN(out.sketch, QuantileSketch::FromJson(*sketch));
  return out;
}

void CategoryReferenceBuilder::See(std::string_view text, int64_t n) {
  count_ += n;
  auto found = counts_.find(text);
  if (found != counts_.end()) {
    found->second += n;
  } else if (counts_.size() < kMostDistinct) {
    counts_.emplace(text, n);
  }
}

CategoryReference CategoryReferenceBuilder::Finish(int max_categories) {
  CategoryReference out;
  out.count = count_;
  out.missing = missing_;
  out.distinct = static_cast<int64_t>(counts_.size());
  out.counts.assign(counts_.begin(), counts_.end());
  std::sort(out.counts.begin(), out.counts.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  if (out.counts.size() > static_cast<size_t>(std::max(0, max_categories))) {
    out.counts.resize(static_cast<size_t>(std::max(0, max_categories)));
  }
  out.other = count_;
  for (const auto& [text, n] : out.counts) out.other -= n;
  *this = CategoryReferenceBuilder();
  return out;
}

Json CategoryReference::ToJson() const {
  Json list = Json::array();
  for (const auto& [text, n] : counts) list.push_back(Json::array({text, n}));
  Json json = Json::object();
  json["count"] = count;
  json["missing"] = missing;
  json["counts"] = std::move(list);
  json["other"] = other;
  json["distinct"] = distinct;
  return json;
}

Result<CategoryReference> CategoryReference::FromJson(const Json& json) {
  if (!json.is_object() || json.size() != 5) {
    return BadReference("the keys are not count, missing, counts, other, distinct");
  }
  CategoryReference out;
  ASSIGN_OR_RETURN(out.count, CountMember(json, "count"));
  ASSIGN_OR_RETURN(out.missing, CountMember(json, "missing"));
  ASSIGN_OR_RETURN(out.other, CountMember(json, "other"));
  ASSIGN_OR_RETURN(out.distinct, CountMember(json, "distinct"));
  const Json* counts = FindMember(json, "counts");
  if (counts == nullptr || !counts->is_array() || counts->size() > kMostDistinct)
    return BadReference("'counts' is not a list");
  int64_t left = out.count;
  for (const Json& item : *counts) {
    if (!item.is_array() || item.size() != 2 || !item[0].is_string() ||
        !item[1].is_number_integer() || item[1] < 0 || item[1] > left) {
      return BadReference("a category is not [text, count], or the counts exceed 'count'");
    }
    std::pair<std::string, int64_t> category{item[0].get<std::string>(), item[1].get<int64_t>()};
    if (!out.counts.empty()) {
      const auto& last = out.counts.back();
      const bool falls = last.second > category.second ||
                         (last.second == category.second && last.first < category.first);
      if (!falls) return BadReference("the categories are not by falling count, then text");
    }
    left -= category.second;
    out.counts.push_back(std::move(category));
  }
  if (left != out.other) return BadReference("the counts do not add up to 'count'");
  if (out.distinct < static_cast<int64_t>(out.counts.size()))
    return BadReference("'distinct' is less than the categories");
  return out;
}

}  // namespace slipway
