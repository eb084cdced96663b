#include "slipway/stats/sketch.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "slipway/base/json.h"

namespace slipway {
namespace {

// The largest distance of a quantile's true rank range from the rank that was asked for, as a share
// of the count.
double RankError(const QuantileSketch& sketch,
                 const std::vector<double>& values) {  // values sorted
  const double n = static_cast<double>(values.size());
  double worst = 0;
  std::vector<double> asked;
  for (int i = 1; i < 200; ++i) asked.push_back(i / 200.0);
  const std::vector<double> quantiles = sketch.Quantiles(asked);
  for (int i = 1; i < 200; ++i) {
    const double q = i / 200.0;
    const double value = quantiles[static_cast<size_t>(i - 1)];
    const auto low = std::lower_bound(values.begin(), values.end(), value) - values.begin();
    const auto high = std::upper_bound(values.begin(), values.end(), value) - values.begin();
    EXPECT_GT(high, low) << "a quantile must be one of the values";
    const double wanted = q * n;
    worst = std::max(
        {worst, (static_cast<double>(low) - wanted) / n, (wanted - static_cast<double>(high)) / n});
  }
  return worst;
}

QuantileSketch Of(const std::vector<double>& values, int k = 400) {
  QuantileSketch sketch(k);
  for (double value : values) sketch.Add(value);
  return sketch;
}

std::vector<double> Random(size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<double> values(n);
  for (double& value : values) value = static_cast<double>(random() >> 11) * 0x1p-53;
  return values;
}

TEST(QuantileSketch, ExactUpToK) {
  QuantileSketch sketch(400);
  for (int i = 400; i >= 1; --i) sketch.Add(i);
  EXPECT_EQ(sketch.Quantile(0), 1);
  EXPECT_EQ(sketch.Quantile(0.5), 200);
  EXPECT_EQ(sketch.Quantile(0.9975), 399);
  EXPECT_EQ(sketch.Quantile(1), 400);
  for (int i = 1; i <= 400; ++i) EXPECT_EQ(sketch.Quantile((i - 0.5) / 400), i);
}

TEST(QuantileSketch, EmptyHasNoQuantiles) {
  QuantileSketch sketch;
  sketch.Add(std::nan(""));
  EXPECT_EQ(sketch.count(), 0);
  EXPECT_TRUE(std::isnan(sketch.Quantile(0.5)));
  EXPECT_TRUE(std::isnan(sketch.min()));
}

TEST(QuantileSketch, InfinitiesAreTheEnds) {
  const double inf = std::numeric_limits<double>::infinity();
  QuantileSketch sketch = Of({1, -inf, 2, inf, 3});
  EXPECT_EQ(sketch.min(), -inf);
  EXPECT_EQ(sketch.Quantile(0.5), 2);
  EXPECT_EQ(sketch.Quantile(1), inf);
}

TEST(QuantileSketch, RankErrorIsSmallOnEveryKindOfStream) {
  for (size_t n : {size_t{1000}, size_t{50'000}, size_t{1'000'000}}) {
    std::vector<double> sorted(n), reversed(n), saw(n), ties(n);
    std::vector<double> random = Random(n, 11);
    for (size_t i = 0; i < n; ++i) {
      sorted[i] = static_cast<double>(i);
      reversed[i] = static_cast<double>(n - i);
      saw[i] = static_cast<double>(i % 1024);
      ties[i] = random[i] < 0.9 ? 0.0 : std::floor(random[i] * 1000);
    }
    const std::vector<double>* streams[] = {&sorted, &reversed, &random, &saw, &ties};
    for (size_t s = 0; s < 5; ++s) {
      std::vector<double> in_order = *streams[s];
      std::sort(in_order.begin(), in_order.end());
      for (auto [k, bound] :
           {std::pair{200, 0.015}, std::pair{400, 0.008}, std::pair{800, 0.004}}) {
        if (n > 100'000 && k != 400) continue;  // keeps the test quick
        const double error = RankError(Of(*streams[s], k), in_order);
        RecordProperty("worst_" + std::to_string(s) + "_" + std::to_string(k),
                       std::to_string(error));
        EXPECT_LT(error, bound) << "stream " << s << " n " << n << " k " << k;
      }
    }
  }
}

TEST(QuantileSketch, KeepsFewValuesWhateverTheCount) {
  QuantileSketch sketch = Of(Random(1'000'000, 3), 400);
  EXPECT_LT(sketch.ToJson().dump().size(), 40'000u);
}

TEST(QuantileSketch, MergedIsAsGoodAsOne) {
  std::vector<double> all;
  QuantileSketch merged(400);
  for (uint64_t part = 0; part < 40; ++part) {
    std::vector<double> values = Random(1000 + part * 500, part);
    for (double& value : values) value += static_cast<double>(part % 7);  // parts differ
    merged.Merge(Of(values));
    all.insert(all.end(), values.begin(), values.end());
  }
  EXPECT_EQ(merged.count(), static_cast<int64_t>(all.size()));
  EXPECT_EQ(merged.min(), *std::min_element(all.begin(), all.end()));
  EXPECT_EQ(merged.max(), *std::max_element(all.begin(), all.end()));
  std::sort(all.begin(), all.end());
  EXPECT_LT(RankError(merged, all), 0.01);
  QuantileSketch empty;
  empty.Merge(QuantileSketch());
  EXPECT_EQ(empty.count(), 0);
  empty.Merge(merged);
  EXPECT_EQ(empty.Quantile(0.5), merged.Quantile(0.5));
  QuantileSketch doubled = Of({1, 2, 3});
  doubled.Merge(doubled);
  EXPECT_EQ(doubled.count(), 6);
  EXPECT_EQ(doubled.Quantile(0.5), 2);
}

TEST(QuantileSketch, TheSameStreamGivesTheSameSketch) {
  EXPECT_EQ(Of(Random(100'000, 5)).ToJson().dump(), Of(Random(100'000, 5)).ToJson().dump());
}

TEST(QuantileSketch, JsonRoundTripContinuesTheSame) {
  std::vector<double> values = Random(30'000, 9);
  values.push_back(std::numeric_limits<double>::infinity());
  QuantileSketch sketch = Of(values);
  auto parsed = ParseJson(DumpJson(sketch.ToJson()));
  ASSERT_TRUE(parsed.ok());
  auto back = QuantileSketch::FromJson(*parsed);
  ASSERT_TRUE(back.ok()) << back.error().message;
  for (double value : Random(5000, 10)) {
    sketch.Add(value);
    back->Add(value);
  }
  EXPECT_EQ(DumpJson(sketch.ToJson()), DumpJson(back->ToJson()));
  EXPECT_TRUE(QuantileSketch::FromJson(QuantileSketch().ToJson()).ok());
}

TEST(QuantileSketch, FromJsonRefusesWhatNoSketchWrites) {
  const Json good = Of(Random(2000, 1)).ToJson();
  ASSERT_TRUE(QuantileSketch::FromJson(good).ok());
  auto refused = [&](auto change) {
    Json bad = good;
    change(bad);
    auto result = QuantileSketch::FromJson(bad);
    return !result.ok();
  };
  EXPECT_TRUE(refused([](Json& j) { j["more"] = 1; }));
  EXPECT_TRUE(refused([](Json& j) { j.erase("coin"); }));
  EXPECT_TRUE(refused([](Json& j) { j["k"] = 1'000'000'000; }));
  EXPECT_TRUE(refused([](Json& j) { j["k"] = "400"; }));
  EXPECT_TRUE(refused([](Json& j) { j["count"] = 1999; }));
  EXPECT_TRUE(refused([](Json& j) { j["count"] = 2001; }));
  EXPECT_TRUE(refused([](Json& j) { j["count"] = 18446744073709551615u; }));
  EXPECT_TRUE(refused([](Json& j) { j["coin"] = -1; }));
  EXPECT_TRUE(refused([](Json& j) { j["min"] = 0.9; }));
  EXPECT_TRUE(refused([](Json& j) { j["max"] = "nan"; }));
  EXPECT_TRUE(refused([](Json& j) { j["levels"][0][0] = "x"; }));
  EXPECT_TRUE(refused([](Json& j) { j["levels"][1][0] = j["max"]; }));
  EXPECT_TRUE(refused([](Json& j) { j["levels"] = Json::array(); }));
  EXPECT_TRUE(refused([](Json& j) {
    for (int i = 0; i < 100; ++i) j["levels"].push_back(Json::array());
  }));
  EXPECT_FALSE(QuantileSketch::FromJson(Json::array()).ok());
}

}  // namespace
}  // namespace slipway
