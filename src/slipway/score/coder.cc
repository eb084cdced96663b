#include "slipway/score/coder.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "slipway/score/rank.h"

namespace slipway {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr size_t kMaxCategory = 1 << 20;
constexpr int kMaxCategoryCodes = 60'000;
constexpr uint8_t kNoLookup = 0x80;

bool IsZeroView(View view) { return view == View::kZeroLeft || view == View::kZeroRight; }
bool NanGoesLeft(View view) { return view == View::kNanLeft || view == View::kZeroLeft; }

bool InSet(const Tree& tree, size_t node, int64_t category) {
  const size_t set = static_cast<size_t>(tree.category_set[node]);
  const int64_t word = tree.category_begin[set] + (category >> 5);
  return category >= 0 && word < tree.category_begin[set + 1] &&
         (tree.category_bits[static_cast<size_t>(word)] >> (category & 31) & 1) != 0;
}

}  // namespace

// Under LightGBM's rule magnitudes up to 1e-35 are 0, which a threshold in [0, 1e-35) sends left
// and one in [-1e-35, 0) sends right.
double FoldZero(ValueRule rule, double threshold) {
  if (rule != ValueRule::kLightGbm || std::fabs(threshold) > kZeroThreshold) return threshold;
  return threshold >= 0 ? kZeroThreshold : std::nextafter(-kZeroThreshold, -kInfinity);
}

Result<Coder> Coder::Make(const Forest& forest) {
  Coder coder;
  coder.rule_ = forest.values;
  std::map<int32_t, std::vector<uint8_t>> in_some_set;
  std::map<std::pair<int32_t, View>, std::vector<double>> thresholds;
  for (const Tree& tree : forest.trees) {
    for (size_t node = 0; node < tree.split_feature.size(); ++node) {
      const int32_t feature = tree.split_feature[node];
      if (tree.category_set[node] < 0) {
        thresholds[{feature, NodeView(tree, node)}].push_back(
            FoldZero(forest.values, tree.threshold[node]));
        continue;
      }
      const size_t set = static_cast<size_t>(tree.category_set[node]);
      const size_t begin = static_cast<size_t>(tree.category_begin[set]);
      const size_t words = static_cast<size_t>(tree.category_begin[set + 1]) - begin;
      if (words * 32 > kMaxCategory) {
        return InvalidArgument(fmt::format("categories above {}", kMaxCategory));
      }
      std::vector<uint8_t>& used = in_some_set[feature];
      if (used.size() < words * 32) used.resize(words * 32);
      for (size_t word = 0; word < words; ++word) {
        for (uint32_t bits = tree.category_bits[begin + word]; bits != 0; bits &= bits - 1)
          used[word * 32 + static_cast<size_t>(std::countr_zero(bits))] = 1;
      }
    }
  }
  for (auto& [key, values] : thresholds) {
    coder.numerical_of_[key] = coder.numerical_.size();
    NumericalSlot slot;
    slot.feature = key.first;
    slot.view = key.second;
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    slot.thresholds = values;
    const size_t chunks = (slot.thresholds.size() + kChunk - 1) / kChunk;
    slot.columns.assign(chunks, -1);
    slot.complements.assign(chunks, -1);
    coder.Pad(&slot);
    coder.numerical_.push_back(std::move(slot));
  }
  for (const auto& [feature, used] : in_some_set) {
    coder.categorical_of_[feature] = coder.categorical_.size();
    CategoricalSlot slot;
    slot.feature = feature;
    for (size_t category = 0; category < used.size(); ++category) {
      if (used[category] != 0) slot.categories.push_back(static_cast<int64_t>(category));
    }
    const int codes = static_cast<int>(slot.categories.size()) + 2;
    if (codes > kMaxCategoryCodes) {
      return InvalidArgument(fmt::format("{} categories of one feature", codes));
    }
    slot.code_of.assign(used.size(), static_cast<uint16_t>(codes - 2));
    for (size_t code = 0; code < slot.categories.size(); ++code)
      slot.code_of[static_cast<size_t>(slot.categories[code])] = static_cast<uint16_t>(code);
    slot.columns.assign(static_cast<size_t>(codes + 15) / 16, -1);
    coder.categorical_.push_back(std::move(slot));
  }
  return coder;
}

void Coder::Pad(NumericalSlot* slot) const {
  const size_t count = slot->thresholds.size();
  for (size_t begin = 0; begin < count; begin += kChunk) {
    const size_t end = std::min(count, begin + kChunk);
    slot->chunk_last.push_back(slot->thresholds[end - 1]);
    const size_t at = slot->padded.size();
    slot->padded.resize(at + kPaddedChunk, kInfinity);
    for (size_t i = begin; i < end; ++i)
      slot->padded[at + kPivots + (i - begin)] = slot->thresholds[i];
    for (size_t pivot = 0; pivot < kPivots; ++pivot)
      slot->padded[at + pivot] = slot->padded[at + kPivots + pivot * 16 + 15];
  }
}

std::pair<Coder::NumericalSlot*, size_t> Coder::Find(const Tree& tree, size_t node) {
  const auto key = std::pair(tree.split_feature[node], NodeView(tree, node));
  NumericalSlot& slot = numerical_[numerical_of_.at(key)];
  const double threshold = FoldZero(rule_, tree.threshold[node]);
  const auto found = std::lower_bound(slot.thresholds.begin(), slot.thresholds.end(), threshold);
  return {&slot, static_cast<size_t>(found - slot.thresholds.begin())};
}

CodeTest Coder::GoesLeft(const Tree& tree, size_t node) {
  const auto [slot, rank] = Find(tree, node);
  int32_t& column = slot->columns[rank / kChunk];
  if (column < 0) column = columns_++;
  return {column, static_cast<uint8_t>(rank % kChunk + 1)};
}

// code >= bound exactly when 255 - code < 256 - bound.
CodeTest Coder::GoesRight(const Tree& tree, size_t node) {
  const auto [slot, rank] = Find(tree, node);
  int32_t& column = slot->complements[rank / kChunk];
  if (column < 0) column = columns_++;
  return {column, static_cast<uint8_t>(255 - rank % kChunk)};
}

int Coder::CategoryCodes(int32_t feature) const {
  return static_cast<int>(categorical_[categorical_of_.at(feature)].categories.size()) + 2;
}

bool Coder::CategoryGoesLeft(const Tree& tree, size_t node, int code) const {
  const CategoricalSlot& slot = categorical_[categorical_of_.at(tree.split_feature[node])];
  const size_t known = slot.categories.size();
  if (static_cast<size_t>(code) < known)
    return InSet(tree, node, slot.categories[static_cast<size_t>(code)]);
  return static_cast<size_t>(code) > known && tree.default_left[node] != 0;
}

int32_t Coder::CategoryColumn(int32_t feature, int chunk) {
  CategoricalSlot& slot = categorical_[categorical_of_.at(feature)];
  int32_t& column = slot.columns[static_cast<size_t>(chunk)];
  if (column < 0) column = columns_++;
  return column;
}

size_t Coder::memory_bytes() const {
  size_t bytes = 0;
  for (const NumericalSlot& slot : numerical_)
    bytes += (slot.thresholds.size() + slot.padded.size()) * sizeof(double);
  for (const CategoricalSlot& slot : categorical_)
    bytes += slot.code_of.size() * 2 + slot.categories.size() * 8;
  return bytes;
}

void Coder::EncodeNumerical(Isa isa, const NumericalSlot& slot, const double* values, int64_t rows,
                            int64_t column_stride, uint8_t* codes) const {
  const uint8_t nan_code = NanGoesLeft(slot.view) ? 0 : 255;
  const size_t chunks = slot.columns.size();
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    const int32_t column = slot.columns[chunk], complement = slot.complements[chunk];
    if (column < 0 && complement < 0) continue;
    uint8_t* to = codes + (column >= 0 ? column : complement) * column_stride;
    const int count =
        static_cast<int>(std::min<size_t>(kChunk, slot.thresholds.size() - chunk * kChunk));
    RankValues(isa, &slot.padded[chunk * kPaddedChunk], count, nan_code, values, rows, to);
    if (IsZeroView(slot.view)) {
      for (int64_t row = 0; row < rows; ++row) {
        if (FlushZero(rule_, values[row]) == 0) to[row] = static_cast<uint8_t>(nan_code ^ 0x80);
      }
    }
    if (complement < 0) continue;
    uint8_t* other = codes + complement * column_stride;
    for (int64_t row = 0; row < rows; ++row) other[row] = static_cast<uint8_t>(~to[row]);
  }
}

void Coder::EncodeCategorical(const CategoricalSlot& slot, const double* values, int64_t rows,
                              int64_t column_stride, uint8_t* codes) const {
  for (const int32_t column : slot.columns) {
    if (column >= 0)
      std::memset(codes + column * column_stride, kNoLookup, static_cast<size_t>(rows));
  }
  const size_t known = slot.categories.size();
  for (int64_t row = 0; row < rows; ++row) {
    size_t code = known + 1;
    if (!std::isnan(values[row])) {
      const uint32_t category = CategoryOfValue(rule_, values[row]);
      code = category < slot.code_of.size() ? slot.code_of[category] : known;
    }
    const int32_t column = slot.columns[code >> 4];
    if (column >= 0) codes[column * column_stride + row] = static_cast<uint8_t>(code & 15);
  }
}

void Coder::Encode(Isa isa, std::span<const FeatureColumn> columns, int64_t begin, int64_t rows,
                   int64_t column_stride, uint8_t* codes, double* values) const {
  int32_t feature = -1;
  const double* from = values;
  const auto read = [&](int32_t wanted) {
    if (wanted == feature) return;
    feature = wanted;
    const FeatureColumn& column = columns[static_cast<size_t>(wanted)];
    if (column.type == ValueType::kFloat64 && column.stride == sizeof(double) &&
        column.validity == nullptr && column.data != nullptr) {
      from = static_cast<const double*>(column.data) + begin;
      return;
    }
    ReadValues(column, begin, rows, values);
    from = values;
  };
  for (const NumericalSlot& slot : numerical_) {
    read(slot.feature);
    EncodeNumerical(isa, slot, from, rows, column_stride, codes);
  }
  for (const CategoricalSlot& slot : categorical_) {
    read(slot.feature);
    EncodeCategorical(slot, from, rows, column_stride, codes);
  }
}

void Coder::EncodeRow(Isa isa, const double* features, uint8_t* codes) const {
  for (const NumericalSlot& slot : numerical_)
    EncodeNumerical(isa, slot, features + slot.feature, 1, 1, codes);
  for (const CategoricalSlot& slot : categorical_)
    EncodeCategorical(slot, features + slot.feature, 1, 1, codes);
}

}  // namespace slipway
