#include "slipway/csv/byte_source.h"

#include <zlib.h>
#include <zstd.h>

#include "slipway/base/file.h"

namespace slipway {
namespace {

std::string Gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Zstd(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

// Text that does not compress to nothing.
std::string SomeText(size_t lines) {
  std::mt19937 random(7);
  std::string text;
  for (size_t i = 0; i < lines; ++i) text += std::to_string(random()) + "\n";
  return text;
}

class ByteSourceTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, std::string_view content) {
    const std::string path = dir_.File(name);
    EXPECT_TRUE(WriteFileAtomic(path, content).ok());
    return path;
  }
  static Result<std::string> ReadAll(const std::string& path, size_t step) {
    ASSIGN_OR_RETURN(auto source, ByteSource::Open(path));
    std::string out;
    std::string buffer(step, '\0');
    for (;;) {
      ASSIGN_OR_RETURN(size_t n, source->Read(buffer.data(), step));
      out.append(buffer, 0, n);
      if (n < step) return out;
    }
  }
  TempDir dir_ = TempDir::Make().value();
};

TEST_F(ByteSourceTest, PlainGzipAndZstdGiveTheSameBytesAtEveryReadSize) {
  const std::string text = SomeText(60'000);
  const std::vector<std::string> paths = {Write("a", text), Write("b", Gzip(text)),
                                          Write("c", Zstd(text))};
  for (const std::string& path : paths) {
    for (size_t step : {size_t{1} << 20, size_t{4093}, text.size(), text.size() + 1}) {
      auto read = ReadAll(path, step);
      ASSERT_TRUE(read.ok()) << read.error().message;
      EXPECT_TRUE(*read == text) << path << " " << step;
    }
  }
}

TEST_F(ByteSourceTest, MembersAndFramesAreReadThrough) {
  for (const std::string& bytes :
       {Gzip("a,b\n") + Gzip("") + Gzip("1,2\n"), Zstd("a,b\n") + Zstd("") + Zstd("1,2\n"),
        Gzip("a,b\n1,2\n") + std::string(512, '\0')}) {
    auto read = ReadAll(Write("x", bytes), 3);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(*read, "a,b\n1,2\n");
  }
}

TEST_F(ByteSourceTest, TruncatedDataIsAnErrorThatNamesTheFile) {
  const std::string text = SomeText(20'000);
  for (const std::string& whole : {Gzip(text), Zstd(text), Gzip(text) + Gzip(text)}) {
    for (size_t cut : {size_t{1}, whole.size() / 3}) {
      const std::string path = Write("cut", std::string_view(whole).substr(0, whole.size() - cut));
      auto read = ReadAll(path, 1 << 16);
      ASSERT_FALSE(read.ok());
      EXPECT_EQ(read.error().code, ErrorCode::kCorruption);
      EXPECT_THAT(read.error().message, testing::HasSubstr(path));
      EXPECT_THAT(read.error().message, testing::HasSubstr("truncated"));
    }
  }
}

TEST_F(ByteSourceTest, CorruptDataIsAnErrorThatNamesTheFile) {
  const std::string text = SomeText(20'000);
  for (std::string bytes : {Gzip(text), Zstd(text)}) {
    for (size_t i = 0; i < 40; ++i) bytes[bytes.size() / 2 + i] = static_cast<char>(i * 37);
    auto read = ReadAll(Write("bad", bytes), 1 << 16);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, ErrorCode::kCorruption);
    EXPECT_THAT(read.error().message, testing::HasSubstr("damaged"));
  }
  auto trailing = ReadAll(Write("trailing", Gzip("a\n") + "not gzip"), 100);
  ASSERT_FALSE(trailing.ok());
  EXPECT_EQ(trailing.error().code, ErrorCode::kCorruption);
}

TEST_F(ByteSourceTest, PeekDoesNotConsume) {
  const std::string text = SomeText(50'000);
  for (const std::string& path : {Write("p", text), Write("p.gz", Gzip(text))}) {
    auto source = ByteSource::Open(path);
    ASSERT_TRUE(source.ok());
    EXPECT_EQ((*source)->Peek(10).value(), text.substr(0, 10));
    EXPECT_EQ((*source)->Peek(1000).value(), text.substr(0, 1000));
    std::string read(5000, '\0');
    EXPECT_EQ((*source)->Read(read.data(), 700).value(), 700u);
    EXPECT_EQ((*source)->Peek(20).value(), text.substr(700, 20));
    EXPECT_EQ((*source)->Read(read.data() + 700, 4300).value(), 4300u);
    EXPECT_EQ(read, text.substr(0, 5000));
    EXPECT_EQ((*source)->Peek(text.size()).value(), text.substr(5000));
  }
}

TEST_F(ByteSourceTest, ProgressIsThePartOfTheStoredBytes) {
  const std::string bytes = Gzip(SomeText(300'000));
  auto source = ByteSource::Open(Write("p.gz", bytes)).value();
  EXPECT_EQ(source->compressed_size(), static_cast<int64_t>(bytes.size()));
  EXPECT_LT(source->progress(), 0.5);
  std::string all(size_t{8} << 20, '\0');
  ASSERT_TRUE(source->Read(all.data(), all.size()).ok());
  EXPECT_EQ(source->progress(), 1.0);
}

TEST_F(ByteSourceTest, AbsentFilesAndFoldersAreRefused) {
  EXPECT_EQ(ByteSource::Open(dir_.File("none")).error().code, ErrorCode::kNotFound);
  EXPECT_THAT(ByteSource::Open(dir_.path()).error().message, testing::HasSubstr("is a folder"));
}

TEST_F(ByteSourceTest, EmptyFileHasNoBytes) {
  EXPECT_EQ(ReadAll(Write("e", ""), 10).value(), "");
  EXPECT_EQ(ReadAll(Write("e.gz", Gzip("")), 10).value(), "");
  EXPECT_EQ(ReadAll(Write("one", "x"), 10).value(), "x");
}

}  // namespace
}  // namespace slipway
