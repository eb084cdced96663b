#include "slipway/package/package.h"

#include <cstdlib>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/bundle/zip.h"
#include "slipway/package/package_for_test.h"
#include "slipway/package/test_query.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

// Without the fsync of our own writers, which thousands of files would wait for.
void Put(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

class Package : public ::testing::Test {
 protected:
  void SetUp() override {
    // In memory where there is such a folder: thousands of files are made durable here.
    Result<TempDir> made = TempDir::Make(::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "");
    ASSERT_TRUE(made.ok());
    folder_ = std::move(*made);
    content_ = ContentForTest(folder_);
    path_ = folder_.File("good.zip");
    good_ = Written();
  }

  std::string Written() {
    const Status status = WritePackage(path_, content_);
    EXPECT_TRUE(status.ok()) << status.error().message;
    Result<std::string> bytes = ReadFile(path_);
    EXPECT_TRUE(bytes.ok());
    return bytes.ok() ? *bytes : "";
  }

  std::string WriteRefusal() {
    const Status status = WritePackage(folder_.File("bad.zip"), content_);
    EXPECT_FALSE(status.ok());
    EXPECT_FALSE(PathExists(folder_.File("bad.zip")));
    EXPECT_FALSE(status.ok() || status.error().code == ErrorCode::kCorruption);
    return status.ok() ? "accepted" : status.error().message;
  }

  Result<PackageManifest> UnpackBytes(std::string_view bytes, const PackageLimits& limits = {}) {
    const std::string path = folder_.File("other.zip");
    Put(path, bytes);
    EXPECT_TRUE(RemoveAll(folder_.File("out")).ok());
    Result<PackageManifest> manifest = UnpackPackage(path, folder_.File("out"), limits);
    EXPECT_TRUE(!manifest.ok() || ReadPackageManifest(path, limits).ok());
    return manifest;
  }

  std::string Refusal(std::string_view bytes, const PackageLimits& limits = {}) {
    const Result<PackageManifest> manifest = UnpackBytes(bytes, limits);
    EXPECT_FALSE(manifest.ok());
    EXPECT_FALSE(PathExists(folder_.File("out/manifest.json")));
    return manifest.ok() ? "accepted" : manifest.error().message;
  }

  TempDir folder_;
  PackageContent content_;
  std::string path_, good_;
};

TEST_F(Package, OneFileIsReadWithoutTheOthersAndChecked) {
  ASSERT_TRUE(UnpackPackage(path_, folder_.File("whole")).ok());
  const auto part = ReadPackagePart(path_, "openapi.json", 1 << 20);
  ASSERT_TRUE(part.ok()) << part.error().message;
  EXPECT_EQ(*part, *ReadFile(folder_.File("whole/openapi.json")));
  EXPECT_EQ(*ReadPackagePart(path_, "zones.table", 1 << 20), std::string(300, '\0'));
  EXPECT_EQ(ReadPackagePart(path_, "nothing.json", 1 << 20).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(ReadPackagePart(path_, "openapi.json", 3).ok());
  const std::string path = folder_.File("damaged.zip");
  std::string bytes = good_;
  const size_t at = bytes.find("\"openapi\"");
  if (at != std::string::npos) {  // stored, not deflated: a byte of the content itself
    bytes[at + 1] ^= 1;
    Put(path, bytes);
    EXPECT_FALSE(ReadPackagePart(path, "openapi.json", 1 << 20).ok());
  }
}

TEST_F(Package, WhatIsWrittenIsUnpackedAndVerified) {
  const std::string out = folder_.File("out");
  Result<PackageManifest> manifest = UnpackPackage(path_, out);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  std::vector<std::string> names = {"manifest.json"};
  for (const PackagePart& part : manifest->parts) {
    names.push_back(part.name);
    EXPECT_EQ(*Sha256HexOfFile(JoinPath(out, part.name)), part.sha256);
    EXPECT_EQ(*FileSize(JoinPath(out, part.name)), part.bytes);
  }
  EXPECT_THAT(*ListDir(out), ::testing::UnorderedElementsAreArray(names));
  EXPECT_EQ(names, (std::vector<std::string>{"manifest.json", "openapi.json", "test_queries.json",
                                             "fare.bundle", "zones.table"}));
  EXPECT_EQ(*ReadFile(JoinPath(out, "zones.table")), std::string(300, '\0'));
  Result<PackageManifest> verified = VerifyPackageFolder(out);
  ASSERT_TRUE(verified.ok()) << verified.error().message;
  Result<PackageManifest> alone = ReadPackageManifest(path_);
  ASSERT_TRUE(alone.ok()) << alone.error().message;
  EXPECT_EQ(ManifestToJson(*verified), ManifestToJson(*alone));
  Result<std::vector<TestQuery>> queries = ReadTestQueries(out);
  ASSERT_TRUE(queries.ok()) << queries.error().message;
  ASSERT_EQ(queries->size(), 1U);
  EXPECT_EQ((*queries)[0].name, "short trip");
}

TEST_F(Package, UnpacksIntoAnEmptyFolderAndNoOther) {
  ASSERT_TRUE(MakeDirs(folder_.File("empty")).ok());
  EXPECT_TRUE(UnpackPackage(path_, folder_.File("empty")).ok());
  EXPECT_EQ(UnpackPackage(path_, folder_.File("empty")).error().code, ErrorCode::kConflict);
  EXPECT_EQ(UnpackPackage(folder_.File("none.zip"), folder_.File("x")).error().code,
            ErrorCode::kNotFound);
  EXPECT_EQ(UnpackPackage(folder_.path(), folder_.File("x")).error().code,
            ErrorCode::kInvalidArgument);
}

TEST_F(Package, TheSameContentGivesTheSameBytes) {
  setenv("TZ", "Asia/Tokyo", 1);
  content_.files["zones.table"] = folder_.File("copy");
  ASSERT_TRUE(WriteFileAtomic(folder_.File("copy"), std::string(300, '\0'), 0600).ok());
  EXPECT_EQ(Written(), good_);
  unsetenv("TZ");
  content_.manifest.created_at = "2027-01-01T00:00:00Z";
  EXPECT_NE(Written(), good_);
}

TEST_F(Package, TextsAreDeflatedTheRestIsStored) {
  EXPECT_EQ(good_.find("better in the rain"), std::string::npos);    // deflated
  EXPECT_NE(good_.find("bundle bundle bundle"), std::string::npos);  // stored
  EXPECT_NE(good_.find(std::string(300, '\0')), std::string::npos);  // stored
  // What deflates so well that it looks like a bomb is stored.
  content_.openapi = Json{{"x", std::string(3'000'000, 'x')}};
  EXPECT_GT(Written().size(), 3'000'000U);
  EXPECT_TRUE(UnpackPackage(path_, folder_.File("out")).ok());
}

TEST_F(Package, AnAlteredByteIsRefused) {
  // Outside of a deflated entry's last bits every bit counts; there the content stays the same.
  int accepted = 0;
  for (size_t i = 0; i < good_.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xFF}) {
      std::string altered = good_;
      altered[i] = static_cast<char>(altered[i] ^ flip);
      Put(folder_.File("other.zip"), altered);
      ASSERT_TRUE(RemoveAll(folder_.File("out")).ok());
      const Result<PackageManifest> read =
          UnpackPackage(folder_.File("other.zip"), folder_.File("out"));
      if (!read.ok()) {
        EXPECT_FALSE(read.error().message.empty());
        continue;
      }
      ++accepted;
      for (const auto& [name, bytes] : EntriesOf(good_))
        EXPECT_EQ(*ReadFile(folder_.File("out/" + name)), bytes);
    }
  }
  EXPECT_LE(accepted, 9);  // three deflated entries
}

TEST_F(Package, AFileCutAnywhereOrWithMoreAroundItIsRefused) {
  for (size_t size = 0; size < good_.size(); ++size)
    Refusal(std::string_view(good_).substr(0, size));
  EXPECT_THAT(Refusal(good_ + "x"), HasSubstr("no directory at its end"));
  EXPECT_THAT(Refusal("x" + good_), HasSubstr("zip"));
  std::string comment = good_ + "ok";
  comment[good_.size() - 2] = 2;
  EXPECT_THAT(Refusal(comment), HasSubstr("damaged zip file"));
  EXPECT_THAT(Refusal(good_ + good_), HasSubstr("directory is not before its end"));
  EXPECT_THAT(Refusal(""), HasSubstr("not a whole zip file"));
}

TEST_F(Package, NamesThatAreNoPlainNamesAreRefused) {
  EXPECT_TRUE(UnpackBytes(SealedZipOf(EntriesOf(good_))).ok());
  const std::string names[] = {"../zones.table",
                               "/etc/zones",
                               "a/b",
                               "..\\b",
                               "C:\\b",
                               "..",
                               ".hidden",
                               "-rf",
                               "a b",
                               "",
                               "a%2fb",
                               "a;b",
                               "zones.table/",
                               "\xC3\xA9",
                               "a\nb",
                               "a:b",
                               std::string("a\0b", 3),
                               std::string(129, 'a')};
  for (const std::string& name : names) {
    EntriesForTest entries = EntriesOf(good_);
    entries.back().first = name;
    EXPECT_NE(Refusal(SealedZipOf(entries)), "accepted") << name;
    EXPECT_NE(Refusal(ZipOf(entries)), "accepted") << name;
  }
  EXPECT_EQ(ListDir(folder_.path())->size(), 5U);  // nothing beside the folder
}

TEST_F(Package, EntriesAreTheManifestsOnes) {
  const EntriesForTest good = EntriesOf(good_);
  EntriesForTest entries = good;
  entries.emplace_back("extra.txt", "x");
  EXPECT_THAT(Refusal(ZipOf(entries)), HasSubstr("unexpected entry 'extra.txt'"));
  EXPECT_THAT(Refusal(SealedZipOf(entries)), HasSubstr("'extra.txt' belongs to no endpoint"));
  entries = good;
  entries.pop_back();
  EXPECT_THAT(Refusal(ZipOf(entries)), HasSubstr("part 'zones.table' is missing"));
  EXPECT_THAT(Refusal(SealedZipOf(entries)), HasSubstr("part 'zones.table' is missing"));
  entries = good;
  entries.push_back(good.back());
  EXPECT_THAT(Refusal(ZipOf(entries)), HasSubstr("unexpected entry 'zones.table'"));
  EXPECT_THAT(Refusal(SealedZipOf(entries)), HasSubstr("stands twice"));
  entries.back().first = "Zones.Table";
  EXPECT_THAT(Refusal(SealedZipOf(entries)), HasSubstr("stands twice"));
  entries = good;
  entries.push_back(good.front());
  EXPECT_THAT(Refusal(SealedZipOf(entries)), HasSubstr("'manifest.json' stands twice"));
  entries = good;
  std::swap(entries[3], entries[4]);
  EXPECT_THAT(Refusal(ZipOf(entries)), HasSubstr("part 'zones.table' where 'fare.bundle' belongs"));
  entries = good;
  std::swap(entries[0], entries[1]);
  EXPECT_THAT(Refusal(ZipOf(entries)), HasSubstr("does not begin with 'manifest.json'"));
  entries = good;
  entries[4].second[7] = 'x';
  EXPECT_THAT(Refusal(ZipOf(entries)), HasSubstr("part 'zones.table': its SHA-256 differs"));
  entries[4].second += 'x';
  EXPECT_THAT(Refusal(ZipOf(entries)), HasSubstr("301 bytes instead of 300"));
}

TEST_F(Package, LinksAndFoldersAreRefused) {
  const size_t entry = good_.rfind("PK\x01\x02");
  for (const char kind : {'\xA1', '\x41', '\x11', '\x61'}) {  // link, folder, pipe, device
    std::string altered = good_;
    altered[entry + 41] = kind;
    EXPECT_NE(Refusal(altered), "accepted");
  }
}

TEST_F(Package, LimitsHold) {
  PackageLimits limits;
  limits.package_bytes = 100;
  EXPECT_THAT(Refusal(good_, limits), HasSubstr("bytes, at most 100 may be"));
  limits = {};
  limits.part_bytes = 299;
  EXPECT_THAT(Refusal(good_, limits), HasSubstr("part 'zones.table': 300 bytes, at most 299"));
  limits = {};
  limits.total_bytes = 400;
  EXPECT_THAT(Refusal(good_, limits), HasSubstr("bytes in all, at most 400 may be"));
  limits = {};
  limits.parts = 3;
  EXPECT_THAT(Refusal(good_, limits), HasSubstr("at most"));
}

TEST_F(Package, BombsAreRefused) {
  EntriesForTest entries = EntriesOf(good_);
  entries[4].second = std::string(20 << 20, '\0');
  EXPECT_THAT(Refusal(SealedZipOf(entries)), HasSubstr("a zip bomb"));
  EXPECT_FALSE(PathExists(folder_.File("out/zones.table")));
  // A size that the entry does not inflate to.
  std::string bytes = SealedZipOf(EntriesOf(good_));
  for (const char* mark : {"PK\x01\x02", "PK\x03\x04"}) {
    const size_t at = bytes.rfind(mark) + (mark[2] == 1 ? 24 : 22);
    bytes[at + 3] = '\x7F';
  }
  EXPECT_NE(Refusal(bytes), "accepted");
}

TEST_F(Package, ANewerFormatSaysToUpgrade) {
  EntriesForTest entries = EntriesOf(good_);
  Json manifest = *ParseJson(entries[0].second);
  manifest["format"] = 2;
  manifest["what_comes"] = true;
  entries[0].second = DumpJson(manifest);
  const Result<PackageManifest> read = UnpackBytes(ZipOf(entries));
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(read.error().message, HasSubstr("made by a newer Slipway: format 2"));
  EXPECT_THAT(read.error().hint, HasSubstr("upgrade"));
}

TEST_F(Package, WritingRefusesWhatReadingWould) {
  const PackageContent good = content_;
  content_.files["extra.table"] = folder_.File("some.table");
  EXPECT_THAT(WriteRefusal(), HasSubstr("'extra.table' belongs to no endpoint"));
  content_ = good;
  content_.files.erase("fare.bundle");
  EXPECT_THAT(WriteRefusal(), HasSubstr("part 'fare.bundle' is missing"));
  content_ = good;
  content_.files["fare.bundle"] = folder_.File("nowhere");
  EXPECT_THAT(WriteRefusal(), HasSubstr("nowhere"));
  content_.files["fare.bundle"] = folder_.path();
  EXPECT_THAT(WriteRefusal(), HasSubstr("is not a file"));
  {
    std::ofstream sparse(folder_.File("huge"), std::ios::binary);
    sparse.seekp((int64_t{4} << 30) - 1);
    sparse.put('x');
  }
  content_.files["fare.bundle"] = folder_.File("huge");
  EXPECT_THAT(WriteRefusal(), HasSubstr("part 'fare.bundle': with it the package has more than 4"));
  ASSERT_TRUE(RemoveAll(folder_.File("huge")).ok());
  content_ = good;
  content_.manifest.endpoints[1].id = "a/b";
  EXPECT_THAT(WriteRefusal(), HasSubstr("which is no name"));
  content_ = good;
  content_.manifest.endpoints.clear();
  content_.files.clear();
  EXPECT_THAT(WriteRefusal(), HasSubstr("0 endpoints"));
  content_ = good;
  content_.openapi = Json::array();
  EXPECT_THAT(WriteRefusal(), HasSubstr("not an object"));
  EXPECT_EQ(ListDir(folder_.path())->size(), 3U);  // no temporary file stays
}

// The peak of resident memory since it was last reset, in kilobytes.
int64_t PeakKilobytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    int64_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes;
  }
  return -1;
}

TEST_F(Package, MemoryDoesNotGrowWithTheParts) {
  {
    std::ofstream table(folder_.File("some.table"), std::ios::binary);
    std::string piece(1 << 20, '\0');
    for (int i = 0; i < 24; ++i) {
      for (char& c : piece) c = static_cast<char>(c * 5 + i + 1);
      table << piece;
    }
  }
  {
    std::ofstream reset("/proc/self/clear_refs");
    reset << "5";
    reset.flush();
    if (!reset.good()) GTEST_SKIP() << "the peak of memory cannot be reset here";
  }
  const int64_t before = PeakKilobytes();
  Written();
  const int64_t written = PeakKilobytes();
  // Written() reads the whole file for other tests: the measure works.
  EXPECT_GT(written - before, 15'000);
  std::ofstream("/proc/self/clear_refs") << "5";
  const int64_t low = PeakKilobytes();
  ASSERT_TRUE(WritePackage(folder_.File("again.zip"), content_).ok());
  ASSERT_TRUE(UnpackPackage(path_, folder_.File("out")).ok());
  ASSERT_TRUE(VerifyPackageFolder(folder_.File("out")).ok());
  EXPECT_LT(PeakKilobytes() - low, 8'000);
}

TEST_F(Package, AFolderThatChangedIsRefused) {
  const std::string out = folder_.File("out");
  ASSERT_TRUE(UnpackPackage(path_, out).ok());
  const std::string part = JoinPath(out, "zones.table");
  const std::string content = *ReadFile(part);
  const auto refusal = [&] {
    const Result<PackageManifest> read = VerifyPackageFolder(out);
    EXPECT_EQ(read.ok() ? ErrorCode::kInternal : read.error().code, ErrorCode::kCorruption);
    return read.ok() ? "accepted" : read.error().message;
  };
  std::string altered = content;
  altered[200] = 'x';
  ASSERT_TRUE(WriteFileAtomic(part, altered).ok());
  EXPECT_THAT(refusal(), HasSubstr("part 'zones.table': its SHA-256 differs"));
  ASSERT_TRUE(WriteFileAtomic(part, content + "x").ok());
  EXPECT_THAT(refusal(), HasSubstr("301 bytes instead of 300"));
  ASSERT_EQ(::unlink(part.c_str()), 0);
  EXPECT_THAT(refusal(), HasSubstr("part 'zones.table' is missing"));
  ASSERT_TRUE(WriteFileAtomic(folder_.File("same"), content).ok());
  ASSERT_EQ(::symlink(folder_.File("same").c_str(), part.c_str()), 0);
  EXPECT_THAT(refusal(), HasSubstr("is a link"));
  ASSERT_EQ(::unlink(part.c_str()), 0);
  ASSERT_TRUE(WriteFileAtomic(part, content).ok());
  EXPECT_TRUE(VerifyPackageFolder(out).ok());
  ASSERT_EQ(::unlink(JoinPath(out, "manifest.json").c_str()), 0);
  EXPECT_EQ(VerifyPackageFolder(out).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace slipway
