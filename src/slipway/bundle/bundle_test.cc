#include "slipway/bundle/bundle.h"

#include <cstdlib>

#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/bundle/model.h"
#include "slipway/bundle/model_for_test.h"
#include "slipway/bundle/zip.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

std::string GoldenPath() {
  return std::string(SLIPWAY_SOURCE_DIR) + "/tests/golden/bundle-format-1.bundle";
}

std::string Written(const BundleContent& content) {
  Result<TempDir> folder = TempDir::Make();
  const std::string path = folder->File("m.bundle");
  const Status status = WriteBundle(path, content);
  EXPECT_TRUE(status.ok()) << status.error().message;
  Result<std::string> bytes = ReadFile(path);
  return bytes.ok() ? *bytes : "";
}

void ExpectEqual(const BundleContent& a, const BundleContent& b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.target, b.target);
  EXPECT_EQ(a.target_type, b.target_type);
  EXPECT_EQ(a.classes, b.classes);
  EXPECT_EQ(a.threshold, b.threshold);
  EXPECT_EQ(a.algorithm, b.algorithm);
  EXPECT_EQ(a.model_text, b.model_text);
  EXPECT_EQ(a.pipeline_json, b.pipeline_json);
  EXPECT_EQ(a.info_json, b.info_json);
  EXPECT_EQ(a.sample_rows, b.sample_rows);
  EXPECT_EQ(a.sample_raw, b.sample_raw);
  EXPECT_EQ(a.sample_scores, b.sample_scores);
}

TEST(Bundle, WhatIsWrittenIsReadBack) {
  const BundleContent content = TestContent();
  Result<BundleContent> read = ParseBundle(Written(content));
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->sample_scores.size(), 6U);
  EXPECT_TRUE(read->sample_scores[5].empty());  // the filter drops it
  BundleContent expected = content;
  expected.sample_matrix = read->sample_matrix;
  expected.sample_raw = read->sample_raw;
  expected.sample_scores = read->sample_scores;
  ExpectEqual(*read, expected);
  EXPECT_EQ(read->sample_raw[0], std::vector<double>{0.25});
}

TEST(Bundle, TheSameContentGivesTheSameBytesInEveryTimeZone) {
  const std::string first = Written(TestContent());
  setenv("TZ", "Asia/Tokyo", 1);
  tzset();
  EXPECT_EQ(first, Written(TestContent()));
  unsetenv("TZ");
  tzset();
  Result<BundleContent> read = ParseBundle(first);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(first, Written(*read));
}

TEST(Bundle, TheGoldenFileOfFormat1OpensAndScoresItsSample) {
  if (std::getenv("SLIPWAY_WRITE_GOLDEN") != nullptr) {
    ASSERT_TRUE(WriteBundle(GoldenPath(), TestContent()).ok());
  }
  Result<std::unique_ptr<Model>> model = Model::Open(GoldenPath());
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ((*model)->outputs().Names(),
            (std::vector<std::string>{"proba_false", "proba_true", "prediction"}));
  Result<BundleContent> golden = ReadBundle(GoldenPath());
  ASSERT_TRUE(golden.ok());
  EXPECT_EQ(golden->sample_rows.size(), 6U);
  EXPECT_EQ(golden->sample_raw[0], std::vector<double>{0.25});
  EXPECT_EQ(golden->sample_raw[1], std::vector<double>{-1.5});
  EXPECT_EQ(golden->sample_raw[2], std::vector<double>{0.3});
}

TEST(Bundle, AFileCutAnywhereIsRefused) {
  Result<std::string> bytes = ReadFile(GoldenPath());
  ASSERT_TRUE(bytes.ok());
  for (size_t size = 0; size < bytes->size(); ++size) {
    EXPECT_FALSE(Model::FromBytes(std::string_view(*bytes).substr(0, size)).ok()) << size;
  }
}

TEST(Bundle, AnAlteredByteIsRefusedOrChangesNothing) {
  Result<std::string> bytes = ReadFile(GoldenPath());
  Result<BundleContent> golden = ReadBundle(GoldenPath());
  ASSERT_TRUE(bytes.ok() && golden.ok());
  int refused = 0;
  for (size_t i = 0; i < bytes->size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xFF}) {
      std::string altered = *bytes;
      altered[i] = static_cast<char>(altered[i] ^ flip);
      Result<BundleContent> read = ParseBundle(altered);
      if (read.ok()) {
        ExpectEqual(*read, *golden);
      } else {
        ++refused;
        EXPECT_FALSE(read.error().message.empty());
      }
      if (HasFailure()) FAIL() << "byte " << i << " flipped by " << flip;
    }
  }
  EXPECT_GT(refused, static_cast<int>(bytes->size()));
}

// A bundle whose entries a test may change; hashes follow unless told otherwise.
struct BundleEntries {
  std::vector<std::pair<std::string, std::string>> parts;
  int format = 1;
  std::string kind = "slipway-bundle";
};

BundleEntries GoodEntries() {
  BundleEntries entries;
  const std::string bytes = Written(TestContent());
  Result<ZipReader> zip = ZipReader::Open(bytes);
  std::string name;
  while (true) {
    Result<bool> more = zip->Next(&name);
    EXPECT_TRUE(more.ok());
    if (!more.ok() || !*more) return entries;
    Result<std::string> content = zip->Read(1 << 20);
    EXPECT_TRUE(content.ok());
    if (name != "manifest.json") entries.parts.emplace_back(name, *content);
  }
}

std::string Zipped(const BundleEntries& entries,
                   const std::vector<std::pair<std::string, std::string>>& more = {}) {
  Json list = Json::array();
  for (const auto& [name, bytes] : entries.parts) {
    list.push_back(Json{{"name", name}, {"size", bytes.size()}, {"sha256", Sha256Hex(bytes)}});
  }
  const std::string manifest =
      DumpJson(Json{{"kind", entries.kind}, {"format", entries.format}, {"parts", list}});
  std::vector<std::pair<std::string, std::string_view>> all = {{"manifest.json", manifest}};
  for (const auto& [name, bytes] : entries.parts) all.emplace_back(name, bytes);
  for (const auto& [name, bytes] : more) all.emplace_back(name, bytes);
  Result<std::string> zip = MakeZip(all);
  EXPECT_TRUE(zip.ok());
  return *zip;
}

std::string Refusal(const std::string& bytes) {
  Result<std::unique_ptr<Model>> model = Model::FromBytes(bytes);
  EXPECT_FALSE(model.ok());
  return model.ok() ? "" : model.error().message;
}

std::string& Part(BundleEntries* entries, std::string_view name) {
  for (auto& [part, bytes] : entries->parts) {
    if (part == name) return bytes;
  }
  ADD_FAILURE() << name;
  return entries->parts[0].second;
}

void Replace(std::string* text, std::string_view from, std::string_view to) {
  const size_t at = text->find(from);
  ASSERT_NE(at, std::string::npos) << from << " in " << *text;
  text->replace(at, from.size(), to);
}

TEST(Bundle, ANewerFormatSaysSo) {
  BundleEntries entries = GoodEntries();
  entries.format = 2;
  Result<std::unique_ptr<Model>> model = Model::FromBytes(Zipped(entries));
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.error().message, HasSubstr("made by a newer Slipway"));
  EXPECT_EQ(model.error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(model.error().hint.empty());
}

TEST(Bundle, AWrongContainerIsRefused) {
  BundleEntries entries = GoodEntries();
  EXPECT_TRUE(Model::FromBytes(Zipped(entries)).ok());
  EXPECT_THAT(Refusal(Zipped(entries, {{"extra.txt", "x"}})),
              HasSubstr("unexpected entry 'extra.txt'"));
  EXPECT_THAT(Refusal(Zipped(entries, {{"model.txt", "x"}})),
              HasSubstr("unexpected entry 'model.txt'"));
  EXPECT_THAT(Refusal(Zipped(entries, {{"../evil", "x"}})), HasSubstr("not a plain file"));
  BundleEntries changed = entries;
  changed.kind = "cake";
  EXPECT_THAT(Refusal(Zipped(changed)), HasSubstr("kind 'cake'"));
  changed = entries;
  changed.format = 0;
  EXPECT_THAT(Refusal(Zipped(changed)), HasSubstr("format 0"));
  changed = entries;
  changed.parts.pop_back();
  EXPECT_THAT(Refusal(Zipped(changed)), HasSubstr("4 parts"));
  changed = entries;
  std::swap(changed.parts[0], changed.parts[1]);
  EXPECT_THAT(Refusal(Zipped(changed)), HasSubstr("where 'schema.json' belongs"));
  changed = entries;
  Part(&changed, "info.json") = "{\"a\":\"" + std::string(50 << 20, 'x') + "\"}";
  EXPECT_THAT(Refusal(Zipped(changed)), HasSubstr("too many"));
}

TEST(Bundle, APartThatIsWrongIsNamed) {
  struct Case {
    const char* part;
    const char* from;
    const char* to;
    const char* message;
  };
  const Case cases[] = {
      {"schema.json", "\"binary\"", "\"trinary\"", "schema.json: 'trinary'"},
      {"schema.json", "\"binary\"", "\"regression\"", "does not suit model.txt"},
      {"schema.json", "\"boolean\"", "\"float\"", "schema.json: 'float' is not a type"},
      {"schema.json", "\"false\"", "\"perhaps\"", "class 'perhaps' is not of type boolean"},
      {"schema.json", "\"false\"", "\"true\"", "class 'true' stands twice"},
      {"schema.json", "\"algorithm\"", "\"algo\"", "schema.json: unknown key 'algo'"},
      {"schema.json", "\"lightgbm\"", "\"oracle\"", "algorithm 'oracle' is not known"},
      {"schema.json", "0.4", "\"nan\"", "threshold"},
      {"pipeline.json", "{", "[", "pipeline.json"},
      {"model.txt", "leaf_value=0.25", "leaf_value=x", "model.txt: LightGBM model: tree 0"},
      {"model.txt", "leaf_value=0.25", "leaf_value=0.26",
       "raw score 0 is 0.26 here and 0.25 in the bundle"},
      {"info.json", "{", "", "info.json"},
      {"sample.json", "\"green\"", "5", "sample.json: 'rows'"},
      {"sample.json", "\"green\"", "\"red\"", "sample.json: row 0: feature 1"},
      {"sample.json", "\"1\"", "\"one\"", "'one' is not of type double"},
      {"sample.json", "[\"1\",", "[", "row 0 has 1 cells"},
      {"sample.json", "\"scores\":[[", "\"scores\":[[1,", "sample.json: row 0: score"},
      {"sample.json", "\"scores\":[[", "\"scores\":[[],[", "differ in length"},
  };
  for (const Case& test : cases) {
    BundleEntries entries = GoodEntries();
    Replace(&Part(&entries, test.part), test.from, test.to);
    EXPECT_THAT(Refusal(Zipped(entries)), HasSubstr(test.message)) << test.from;
  }
}

TEST(Bundle, WritingRefusesWhatDoesNotWork) {
  Result<TempDir> folder = TempDir::Make();
  BundleContent content = TestContent();
  content.classes = {"false"};
  EXPECT_FALSE(WriteBundle(folder->File("a"), content).ok());
  content = TestContent();
  content.sample_rows[0].pop_back();
  EXPECT_FALSE(WriteBundle(folder->File("a"), content).ok());
  content = TestContent();
  content.model_text += "x";
  content.pipeline_json = "{}";
  EXPECT_FALSE(WriteBundle(folder->File("a"), content).ok());
  EXPECT_FALSE(PathExists(folder->File("a")));
}

}  // namespace
}  // namespace slipway
