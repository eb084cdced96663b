#include "slipway/stats/reference.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "slipway/base/json.h"

namespace slipway {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNaN = std::nan("");

NumericReference Reference(const std::vector<double>& values, int bins = 255) {
  NumericReferenceBuilder builder;
  builder.See(values);
  builder.FinishBounds(bins);
  builder.Count(values);
  return builder.Finish();
}

int64_t Total(const NumericReference& r) {
  return std::accumulate(r.counts.begin(), r.counts.end(), int64_t{0});
}

// What a bin holds, counted the slow way.
void ExpectExactCounts(const NumericReference& r, const std::vector<double>& values) {
  ASSERT_EQ(r.counts.size(), r.bounds.size() + 1);
  for (size_t bin = 0; bin < r.counts.size(); ++bin) {
    int64_t n = 0;
    for (double v : values) {
      const bool above = bin == 0 || v > r.bounds[bin - 1];
      const bool below = bin == r.bounds.size() || v <= r.bounds[bin];
      n += above && below && !std::isnan(v) ? 1 : 0;
    }
    EXPECT_EQ(r.counts[bin], n) << "bin " << bin;
  }
}

TEST(NumericReference, BinsOfAContinuousColumnHoldEqualShares) {
  std::mt19937_64 random(4);
  std::normal_distribution<double> normal(10, 3);
  std::vector<double> values(40'000);
  for (double& v : values) v = normal(random);
  NumericReference r = Reference(values);
  EXPECT_EQ(r.bounds.size(), 254u);
  EXPECT_EQ(Total(r), r.count);
  for (int64_t n : r.counts) EXPECT_NEAR(static_cast<double>(n), 40'000.0 / 255, 40'000 * 0.012);
  EXPECT_NEAR(r.mean, 10, 0.1);
  EXPECT_NEAR(r.stddev, 3, 0.1);
  ExpectExactCounts(r, std::vector<double>(values));
}

TEST(NumericReference, MomentsAreThoseOfThePopulation) {
  NumericReference r = Reference({2, 4, 4, 4, 5, 5, 7, 9, kNaN});
  EXPECT_DOUBLE_EQ(r.mean, 5);
  EXPECT_DOUBLE_EQ(r.stddev, 2);
  EXPECT_EQ(r.min, 2);
  EXPECT_EQ(r.max, 9);
  EXPECT_EQ(r.count, 8);
  EXPECT_EQ(r.missing, 1);
}

TEST(NumericReference, FewDistinctValuesGetABinEachWithEmptyOnesOutside) {
  NumericReference r = Reference({1, 2, 2, 3, 3, 3, -0.0, 0.0});
  ASSERT_EQ(r.bounds.size(), 5u);
  EXPECT_EQ(std::vector<double>(r.bounds.begin() + 1, r.bounds.end()),
            (std::vector<double>{0, 1, 2, 3}));
  EXPECT_EQ(r.counts, (std::vector<int64_t>{0, 2, 1, 2, 3, 0}));
}

TEST(NumericReference, AConstantColumnTellsOtherValuesApartOnBothSides) {
  NumericReferenceBuilder builder;
  builder.See(std::vector<double>(100, 5.0));
  builder.FinishBounds();
  NumericReferenceBuilder later;
  later.UseBounds(builder.bounds());
  later.Count(std::vector<double>{4.99, 5, 5.01, 5});
  EXPECT_EQ(later.Finish().counts, (std::vector<int64_t>{1, 2, 1}));
}

TEST(NumericReference, HeavyTiesShareOneBound) {
  std::mt19937_64 random(8);
  std::vector<double> values(20'000, 0.0);
  for (size_t i = 0; i < 2000; ++i)
    values[i * 10] = static_cast<double>(random() % 100'000) / 7 + 1;
  NumericReference r = Reference(values);
  for (size_t i = 1; i < r.bounds.size(); ++i) ASSERT_LT(r.bounds[i - 1], r.bounds[i]);
  EXPECT_EQ(r.bounds.front(), 0);
  EXPECT_EQ(r.counts.front(), 18'000);
  ExpectExactCounts(r, values);
}

TEST(NumericReference, InfinitiesCountInTheEndBins) {
  std::vector<double> values = {-kInf, kInf, kInf};
  for (int i = 0; i < 1000; ++i) values.push_back(i);
  NumericReference r = Reference(values);
  EXPECT_EQ(r.count, 1003);
  EXPECT_EQ(r.min, -kInf);
  EXPECT_EQ(r.max, kInf);
  EXPECT_DOUBLE_EQ(r.mean, 499.5);
  ExpectExactCounts(r, values);
  NumericReference only = Reference({kInf, -kInf});
  EXPECT_TRUE(only.bounds.empty());
  EXPECT_EQ(only.counts, std::vector<int64_t>{2});
  EXPECT_TRUE(std::isnan(only.mean));
}

TEST(NumericReference, AllMissingAndNothingAtAll) {
  NumericReference r = Reference({kNaN, kNaN});
  EXPECT_EQ(r.missing, 2);
  EXPECT_EQ(r.count, 0);
  EXPECT_EQ(r.counts, std::vector<int64_t>{0});
  EXPECT_TRUE(std::isnan(r.mean));
  EXPECT_TRUE(std::isnan(r.max));
  auto back = NumericReference::FromJson(r.ToJson());
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_TRUE(std::isnan(back->min));
  EXPECT_EQ(Reference({}).counts, std::vector<int64_t>{0});
}

TEST(NumericReference, HoldOutIsCountedOnForeignBoundsInOnePass) {
  NumericReferenceBuilder builder;
  builder.UseBounds({1, 2});
  builder.Count(std::vector<double>{0, 1, 1.5, 2, 3, kNaN});
  NumericReference r = builder.Finish();
  EXPECT_EQ(r.counts, (std::vector<int64_t>{2, 2, 1}));
  EXPECT_EQ(r.sketch.count(), 5);
  EXPECT_EQ(r.sketch.Quantile(0.5), 1.5);
}

TEST(NumericReference, JsonRoundTripIsExactAndStrict) {
  const NumericReference r = Reference({0.1, 0.2, 0.30000000000000004, kInf, kNaN, 1e300});
  auto parsed = ParseJson(DumpJson(r.ToJson()));
  ASSERT_TRUE(parsed.ok());
  auto back = NumericReference::FromJson(*parsed);
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(DumpJson(back->ToJson()), DumpJson(r.ToJson()));
  EXPECT_EQ(back->bounds, r.bounds);
  auto refused = [&](auto change) {
    Json bad = r.ToJson();
    change(bad);
    return !NumericReference::FromJson(bad).ok();
  };
  EXPECT_TRUE(refused([](Json& j) { j["x"] = 1; }));
  EXPECT_TRUE(refused([](Json& j) { j.erase("sketch"); }));
  EXPECT_TRUE(refused([](Json& j) { j["count"] = -1; }));
  EXPECT_TRUE(refused([](Json& j) { j["count"] = 1.5; }));
  EXPECT_TRUE(refused([](Json& j) { j["count"] = 6; }));
  EXPECT_TRUE(refused([](Json& j) { j["counts"][0] = 7; }));
  EXPECT_TRUE(refused([](Json& j) { j["counts"].push_back(0); }));
  EXPECT_TRUE(refused([](Json& j) { j["bounds"][1] = j["bounds"][0]; }));
  EXPECT_TRUE(refused([](Json& j) { j["bounds"][0] = "x"; }));
  EXPECT_TRUE(refused([](Json& j) { j["mean"] = nullptr; }));
  EXPECT_TRUE(refused([](Json& j) { j["sketch"] = 1; }));
  EXPECT_FALSE(NumericReference::FromJson(Json()).ok());
}

TEST(CategoryReference, CountsFallThenTextThenOther) {
  CategoryReferenceBuilder builder;
  for (const char* text : {"b", "a", "c", "c", "d"}) builder.See(text);
  builder.See("", 3);
  builder.SeeMissing(2);
  CategoryReference r = builder.Finish(3);
  EXPECT_EQ(r.counts, (std::vector<std::pair<std::string, int64_t>>{{"", 3}, {"c", 2}, {"a", 1}}));
  EXPECT_EQ(r.other, 2);
  EXPECT_EQ(r.count, 8);
  EXPECT_EQ(r.missing, 2);
  EXPECT_EQ(r.distinct, 5);
}

TEST(CategoryReference, MemoryIsBoundedAndNothingIsLost) {
  CategoryReferenceBuilder builder;
  for (int i = 0; i < 120'000; ++i) builder.See("id" + std::to_string(i));
  builder.See("id7");
  CategoryReference r = builder.Finish();
  EXPECT_EQ(r.counts.size(), 1000u);
  EXPECT_EQ(r.counts[0].first, "id7");
  EXPECT_EQ(r.distinct, 100'000);
  EXPECT_EQ(r.count, 120'001);
  EXPECT_EQ(r.other, 120'001 - 1001);
}

TEST(CategoryReference, JsonRoundTripIsExactAndStrict) {
  CategoryReferenceBuilder builder;
  for (const char* text : {"ä", "b", "b"}) builder.See(text);
  const CategoryReference r = builder.Finish();
  auto back = CategoryReference::FromJson(r.ToJson());
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back->counts, r.counts);
  EXPECT_EQ(DumpJson(back->ToJson()), DumpJson(r.ToJson()));
  auto refused = [&](auto change) {
    Json bad = r.ToJson();
    change(bad);
    return !CategoryReference::FromJson(bad).ok();
  };
  EXPECT_TRUE(refused([](Json& j) { j["x"] = 1; }));
  EXPECT_TRUE(refused([](Json& j) { j["other"] = 1; }));
  EXPECT_TRUE(refused([](Json& j) { j["distinct"] = 1; }));
  EXPECT_TRUE(refused([](Json& j) { j["counts"][0][1] = 9; }));
  EXPECT_TRUE(refused([](Json& j) { std::swap(j["counts"][0], j["counts"][1]); }));
  EXPECT_TRUE(refused([](Json& j) { j["counts"][0][0] = 5; }));
}

}  // namespace
}  // namespace slipway
