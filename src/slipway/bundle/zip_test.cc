#include "slipway/bundle/zip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slipway {
namespace {

using ::testing::HasSubstr;

using Entries = std::vector<std::pair<std::string, std::string>>;

Result<Entries> ReadAll(std::string_view bytes) {
  ASSIGN_OR_RETURN(ZipReader zip, ZipReader::Open(bytes));
  Entries entries;
  std::string name;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, zip.Next(&name));
    if (!more) return entries;
    ASSIGN_OR_RETURN(std::string content, zip.Read(1 << 20));
    entries.emplace_back(name, std::move(content));
  }
}

std::string Made(const Entries& entries) {
  std::vector<std::pair<std::string, std::string_view>> views(entries.begin(), entries.end());
  Result<std::string> bytes = MakeZip(views);
  EXPECT_TRUE(bytes.ok());
  return *bytes;
}

const Entries kEntries = {
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
  Result<Entries> read = ReadAll(bytes);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, kEntries);
  EXPECT_LT(bytes.size(), 1000U);
  EXPECT_EQ(bytes, Made(kEntries));
  EXPECT_TRUE(ReadAll(Made({}))->empty());
}

TEST(Zip, ReadsStoredEntriesAndAComment) {
  Result<Entries> read = ReadAll(kStoredZip);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, (Entries{{"x", "hello"}}));
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
      const Result<Entries> read = ReadAll(altered);
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

}  // namespace
}  // namespace slipway
