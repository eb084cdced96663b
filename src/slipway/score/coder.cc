#include "slipway/score/coder.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>

#include <fmt/format.h>

namespace slipway {
namespace {

constexpr size_t kMaxCategory = 1 << 20;
constexpr int kMaxCategoryCodes = 60'000;
constexpr uint8_t kNoLookup = 0x80;

bool IsZeroView(View view) { return view == View::kZeroLeft || view == View::kZeroRight; }
bool NanGoesLeft(View view) { return view == View::kNanLeft || view == View::kZeroLeft; }

// to[i] = from[i] ^ flip; `to` may be `from`.
void FlipBytes(const uint8_t* from, uint8_t flip, int64_t count, uint8_t* to) {
  const uint64_t flips = flip * uint64_t{0x0101010101010101};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    uint64_t eight;
    std::memcpy(&eight, from + i, 8);
    eight ^= flips;
    std::memcpy(to + i, &eight, 8);
  }
  for (; i < count; ++i) to[i] = static_cast<uint8_t>(from[i] ^ flip);
}

// The rank of each of `values`, which are among the sorted thresholds.
std::vector<uint32_t> RanksOf(const std::vector<RankTable>& tables,
                              const std::vector<double>& thresholds,
                              const std::vector<double>& values) {
  std::vector<uint32_t> ranks(values.size());
  if (tables.size() == 1 && values.size() <= kMaxRankCall) {
    std::vector<uint8_t> bytes(values.size());
    std::vector<uint16_t> nans(values.size());
    RankValues(BestIsa(), tables[0], values.data(), static_cast<int64_t>(values.size()),
               bytes.data(), nans.data());
    std::copy(bytes.begin(), bytes.end(), ranks.begin());
    return ranks;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const auto at = std::lower_bound(thresholds.begin(), thresholds.end(), values[i]);
    ranks[i] = static_cast<uint32_t>(at - thresholds.begin());
  }
  return ranks;
}

}  // namespace

// Under LightGBM's rule magnitudes up to 1e-35 are 0, which a threshold in [0, 1e-35) sends left
// and one in [-1e-35, 0) sends right.
double FoldZero(ValueRule rule, double threshold) {
  if (rule != ValueRule::kLightGbm || std::fabs(threshold) > kZeroThreshold) return threshold;
  return threshold >= 0 ? kZeroThreshold
                        : std::nextafter(-kZeroThreshold, -std::numeric_limits<double>::infinity());
}

Result<Coder> Coder::Make(const Forest& forest) {
  Coder coder;
  coder.rule_ = forest.values;
  std::map<int32_t, std::vector<uint8_t>> in_some_set;
  std::vector<std::vector<double>> thresholds(static_cast<size_t>(forest.feature_count));
  coder.slot_of_.resize(static_cast<size_t>(forest.feature_count));
  for (const Tree& tree : forest.trees) {
    for (size_t node = 0; node < tree.split_feature.size(); ++node) {
      const int32_t feature = tree.split_feature[node];
      if (tree.category_set[node] < 0) {
        thresholds[static_cast<size_t>(feature)].push_back(
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
  std::vector<std::vector<uint32_t>> ranks(thresholds.size());
  for (size_t feature = 0; feature < thresholds.size(); ++feature) {
    const std::vector<double>& values = thresholds[feature];
    if (values.empty()) continue;
    coder.slot_of_[feature].numerical = static_cast<int32_t>(coder.numerical_.size());
    NumericalSlot slot;
    slot.feature = static_cast<int32_t>(feature);
    slot.thresholds = values;
    std::sort(slot.thresholds.begin(), slot.thresholds.end());
    slot.thresholds.erase(std::unique(slot.thresholds.begin(), slot.thresholds.end()),
                          slot.thresholds.end());
    const std::span<const double> all = slot.thresholds;
    for (size_t begin = 0; begin < all.size(); begin += kMaxRanked)
      slot.tables.emplace_back(
          all.subspan(begin, std::min<size_t>(kMaxRanked, all.size() - begin)));
    ranks[feature] = RanksOf(slot.tables, slot.thresholds, values);
    coder.numerical_.push_back(std::move(slot));
  }
  coder.KeepRanks(forest, ranks);
  for (const auto& [feature, used] : in_some_set) {
    coder.slot_of_[static_cast<size_t>(feature)].categorical =
        static_cast<int32_t>(coder.categorical_.size());
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

// Hands each feature's ranks, which are in the order of nodes, back to the nodes.
void Coder::KeepRanks(const Forest& forest, const std::vector<std::vector<uint32_t>>& ranks) {
  std::vector<size_t> next(ranks.size());
  for (const Tree& tree : forest.trees) {
    tree_begin_.push_back(static_cast<uint32_t>(node_ranks_.size()));
    for (size_t node = 0; node < tree.split_feature.size(); ++node) {
      const size_t feature = static_cast<size_t>(tree.split_feature[node]);
      node_ranks_.push_back(tree.category_set[node] < 0 ? ranks[feature][next[feature]++] : 0);
    }
  }
}

// A node goes right when code >= bound, which is when 255 - code < 256 - bound.
CodeTest Coder::Test(const Tree& tree, size_t node, bool complement, bool in_row) {
  const size_t feature = static_cast<size_t>(tree.split_feature[node]);
  NumericalSlot& slot = numerical_[static_cast<size_t>(slot_of_[feature].numerical)];
  const size_t rank = tree_ranks_[node];
  const View view = NodeView(tree, node);
  const size_t chunk = rank / kMaxRanked, in = rank % kMaxRanked;
  const uint8_t bound = static_cast<uint8_t>(complement ? 255 - in : in + 1);
  std::vector<NumericalColumn>& columns = in_row ? slot.row_columns : slot.columns;
  auto at = columns.begin();
  while (at != columns.end() && at->chunk <= chunk) {
    if (at->chunk == chunk && at->view == view && at->complement == complement)
      return {at->column, bound};
    ++at;
  }
  int& next = in_row ? row_columns_ : columns_;
  columns.insert(at, {view, complement, chunk, next});
  return {next++, bound};
}

int Coder::CategoryCodes(int32_t feature) const {
  const CategoricalSlot& slot = categorical_[static_cast<size_t>(CategorySlotOf(feature))];
  return static_cast<int>(slot.categories.size()) + 2;
}

void Coder::CategoryGoesRight(const Tree& tree, size_t node, uint8_t* right) const {
  const CategoricalSlot& slot =
      categorical_[static_cast<size_t>(CategorySlotOf(tree.split_feature[node]))];
  const size_t known = slot.categories.size();
  std::memset(right, 1, known + 2);
  right[known + 1] = tree.default_left[node] == 0;
  const size_t set = static_cast<size_t>(tree.category_set[node]);
  const size_t begin = static_cast<size_t>(tree.category_begin[set]);
  const size_t words = static_cast<size_t>(tree.category_begin[set + 1]) - begin;
  for (size_t word = 0; word < words; ++word) {
    for (uint32_t bits = tree.category_bits[begin + word]; bits != 0; bits &= bits - 1)
      right[slot.code_of[word * 32 + static_cast<size_t>(std::countr_zero(bits))]] = 0;
  }
}

int32_t Coder::CategoryColumn(int32_t feature, int chunk) {
  CategoricalSlot& slot = categorical_[static_cast<size_t>(CategorySlotOf(feature))];
  int32_t& column = slot.columns[static_cast<size_t>(chunk)];
  if (column < 0) column = columns_++;
  return column;
}

size_t Coder::memory_bytes() const {
  size_t bytes = 0;
  for (const NumericalSlot& slot : numerical_)
    bytes += slot.thresholds.size() * sizeof(double) + slot.tables.size() * sizeof(RankTable);
  for (const CategoricalSlot& slot : categorical_)
    bytes += slot.code_of.size() * 2 + slot.categories.size() * 8;
  return bytes;
}

void Coder::EncodeNumerical(Isa isa, const NumericalSlot& slot, const double* values, int64_t rows,
                            int64_t column_stride, uint8_t* codes, CoderScratch* scratch) const {
  for (size_t i = 0; i < slot.columns.size();) {
    const size_t chunk = slot.columns[i].chunk;
    uint8_t* ranks = codes + slot.columns[i].column * column_stride;
    const int64_t nans =
        RankValues(isa, slot.tables[chunk], values, rows, ranks, scratch->nan_rows);
    // The chunk's first column, which holds the ranks, comes last.
    const size_t first = i;
    while (i < slot.columns.size() && slot.columns[i].chunk == chunk) ++i;
    for (size_t at = i; at-- > first;) {
      const NumericalColumn& column = slot.columns[at];
      uint8_t* to = codes + column.column * column_stride;
      const uint8_t flip = column.complement ? 0x7F : 0x80;
      FlipBytes(ranks, flip, rows, to);
      const uint8_t missing = static_cast<uint8_t>((NanGoesLeft(column.view) ? 0 : 255) ^ flip);
      for (int64_t nan = 0; nan < nans; ++nan) to[scratch->nan_rows[nan]] = missing;
      if (!IsZeroView(column.view)) continue;
      for (int64_t row = 0; row < rows; ++row) {
        if (FlushZero(rule_, values[row]) == 0) to[row] = missing;
      }
    }
  }
}

int Coder::CategoryCode(const CategoricalSlot& slot, double value) const {
  const int known = static_cast<int>(slot.categories.size());
  if (std::isnan(value)) return known + 1;
  const uint32_t category = CategoryOfValue(rule_, value);
  return category < slot.code_of.size() ? slot.code_of[category] : known;
}

int Coder::RowCategory(int slot, const double* features) const {
  const CategoricalSlot& of = categorical_[static_cast<size_t>(slot)];
  return CategoryCode(of, features[of.feature]);
}

void Coder::EncodeCategorical(const CategoricalSlot& slot, const double* values, int64_t rows,
                              int64_t column_stride, uint8_t* codes) const {
  for (const int32_t column : slot.columns) {
    if (column >= 0)
      std::memset(codes + column * column_stride, kNoLookup, static_cast<size_t>(rows));
  }
  for (int64_t row = 0; row < rows; ++row) {
    const size_t code = static_cast<size_t>(CategoryCode(slot, values[row]));
    const int32_t column = slot.columns[code >> 4];
    if (column >= 0) codes[column * column_stride + row] = static_cast<uint8_t>(code & 15);
  }
}

void Coder::Encode(Isa isa, std::span<const FeatureColumn> columns, int64_t begin, int64_t rows,
                   int64_t column_stride, uint8_t* codes, CoderScratch* scratch) const {
  int32_t feature = -1;
  const double* from = scratch->values;
  const auto read = [&](int32_t wanted) {
    if (wanted == feature) return;
    feature = wanted;
    const FeatureColumn& column = columns[static_cast<size_t>(wanted)];
    if (column.type == ValueType::kFloat64 && column.stride == sizeof(double) &&
        column.validity == nullptr && column.data != nullptr) {
      from = static_cast<const double*>(column.data) + begin;
      return;
    }
    ReadValues(column, begin, rows, scratch->values);
    from = scratch->values;
  };
  for (const NumericalSlot& slot : numerical_) {
    read(slot.feature);
    EncodeNumerical(isa, slot, from, rows, column_stride, codes, scratch);
  }
  for (const CategoricalSlot& slot : categorical_) {
    read(slot.feature);
    EncodeCategorical(slot, from, rows, column_stride, codes);
  }
}

void Coder::Finish() {
  node_ranks_ = {};
  tree_begin_ = {};
  tree_ranks_ = nullptr;
  for (const NumericalSlot& slot : numerical_) {
    const RankTable* last = nullptr;
    for (const NumericalColumn& column : slot.row_columns) {
      const RankTable* table = &slot.tables[column.chunk];
      if (table != last) {
        row_tables_.push_back(table);
        row_features_.push_back(slot.feature);
      }
      last = table;
      row_codes_.push_back({static_cast<uint16_t>(row_tables_.size() - 1),
                            static_cast<uint16_t>(column.column), slot.feature,
                            static_cast<uint8_t>(NanGoesLeft(column.view) ? 0x80 : 0x7F),
                            IsZeroView(column.view)});
    }
  }
}

void Coder::EncodeRow(Isa isa, const double* features, uint8_t* codes) const {
  uint8_t ranks[kMaxRowColumns];
  RankRow(isa, row_tables_.data(), row_features_.data(), static_cast<int64_t>(row_tables_.size()),
          features, ranks);
  for (const RowColumn& column : row_codes_) {
    const double value = features[column.feature];
    const bool missing =
        std::isnan(value) || (column.zero_is_missing && FlushZero(rule_, value) == 0);
    codes[column.column] =
        missing ? column.missing : static_cast<uint8_t>(ranks[column.rank] ^ 0x80);
  }
}

}  // namespace slipway
