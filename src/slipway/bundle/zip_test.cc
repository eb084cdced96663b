#include "slipway/bundle/zip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slipway/base/file.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

using ZipEntries = std::vector<std::pair<std::string, std::string>>;

Result<ZipEntries> ReadAll(std::string_view bytes) {
  ASSIGN_OR_RETURN(ZipReader zip, ZipReader::Open(bytes));
  ZipEntries entries;
  std::string name;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, zip.Next(&name));
    if (!more) return entries;
    ASSIGN_OR_RETURN(std::string content, zip.Read(1 << 20));
    entries.emplace_back(name, std::move(content));
  }
}

std::string Made(const ZipEntries& entries) {
  std::vector<std::pair<std::string, std::string_view>> views(entries.begin(), entries.end());
  Result<std::string> bytes = MakeZip(views);
  EXPECT_TRUE(bytes.ok());
  return *bytes;
}

const ZipEntries kEntries = {
    {"a.txt", "hello hello hello hello"}, {"empty", ""}, {"b.bin", std::string(100'000, '\0')}};

// By Python's zipfile: one stored entry, then a comment.
constexpr std::string_view kStoredZip(
    "PK\x03\x04\x14\0\0\0\0\0\0\0!\0\x86\xa6\x10\x36\x05\0\0\0\x05\0\0\0\x01\0\0\0xhello"
    "PK\x01\x02\x14\x03\x14\0\0\0\0\0\0\0!\0\x86\xa6\x10\x36\x05\0\0\0\x05\0\0\0\x01\0\0\0\0\0\0\0"
    "\0\0\0\0\x80\x01\0\0\0\0x"
    "PK\x05\x06\0\0\0\0\x01\0\x01\0\x2f\0\0\0\x24\0\0\0\x02\0ok",
    36 + 47 + 24);

TEST(Zip, GivesBackWhatItTook) {
  const std::string bytes = Made(kEntries);
  Result<ZipEntries> read = ReadAll(bytes);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, kEntries);
  EXPECT_LT(bytes.size(), 1000U);
  EXPECT_EQ(bytes, Made(kEntries));
  EXPECT_TRUE(ReadAll(Made({}))->empty());
}

TEST(Zip, ReadsStoredEntriesAndAComment) {
  Result<ZipEntries> read = ReadAll(kStoredZip);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, (ZipEntries{{"x", "hello"}}));
}

TEST(Zip, RefusesEveryCut) {
  for (const std::string& bytes : {Made(kEntries), std::string(kStoredZip)}) {
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(ReadAll(std::string_view(bytes).substr(0, size)).ok()) << size;
    }
  }
}

TEST(Zip, AFlippedByteIsRefusedOrChangesNoContent) {
  const std::string bytes = Made(kEntries);
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xFF}) {
      std::string altered = bytes;
      altered[i] = static_cast<char>(altered[i] ^ flip);
      const Result<ZipEntries> read = ReadAll(altered);
      if (!read.ok()) continue;
      ASSERT_EQ(read->size(), kEntries.size()) << i;
      for (size_t k = 0; k < kEntries.size(); ++k) EXPECT_EQ((*read)[k].second, kEntries[k].second);
    }
  }
}

TEST(Zip, LimitsFoldersLinksAndEncryptionAreChecked) {
  std::string bytes = Made({{"big", std::string(2000, 'x')}});
  Result<ZipReader> zip = ZipReader::Open(bytes);
  std::string name;
  ASSERT_TRUE(*zip->Next(&name));
  EXPECT_THAT(zip->Read(1999).error().message, HasSubstr("larger than the 1999 bytes"));
  EXPECT_THAT(ReadAll(Made({{"a/b", "x"}})).error().message, HasSubstr("not a plain file"));
  EXPECT_THAT(ReadAll(Made({{"..\\b", "x"}})).error().message, HasSubstr("not a plain file"));
  const size_t directory = bytes.find("PK\x01\x02");
  std::string link = bytes;
  link[directory + 41] = '\xA1';
  EXPECT_THAT(ReadAll(link).error().message, HasSubstr("not a plain file"));
  std::string secret = bytes;
  secret[directory + 8] = 1;
  EXPECT_THAT(ReadAll(secret).error().message, HasSubstr("encrypted"));
}

TEST(Zip, EntriesThatOverlapAreRefused) {
  std::string bytes = Made({{"a", std::string(500, 'x')}, {"b", std::string(500, 'x')}});
  const size_t second = bytes.rfind("PK\x01\x02");
  for (int i = 0; i < 4; ++i) bytes[second + 42 + static_cast<size_t>(i)] = 0;  // where "a" is
  EXPECT_FALSE(ReadAll(bytes).ok());
}

// ---- As files ----

class ZipFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<TempDir> made = TempDir::Make();
    ASSERT_TRUE(made.ok());
    folder_ = std::move(*made);
    path_ = folder_.File("a.zip");
  }

  // In pieces of `piece` bytes.
  Status Write(const ZipEntries& entries, size_t piece, bool deflate = true) {
    ASSIGN_OR_RETURN(const std::unique_ptr<ZipFileWriter> writer, ZipFileWriter::Create(path_));
    size_t packed = 0;
    for (const auto& [name, content] : entries) {
      RETURN_IF_ERROR(writer->Begin(name, deflate));
      for (size_t at = 0; at < content.size(); at += piece)
        RETURN_IF_ERROR(writer->Write(std::string_view(content).substr(at, piece)));
      RETURN_IF_ERROR(writer->End(&packed));
    }
    EXPECT_FALSE(PathExists(path_));
    return writer->Finish();
  }

  TempDir folder_;
  std::string path_;
};

TEST_F(ZipFiles, HaveTheBytesOfTheOnesInMemory) {
  for (const size_t piece : {size_t{1}, size_t{1000}, size_t{1} << 20}) {
    ASSERT_TRUE(RemoveAll(path_).ok());
    ASSERT_TRUE(Write(kEntries, piece).ok());
    EXPECT_EQ(*ReadFile(path_), Made(kEntries)) << piece;
  }
  EXPECT_EQ(ListDir(folder_.path())->size(), 1U);
}

TEST_F(ZipFiles, AreReadInPieces) {
  std::string big(1'000'000, '\0');
  for (size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * i >> 7);
  for (const bool deflate : {true, false}) {
    ASSERT_TRUE(RemoveAll(path_).ok());
    ASSERT_TRUE(Write({{"big", big}, {"empty", ""}}, 4096, deflate).ok());
    Result<ZipReader> zip = ZipReader::OpenFile(path_);
    ASSERT_TRUE(zip.ok()) << zip.error().message;
    EXPECT_TRUE(zip->CheckExact().ok());
    EXPECT_EQ(zip->entries(), 2U);
    EXPECT_EQ(zip->file_bytes(), static_cast<size_t>(*FileSize(path_)));
    std::string name, read;
    ASSERT_TRUE(*zip->Next(&name));
    EXPECT_EQ(zip->size(), big.size());
    size_t most = 0;
    const ZipSink sink = [&](std::string_view bytes) -> Status {
      most = std::max(most, bytes.size());
      read += bytes;
      return {};
    };
    ASSERT_TRUE(zip->Extract(big.size(), sink).ok());
    EXPECT_EQ(read, big);
    EXPECT_LE(most, size_t{256} << 10);
    EXPECT_THAT(zip->Extract(big.size() - 1, sink).error().message, HasSubstr("larger than"));
    // What the sink says is what comes back.
    const Status full = zip->Extract(
        big.size(), [](std::string_view) -> Status { return Unavailable("no space left"); });
    EXPECT_EQ(full.error().code, ErrorCode::kUnavailable);
    ASSERT_TRUE(*zip->Next(&name));
    EXPECT_EQ(*zip->Read(0), "");
    EXPECT_FALSE(*zip->Next(&name));
  }
}

TEST_F(ZipFiles, AnEntryCanBeTakenBack) {
  Result<std::unique_ptr<ZipFileWriter>> writer = ZipFileWriter::Create(path_);
  ASSERT_TRUE(writer.ok());
  size_t packed = 0;
  for (const bool ended : {false, true}) {
    ASSERT_TRUE((*writer)->Begin("wrong", true).ok());
    ASSERT_TRUE((*writer)->Write(std::string(100'000, 'x')).ok());
    if (ended) {
      ASSERT_TRUE((*writer)->End(&packed).ok());
      EXPECT_GT(packed, 0U);
    }
    ASSERT_TRUE((*writer)->Cancel().ok());
    ASSERT_TRUE((*writer)->Begin(ended ? "b" : "a", false).ok());
    ASSERT_TRUE((*writer)->Write("hello").ok());
    ASSERT_TRUE((*writer)->End(&packed).ok());
    EXPECT_EQ(packed, 5U);
  }
  ASSERT_TRUE((*writer)->Finish().ok());
  Result<ZipReader> zip = ZipReader::OpenFile(path_);
  ASSERT_TRUE(zip.ok()) << zip.error().message;
  EXPECT_TRUE(zip->CheckExact().ok());
  EXPECT_EQ(*ReadAll(*ReadFile(path_)), (ZipEntries{{"a", "hello"}, {"b", "hello"}}));
}

TEST_F(ZipFiles, WithoutFinishNothingStays) {
  ASSERT_TRUE(WriteFileAtomic(path_, "old").ok());
  {
    Result<std::unique_ptr<ZipFileWriter>> writer = ZipFileWriter::Create(path_);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->Begin("a", true).ok());
  }
  EXPECT_EQ(*ReadFile(path_), "old");
  EXPECT_EQ(ListDir(folder_.path())->size(), 1U);
  EXPECT_EQ(ZipFileWriter::Create(folder_.File("no/where")).error().code, ErrorCode::kNotFound);
}

TEST_F(ZipFiles, AreExactOrNot) {
  const auto exact = [](std::string_view bytes) {
    Result<ZipReader> zip = ZipReader::Open(bytes);
    return zip.ok() && zip->CheckExact().ok();
  };
  const std::string good = Made(kEntries);
  EXPECT_TRUE(exact(good));
  EXPECT_TRUE(exact(Made({})));
  EXPECT_FALSE(exact(kStoredZip));  // it has a comment, and Python's mode
  EXPECT_FALSE(exact("x" + good));
  int changed = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    std::string altered = good;
    altered[i] = static_cast<char>(altered[i] ^ 0x10);
    if (exact(altered)) ++changed;
  }
  size_t packed = 0;  // only the entries' own bytes may differ
  for (const auto& [name, content] : kEntries)
    packed += Made({{name, content}}).size() - 98 - 2 * name.size();
  EXPECT_EQ(changed, static_cast<int>(packed));
}

}  // namespace
}  // namespace slipway
