// The C entries as a C++ caller sees them: bundles through Arrow, all types, explanations, many
// threads. tests/capi/abi_test.c has the plain cases, over the shared library.
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slipway/base/file.h"
#include "slipway/bundle/bundle.h"
#include "slipway/bundle/model_for_test.h"
#include "slipway/capi/slipway.h"

namespace slipway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsNan;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// A record batch whose parts a test may change; the columns' memory is the test's.
class Lent {
 public:
  void Add(const char* name, const char* format, int64_t length, std::vector<const void*> buffers,
           int64_t null_count = 0) {
    Column& column = columns_.emplace_back();
    column.buffers = std::move(buffers);
    column.schema.format = format;
    column.schema.name = name;
    column.schema.release = [](ArrowSchema* s) { s->release = nullptr; };
    column.array.length = length;
    column.array.null_count = null_count;
    column.array.n_buffers = static_cast<int64_t>(column.buffers.size());
    column.array.buffers = column.buffers.data();
    column.array.release = [](ArrowArray* a) { a->release = nullptr; };
    schemas_.push_back(&column.schema);
    arrays_.push_back(&column.array);
    schema.format = "+s";
    schema.children = schemas_.data();
    schema.n_children = static_cast<int64_t>(schemas_.size());
    schema.release = column.schema.release;
    batch.length = length;
    batch.children = arrays_.data();
    batch.n_children = schema.n_children;
    batch.release = column.array.release;
  }
  ArrowSchema& field(size_t i) { return columns_[i].schema; }
  ArrowArray& array(size_t i) { return columns_[i].array; }

  ArrowSchema schema = {};
  ArrowArray batch = {};

 private:
  struct Column {
    ArrowSchema schema = {};
    ArrowArray array = {};
    std::vector<const void*> buffers;
  };
  std::deque<Column> columns_;
  std::vector<ArrowSchema*> schemas_;
  std::vector<ArrowArray*> arrays_;
};

struct Close {
  void operator()(slipway_model* model) const { slipway_close(model); }
};
using Handle = std::unique_ptr<slipway_model, Close>;

Handle Open(const std::string& bytes) {
  slipway_model* model = nullptr;
  EXPECT_EQ(slipway_open_bytes(bytes.data(), bytes.size(), &model), SLIPWAY_OK)
      << slipway_last_error();
  return Handle(model);
}

std::string BundleBytes() {
  Result<TempDir> folder = TempDir::Make();
  EXPECT_TRUE(WriteBundle(folder->File("bundle"), TestContent()).ok());
  Result<std::string> bytes = ReadFile(folder->File("bundle"), 1 << 20);
  EXPECT_TRUE(bytes.ok());
  return *bytes;
}

// size and kind of six rows, the second one null where kind is null; row 5 is dropped by the
// bundle's filter.
constexpr double kSize[] = {1, 2.5, 3, 0, -0.0, -200};
constexpr char kKinds[] = "greenredblueunheard ofred";
constexpr int32_t kOffsets[] = {0, 5, 8, 12, 12, 22, 25};
constexpr uint8_t kSizeValid = 0x37, kKindValid = 0x37;  // row 3 is null

double RawAt(int row) {
  static constexpr double kRaw[] = {0.25, -1.5, 0.3, -1.5, -1.5, kNaN};
  return kRaw[row];
}

Lent SixRows() {
  Lent lent;
  lent.Add("size", "g", 6, {&kSizeValid, kSize}, 1);
  lent.Add("kind", "u", 6, {&kKindValid, kOffsets, kKinds}, -1);
  return lent;
}

void ExpectRaw(const slipway_model* model, const Lent& lent) {
  double raw[6] = {};
  ASSERT_EQ(slipway_predict_arrow(model, &lent.schema, &lent.batch, SLIPWAY_RAW_SCORES, 0, raw, 6),
            SLIPWAY_OK)
      << slipway_last_error();
  for (int row = 0; row < 6; ++row) {
    if (std::isnan(RawAt(row))) {
      EXPECT_TRUE(std::isnan(raw[row])) << row;
    } else {
      EXPECT_EQ(raw[row], RawAt(row)) << row;
    }
  }
}

TEST(Capi, ABundleScoresRecordBatches) {
  const Handle model = Open(BundleBytes());
  const Lent lent = SixRows();
  ExpectRaw(model.get(), lent);
  ArrowSchema schema;
  ArrowArray out;
  ASSERT_EQ(slipway_score_arrow(model.get(), &lent.schema, &lent.batch, 2, &schema, &out),
            SLIPWAY_OK)
      << slipway_last_error();
  ASSERT_EQ(schema.n_children, 3);
  EXPECT_STREQ(schema.children[0]->name, "proba_false");
  EXPECT_STREQ(schema.children[2]->format, "b");
  EXPECT_EQ(out.children[2]->null_count, 1);
  const uint8_t* labels = static_cast<const uint8_t*>(out.children[2]->buffers[1]);
  EXPECT_EQ(labels[0] & 0x1F, 0x05);  // 0.56 and 0.57 are above 0.4
  EXPECT_EQ(static_cast<const uint8_t*>(out.children[2]->buffers[0])[0] & 0x3F, 0x1F);
  // A consumer may take a child out and release it apart.
  ArrowArray child = *out.children[0];
  out.children[0]->release = nullptr;
  out.release(&out);
  EXPECT_EQ(static_cast<const double*>(child.buffers[1])[1] + 1 / (1 + std::exp(1.5)), 1);
  child.release(&child);
  schema.release(&schema);
}

TEST(Capi, TextsOfEveryFormAreTheSame) {
  const Handle model = Open(BundleBytes());
  Lent large = SixRows();
  const int64_t offsets[] = {0, 5, 8, 12, 12, 22, 25};
  const void* large_buffers[] = {&kKindValid, offsets, kKinds};
  large.field(1).format = "U";
  large.array(1).buffers = large_buffers;
  ExpectRaw(model.get(), large);

  struct View {
    int32_t size;
    char text[12];
  };
  View views[6] = {{5, "green"}, {3, "red"}, {4, "blue"}, {0, ""}, {10, "unheard of"}, {20, ""}};
  const char far[] = "....a text of some length";
  const int32_t where[] = {0, 4};
  std::memcpy(views[5].text, "a te", 4);
  std::memcpy(views[5].text + 4, where, sizeof where);
  const int64_t sizes[] = {sizeof far};
  const void* view_buffers[] = {&kKindValid, views, far, sizes};
  Lent viewed = SixRows();
  viewed.field(1).format = "vu";
  viewed.array(1).n_buffers = 4;
  viewed.array(1).buffers = view_buffers;
  ExpectRaw(model.get(), viewed);
  double raw[6];
  const auto refused = [&](const Lent& lent) {
    EXPECT_EQ(
        slipway_predict_arrow(model.get(), &lent.schema, &lent.batch, SLIPWAY_SCORES, 1, raw, 6),
        SLIPWAY_INVALID_ARGUMENT);
    return std::string(slipway_last_error());
  };
  views[5].size = 23;
  EXPECT_THAT(refused(viewed), HasSubstr("row 5: a text lies outside of its buffer"));
  views[5].size = -1;
  EXPECT_THAT(refused(viewed), HasSubstr("a text of -1 bytes"));
  const int32_t backwards[] = {0, 5, 4, 12, 12, 22, 25};
  const void* bad_buffers[] = {&kKindValid, backwards, kKinds};
  Lent bad = SixRows();
  bad.array(1).buffers = bad_buffers;
  EXPECT_THAT(refused(bad), HasSubstr("column 'kind': row 1: a text from byte 5 to 4"));

  const int8_t indices[] = {1, 0, 2, 9, 3, 0};
  const char words[] = "redgreenblueunheard of";
  const int32_t word_offsets[] = {0, 3, 8, 12, 22};
  const void* word_buffers[] = {nullptr, word_offsets, words};
  const void* index_buffers[] = {&kKindValid, indices};
  Lent coded = SixRows();
  ArrowSchema word_schema = coded.field(1);
  ArrowArray word_array = coded.array(1);
  word_array.buffers = word_buffers;
  word_array.length = 4;
  coded.field(1).format = "c";
  coded.field(1).dictionary = &word_schema;
  coded.array(1).dictionary = &word_array;
  coded.array(1).n_buffers = 2;
  coded.array(1).buffers = index_buffers;
  ExpectRaw(model.get(), coded);
  coded.array(1).null_count = 0;  // now index 9 counts
  EXPECT_THAT(refused(coded), HasSubstr("row 3: index 9 of a dictionary of 4"));
}

// docs/values.md: the truly empty text is missing, as in a CSV file.
TEST(Capi, AnEmptyTextOfEveryFormIsMissing) {
  Result<TempDir> folder = TempDir::Make();
  BundleContent content = TestContent();
  Json pipeline = ParseJson(content.pipeline_json).value();
  pipeline["prepare"][0]["filter"] = "kind is not null";
  content.pipeline_json = DumpJson(pipeline);
  ASSERT_TRUE(WriteBundle(folder->File("bundle"), content).ok());
  const Handle model = Open(ReadFile(folder->File("bundle"), 1 << 20).value());

  const double sizes[] = {3, 3, 3, 3};
  const uint8_t valid = 0xB;  // "red", "", null, " "
  const char bytes[] = "red ";
  const int32_t offsets[] = {0, 3, 3, 3, 4};
  const int64_t large_offsets[] = {0, 3, 3, 3, 4};
  const struct {
    int32_t size;
    char text[12];
  } views[] = {{3, "red"}, {0, ""}, {0, ""}, {1, " "}};
  const int8_t indices[] = {0, 1, 0, 3};
  const auto raw_of = [&](const char* format, std::vector<const void*> buffers, bool coded) {
    Lent lent;
    lent.Add("size", "g", 4, {nullptr, sizes});
    lent.Add("kind", format, 4, std::move(buffers), 1);
    ArrowSchema words_schema = lent.field(1);
    ArrowArray words = lent.array(1);
    words.null_count = 0;
    const void* index_buffers[] = {&valid, indices};
    if (coded) {
      lent.field(1).format = "c";
      lent.field(1).dictionary = &words_schema;
      lent.array(1).dictionary = &words;
      lent.array(1).n_buffers = 2;
      lent.array(1).buffers = index_buffers;
    }
    std::vector<double> raw(4);
    EXPECT_EQ(slipway_predict_arrow(model.get(), &lent.schema, &lent.batch, SLIPWAY_RAW_SCORES, 1,
                                    raw.data(), 4),
              SLIPWAY_OK)
        << slipway_last_error();
    return raw;
  };
  const auto kept = ElementsAre(0.3, IsNan(), IsNan(), 0.3);
  for (const bool coded : {false, true}) {
    EXPECT_THAT(raw_of("u", {&valid, offsets, bytes}, coded), kept);
    EXPECT_THAT(raw_of("U", {&valid, large_offsets, bytes}, coded), kept);
    EXPECT_THAT(raw_of("vu", {&valid, views, nullptr}, coded), kept);
  }
}

TEST(Capi, RowsMayBeginAnywhere) {
  const Handle model = Open(BundleBytes());
  Lent lent = SixRows();
  lent.batch.offset = 2;
  lent.batch.length = 2;
  double raw[2];
  ASSERT_EQ(
      slipway_predict_arrow(model.get(), &lent.schema, &lent.batch, SLIPWAY_RAW_SCORES, 1, raw, 2),
      SLIPWAY_OK);
  EXPECT_EQ(raw[0], 0.3);
  EXPECT_EQ(raw[1], -1.5);
  lent.batch.offset = 0;
  for (size_t i : {0, 1}) {
    lent.array(i).offset = 2;
    lent.array(i).length = 2;
  }
  ASSERT_EQ(
      slipway_predict_arrow(model.get(), &lent.schema, &lent.batch, SLIPWAY_RAW_SCORES, 1, raw, 2),
      SLIPWAY_OK);
  EXPECT_EQ(raw[0], 0.3);
  EXPECT_EQ(raw[1], -1.5);
}

// Trees with counts, which explanations need.
std::string CountedModel() {
  std::string text = TestModelText("regression");
  const size_t at = text.find("cat_boundaries");
  return text.insert(at, "leaf_count=5 3 2\ninternal_count=10 8\n");
}

TEST(Capi, ExplanationsSumToTheRawScore) {
  const Handle model = Open(CountedModel());
  const double rows[][2] = {{1, 1}, {1, 0}, {3, 1}, {kNaN, kNaN}};
  slipway_matrix matrix = {rows, 4, 2, sizeof rows[0], sizeof rows[0][0], SLIPWAY_FLOAT64};
  double shares[12], raw[4];
  ASSERT_EQ(slipway_explain(model.get(), &matrix, 0, shares, 12), SLIPWAY_OK)
      << slipway_last_error();
  ASSERT_EQ(slipway_predict(model.get(), &matrix, SLIPWAY_RAW_SCORES, 0, raw, 4), SLIPWAY_OK);
  for (size_t row = 0; row < 4; ++row)
    EXPECT_NEAR(shares[row * 3] + shares[row * 3 + 1] + shares[row * 3 + 2], raw[row], 1e-12);
  EXPECT_EQ(slipway_explain(model.get(), &matrix, 0, shares, 11), SLIPWAY_INVALID_ARGUMENT);
  const Handle without = Open(TestModelText("regression"));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(slipway_explain(without.get(), &matrix, 0, shares, 12), SLIPWAY_INVALID_ARGUMENT);
    EXPECT_THAT(slipway_last_error(), HasSubstr("cannot be explained"));
  }
}

// Two trees of seven leaves with sets, whose numbers a test may damage; lengths stay as they are.
struct Arrays {
  std::vector<int64_t> node_begin = {0, 6, 12}, set_begin = {0, 1, 3};
  std::vector<int32_t> feature = {0, 1, 2, 0, 1, 2, 2, 1, 0, 2, 1, 0},
                       left = {1, 3, 5, -1, -3, -5, 1, 2, 3, 4, 5, -1},
                       right = {2, 4, -7, -2, -4, -6, -7, -6, -5, -4, -3, -2},
                       set = {-1, -1, 0, -1, -1, 1, -1, -1, -1, 1, -1, -1};
  std::vector<double> threshold = std::vector<double>(12, 0.5), leaf = std::vector<double>(14, 1),
                      node_count = std::vector<double>(12, 10),
                      leaf_count = std::vector<double>(14, 2), base = std::vector<double>(9);
  std::vector<uint8_t> default_left = std::vector<uint8_t>(12), missing = default_left;
  std::vector<uint32_t> bits = {2, 4, 1};

  slipway_forest View() const {
    slipway_forest forest = {};
    forest.struct_size = sizeof forest;
    forest.feature_count = 3;
    forest.score_count = 1;
    forest.tree_count = 2;
    forest.value_rule = SLIPWAY_VALUES_PLAIN;
    forest.sigmoid = 1;
    forest.base = base.data();
    forest.node_begin = node_begin.data();
    forest.split_feature = feature.data();
    forest.threshold = threshold.data();
    forest.left = left.data();
    forest.right = right.data();
    forest.default_left = default_left.data();
    forest.missing_type = missing.data();
    forest.category_set = set.data();
    forest.node_count = node_count.data();
    forest.leaf_value = leaf.data();
    forest.leaf_count = leaf_count.data();
    forest.set_count = 2;
    forest.set_begin = set_begin.data();
    forest.set_bits = bits.data();
    return forest;
  }
};

// A model opened by its path reads the file again for the first explanation, even a removed one.
TEST(Capi, AFileThatChangedIsNotExplained) {
  Result<TempDir> folder = TempDir::Make();
  const std::string path = folder->File("model.txt"), text = CountedModel();
  ASSERT_TRUE(WriteFileAtomic(path, text).ok());
  slipway_model* opened = nullptr;
  ASSERT_EQ(slipway_open(path.c_str(), &opened), SLIPWAY_OK) << slipway_last_error();
  const Handle model(opened);
  const double row[] = {1, 2};
  const slipway_matrix matrix = {row, 1, 2, 16, 8, SLIPWAY_FLOAT64};
  double shares[3] = {};
  std::ofstream(path, std::ios::app) << '\n';
  EXPECT_EQ(slipway_explain(opened, &matrix, 1, shares, 3), SLIPWAY_CONFLICT);
  EXPECT_THAT(slipway_last_error(), HasSubstr("was changed"));
  std::ofstream(path) << text;
  ASSERT_EQ(std::remove(path.c_str()), 0);
  EXPECT_EQ(slipway_explain(opened, &matrix, 1, shares, 3), SLIPWAY_OK) << slipway_last_error();
}

TEST(Capi, DamagedTreesAreRefusedOrScored) {
  std::minstd_rand random(1);
  const auto below = [&](size_t end) { return static_cast<size_t>(random()) % end; };
  const double rows[][3] = {{0, 1, 2}, {1, 0, kNaN}, {-1, 33, 0.5}, {1e300, kNaN, -0.0}};
  const slipway_matrix matrix = {rows, 4, 3, sizeof rows[0], sizeof rows[0][0], SLIPWAY_FLOAT64};
  int built = 0, refused = 0;
  for (int round = 0; round < 3000; ++round) {
    Arrays arrays;
    slipway_forest forest = arrays.View();
    for (size_t damage = below(3); damage > 0; --damage) {
      const int32_t odd[] = {-8, -7, -2, -1, 0, 1, 5, 6, 7, 12, INT32_MAX, INT32_MIN};
      const double strange[] = {kNaN, std::numeric_limits<double>::infinity(), -1, 1e300, 0};
      std::vector<int32_t>* whole[] = {&arrays.feature, &arrays.left, &arrays.right, &arrays.set};
      std::vector<double>* real[] = {&arrays.threshold, &arrays.leaf, &arrays.node_count,
                                     &arrays.leaf_count, &arrays.base};
      switch (below(5)) {
        case 0:
        case 1:
          (*whole[below(4)])[below(12)] = odd[below(12)];
          break;
        case 2:
          (*real[below(5)])[below(9)] = strange[below(5)];
          break;
        case 3:
          (below(2) == 0 ? arrays.default_left : arrays.missing)[below(12)] =
              static_cast<uint8_t>(below(256));
          break;
        default: {
          int32_t* settings[] = {&forest.kind, &forest.transform, &forest.value_rule,
                                 &forest.average, &forest.float32_sums};
          *settings[below(5)] = static_cast<int32_t>(below(10)) - 1;
          forest.score_count = static_cast<int64_t>(below(4));
          forest.feature_count = static_cast<int64_t>(below(5));
        }
      }
    }
    slipway_model* model = nullptr;
    if (slipway_build(&forest, &model) != SLIPWAY_OK) {
      ++refused;
      EXPECT_STRNE(slipway_last_error(), "");
      continue;
    }
    ++built;
    const Handle handle(model);
    double scores[9], shares[27];
    const int code = slipway_predict(model, &matrix, SLIPWAY_SCORES, 1, scores, 9);
    EXPECT_EQ(code == SLIPWAY_OK, slipway_input_count(model) == 3);
    (void)slipway_explain(model, &matrix, 1, shares, 27);
  }
  EXPECT_GT(built, 1000);
  EXPECT_GT(refused, 500);
}

TEST(Capi, OneModelManyThreads) {
  const Handle bundle = Open(BundleBytes()), bare = Open(CountedModel());
  const Lent lent = SixRows();
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      const double rows[][2] = {{1, 1}, {1, 0}};
      const slipway_matrix matrix = {rows,           2, 2, sizeof rows[0], sizeof rows[0][0],
                                     SLIPWAY_FLOAT64};
      for (int round = 0; round < 50; ++round) {
        double raw[6], shares[6];
        if (slipway_predict_arrow(bundle.get(), &lent.schema, &lent.batch, SLIPWAY_RAW_SCORES, 2,
                                  raw, 6) != SLIPWAY_OK ||
            raw[0] != 0.25 || raw[2] != 0.3) {
          ++wrong;
        }
        if (slipway_explain(bare.get(), &matrix, 2, shares, 6) != SLIPWAY_OK ||
            std::fabs(shares[0] + shares[1] + shares[2] - 0.25) > 1e-12) {
          ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace slipway
