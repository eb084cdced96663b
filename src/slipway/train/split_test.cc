#include "slipway/train/split.h"

#include <algorithm>

namespace slipway {
namespace {

Schema MixedSchema(Type number) {
  return {{{"n", number}, {"s", Type::kString}, {"d", Type::kDate}}};
}

void Fill(int first, int rows, OwnedBatch* out) {
  const Type number = out->schema().fields[0].type;
  out->Reset();
  out->rows = rows;
  for (int r = 0; r < rows; ++r) {
    const int id = first + r;
    if (number == Type::kInt64) out->column(0).ints()[r] = id;
    if (number == Type::kDouble) out->column(0).doubles()[r] = id;
    out->column(0).SetValid(r);
    if (id % 7 != 0) {
      out->column(1).strings()[r] = out->column(1).Intern("text" + std::to_string(id));
      out->column(1).SetValid(r);
    }
    out->column(2).dates()[r] = id;
    out->column(2).SetValid(r);
  }
}

std::vector<uint64_t> Hashes(Type number, int first, int rows, uint64_t seed) {
  OwnedBatch batch(MixedSchema(number));
  Fill(first, rows, &batch);
  std::vector<uint64_t> out;
  HashRows(batch.View(), seed, &out);
  return out;
}

TEST(Split, MembershipComesFromContentNotFromPlace) {
  const auto all = Hashes(Type::kInt64, 0, 2000, 42);
  const auto tail = Hashes(Type::kInt64, 500, 1500, 42);
  EXPECT_TRUE(std::equal(tail.begin(), tail.end(), all.begin() + 500));
}

TEST(Split, TheSameNumberAsIntegerOrDoubleIsTheSameRow) {
  EXPECT_EQ(Hashes(Type::kInt64, 0, 500, 1), Hashes(Type::kDouble, 0, 500, 1));
}

TEST(Split, ZeroSignsAndMissingFormsDoNotMatter) {
  const auto hash_of = [](double value, bool valid) {
    OwnedBatch batch(Schema{{{"x", Type::kDouble}}});
    batch.rows = 1;
    batch.column(0).doubles()[0] = value;
    if (valid) batch.column(0).SetValid(0);
    std::vector<uint64_t> out;
    HashRows(batch.View(), 0, &out);
    return out[0];
  };
  EXPECT_EQ(hash_of(0.0, true), hash_of(-0.0, true));
  EXPECT_EQ(hash_of(std::nan(""), true), hash_of(5, false));
  EXPECT_NE(hash_of(1, true), hash_of(2, true));
}

TEST(Split, SharesAreNearWhatWasAskedAndSeedsDiffer) {
  const auto hashes = Hashes(Type::kInt64, 0, 2000, 42);
  const SplitRule rule = SplitRule::Share(0.2, 42);
  const auto held = std::count_if(hashes.begin(), hashes.end(),
                                  [&](uint64_t h) { return rule.OfHash(h) == Side::kHoldout; });
  EXPECT_GT(held, 320);
  EXPECT_LT(held, 480);
  EXPECT_NE(hashes, Hashes(Type::kInt64, 0, 2000, 43));
}

TEST(Split, RowsHeldOutStayHeldOutWhenTheShareGrows) {
  for (uint64_t h : Hashes(Type::kInt64, 0, 2000, 42)) {
    if (SplitRule::Share(0.1, 42).OfHash(h) == Side::kHoldout) {
      EXPECT_EQ(SplitRule::Share(0.3, 42).OfHash(h), Side::kHoldout);
    }
  }
}

TEST(Split, NoHoldoutHoldsNothingOut) {
  const SplitRule rule = SplitRule::Share(0, 42);
  EXPECT_FALSE(rule.holds_out());
  for (uint64_t h : Hashes(Type::kInt64, 0, 100, 42)) EXPECT_EQ(rule.OfHash(h), Side::kTrain);
}

TEST(Split, EachRowIsInExactlyOneFold) {
  std::vector<int> sizes(5, 0);
  for (uint64_t h : Hashes(Type::kInt64, 0, 2000, 42)) {
    int in = 0;
    for (int fold = 0; fold < 5; ++fold) {
      if (SplitRule::Fold(fold, 5, 42).OfHash(h) == Side::kTrain) continue;
      ++in;
      ++sizes[static_cast<size_t>(fold)];
    }
    EXPECT_EQ(in, 1);
  }
  for (int size : sizes) EXPECT_NEAR(size, 400, 100);
}

TEST(Split, TimeHoldsOutTheLatestRows) {
  TimeThreshold threshold;
  for (int i = 1000; i > 0; --i) threshold.Add(i);
  threshold.Add(std::nan(""));
  EXPECT_EQ(threshold.count(), 1000);
  const double at = threshold.Get(0.2);
  EXPECT_EQ(at, 800);
  const SplitRule rule = SplitRule::Time(at);
  EXPECT_EQ(rule.OfTime(800), Side::kTrain);
  EXPECT_EQ(rule.OfTime(801), Side::kHoldout);
  EXPECT_EQ(rule.OfTime(std::nan("")), Side::kTrain);
}

TEST(Split, ReorderingIsIndependentOfTheSplit) {
  // Among held-out rows (small hashes) the reordered hashes still cover the whole range.
  const SplitRule rule = SplitRule::Share(0.2, 42);
  int high = 0, held = 0;
  for (uint64_t h : Hashes(Type::kInt64, 0, 2000, 42)) {
    if (rule.OfHash(h) != Side::kHoldout) continue;
    ++held;
    high += ReorderHash(h, 1) >> 63 != 0 ? 1 : 0;
  }
  EXPECT_NEAR(high, held / 2, held / 6);
}

}  // namespace
}  // namespace slipway
