#include "slipway/http/multipart.h"

#include <gtest/gtest.h>

#include "slipway/base/file.h"

namespace slipway {
namespace {

class MultipartTest : public testing::Test {
 protected:
  Result<std::string> Extract(const std::string& body, const std::string& type = kType) {
    EXPECT_TRUE(WriteFileAtomic(folder_.File("body"), body).ok());
    const std::string target = folder_.File("out");
    (void)RemoveAll(target).ok();
    const Result<int64_t> size = ExtractMultipartFile(folder_.File("body"), type, "file", target);
    if (!size.ok()) {
      EXPECT_FALSE(PathExists(target));
      return size.error();
    }
    std::string content = *ReadFile(target);
    EXPECT_EQ(static_cast<int64_t>(content.size()), *size);
    return content;
  }
  std::string Expected(const std::string& body) {
    Result<std::string> content = Extract(body);
    EXPECT_TRUE(content.ok()) << (content.ok() ? "" : content.error().message);
    return content.ok() ? *content : "no content";
  }

  static constexpr const char* kType = "multipart/form-data; boundary=XYZ";
  static std::string Part(const std::string& name, const std::string& content) {
    return "--XYZ\r\nContent-Disposition: form-data; name=\"" + name +
           "\"; filename=\"../../etc/x\"\r\nExpires: 0\r\n\r\n" + content + "\r\n";
  }
  TempDir folder_ = *TempDir::Make();
};

TEST_F(MultipartTest, TakesTheFieldAmongOthers) {
  EXPECT_EQ(Expected(Part("file", "content") + "--XYZ--\r\n"), "content");
  EXPECT_EQ(Expected(Part("note", "a") + Part("file", "content") + Part("more", "b") + "--XYZ--"),
            "content");
  EXPECT_EQ(Expected("preamble\r\n" + Part("file", "") + "--XYZ--"), "");
}

TEST_F(MultipartTest, TwoFilesAreRefused) {
  const Result<std::string> two =
      Extract(Part("file", "one") + Part("note", "x") + Part("file", "two") + "--XYZ--\r\n");
  ASSERT_FALSE(two.ok());
  EXPECT_NE(two.error().message.find("'file' twice"), std::string::npos) << two.error().message;
}

TEST_F(MultipartTest, ContentMayLookLikeABoundary) {
  for (const std::string& content :
       {std::string("--XYZ"), std::string("\r\n--XY"), std::string("\r\n--XY\r\n--"),
        std::string("\r\n\r\n--x--XYZ--"), std::string(1000, '\r'), std::string("a\0b\r\n", 5)})
    EXPECT_EQ(Expected(Part("file", content) + "--XYZ--"), content);
}

TEST_F(MultipartTest, BoundariesAtEveryPlaceOfAChunk) {
  constexpr size_t kChunk = 256 << 10;
  const std::string head = Part("file", "");
  for (size_t around = 0; around < 24; ++around) {
    const std::string content(kChunk - head.size() - 12 + around, 'x');
    EXPECT_EQ(Expected(Part("file", content) + "--XYZ--"), content) << around;
  }
  const std::string large(3 * kChunk + 17, '-');
  EXPECT_EQ(Expected(Part("file", large) + "--XYZ--"), large);
}

TEST_F(MultipartTest, BlanksAfterABoundaryMayLieAcrossTwoChunks) {
  constexpr size_t kChunk = 256 << 10;
  const std::string part = Part("file", "content");
  const std::string blanks = part.substr(0, 5) + " \t \t" + part.substr(5);
  for (size_t before = 0; before < 16; ++before)
    EXPECT_EQ(Expected(std::string(kChunk - 2 - before, 'x') + "\r\n" + blanks + "--XYZ--"),
              "content")
        << before;
}

TEST_F(MultipartTest, CutAnywhereItIsAnError) {
  const std::string whole = Part("note", "a") + Part("file", "content");
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(Extract(whole.substr(0, size)).ok()) << size;
}

TEST_F(MultipartTest, WhatIsNoFormIsRefused) {
  EXPECT_FALSE(Extract("--XYZ--\r\n").ok());
  EXPECT_FALSE(Extract(Part("other", "x") + "--XYZ--").ok());
  EXPECT_FALSE(Extract(Part("file", "x") + "--XYZ--", "multipart/form-data").ok());
  EXPECT_FALSE(Extract(Part("file", "x") + "--XYZ--", "application/zip").ok());
  EXPECT_FALSE(Extract("--XYZ\r\n" + std::string(20 << 10, 'h') + "\r\n\r\nx\r\n--XYZ--").ok());
  std::string many;
  for (int i = 0; i < 200; ++i) many += Part("n", "");
  EXPECT_FALSE(Extract(many + Part("file", "x") + "--XYZ--").ok());
  EXPECT_FALSE(Extract(std::string(1 << 20, 'x')).ok());
}

TEST_F(MultipartTest, Boundaries) {
  EXPECT_TRUE(
      Extract(Part("file", "x") + "--XYZ--", "Multipart/Form-Data; a=b; Boundary=\"XYZ\"").ok());
  EXPECT_TRUE(IsMultipart("multipart/form-data; boundary=x"));
  EXPECT_FALSE(IsMultipart("multipart/mixed; boundary=x"));
  EXPECT_FALSE(IsMultipart(""));
}

}  // namespace
}  // namespace slipway
