#include "slipway/table/stream.h"

#include <atomic>

#include <gtest/gtest.h>

namespace slipway {
namespace {

// `chunks` chunks of one batch each, whose single int64 is the chunk's number; chunk `bad` has a
// bad row, chunk `fail` fails to decode, Next fails at `broken`.
class NumberSource : public ChunkSource {
 public:
  explicit NumberSource(int chunks) : chunks_(chunks) {
    schema_.fields.push_back({"n", Type::kInt64});
  }
  const Schema& schema() const override { return schema_; }
  Result<bool> Next(Chunk* chunk) override {
    if (next_ == broken) return Unavailable("the disk went away");
    if (next_ == chunks_) return false;
    chunk->number = next_;
    chunk->payload = std::make_shared<int>(next_++);
    return true;
  }
  std::unique_ptr<ChunkDecoder> NewDecoder() override { return std::make_unique<Decoder>(*this); }

  int bad = -1, fail = -1, broken = -1;

 private:
  class Decoder : public ChunkDecoder {
   public:
    explicit Decoder(NumberSource& source) : source_(source), column_(Type::kInt64) {}
    Status Decode(const Chunk& chunk, const BatchConsumer& consume,
                  std::vector<BadRow>* bad_rows) override {
      const int n = *static_cast<const int*>(chunk.payload.get());
      if (n == source_.fail) return InvalidArgument("chunk " + std::to_string(n) + " fails");
      if (n == source_.bad) bad_rows->push_back({"f.csv", n + 1, "n", "'x' is not an int64", "x"});
      column_.Reset(Type::kInt64);
      column_.ints()[0] = n;
      column_.SetValid(0);
      const ColumnView view = column_.View();
      Batch batch;
      batch.schema = &source_.schema_;
      batch.rows = 1;
      batch.columns = {&view, 1};
      return consume(batch);
    }

   private:
    NumberSource& source_;
    Column column_;
  };
  Schema schema_;
  const int chunks_;
  int next_ = 0;
};

class Collector : public TableWriter {
 public:
  class Encoder : public ChunkEncoder {
   public:
    Status Encode(const Batch& batch, EncodedChunk* out) override {
      out->bytes += std::to_string(batch.columns[0].ints()[0]) + " ";
      return {};
    }
  };
  std::unique_ptr<ChunkEncoder> NewEncoder() override { return std::make_unique<Encoder>(); }
  Status Append(EncodedChunk chunk) override {
    text += chunk.bytes;
    return {};
  }
  Status Finish() override {
    finished = true;
    return {};
  }
  std::string text;
  bool finished = false;
};

BatchTransform PassThrough() {
  return [](const Batch& batch, const BatchConsumer& emit) { return emit(batch); };
}

TEST(RunOrdered, KeepsTheSourcesOrderAtAnyNumberOfThreads) {
  std::string expected;
  for (int i = 0; i < 300; ++i) expected += std::to_string(i) + " ";
  for (int threads : {1, 2, 7}) {
    NumberSource source(300);
    Collector writer;
    StreamOptions options;
    options.threads = threads;
    auto counts = RunOrdered(source, PassThrough, &writer, options);
    ASSERT_TRUE(counts.ok());
    EXPECT_EQ(counts->rows, 300);
    EXPECT_EQ(writer.text, expected);
    EXPECT_TRUE(writer.finished);
  }
}

TEST(RunOrdered, ReturnsTheFirstErrorInSourceOrderAndDoesNotFinish) {
  for (int threads : {1, 4}) {
    NumberSource source(100);
    source.fail = 40;
    source.broken = 41;
    Collector writer;
    StreamOptions options;
    options.threads = threads;
    auto counts = RunOrdered(source, PassThrough, &writer, options);
    ASSERT_FALSE(counts.ok());
    EXPECT_EQ(counts.error().message, "chunk 40 fails");
    EXPECT_FALSE(writer.finished);
  }
}

TEST(RunOrdered, TreatsBadRowsAsThePolicySays) {
  NumberSource source(10);
  source.bad = 3;
  StreamOptions options;
  options.threads = 2;
  auto counts = RunOrdered(source, PassThrough, nullptr, options);
  ASSERT_FALSE(counts.ok());
  EXPECT_EQ(counts.error().message, "f.csv:4: column 'n': 'x' is not an int64");

  NumberSource again(10);
  again.bad = 3;
  std::vector<std::string> aside;
  options.on_bad_rows = OnBadRows::kQuarantine;
  options.quarantine = [&](const BadRow& row) -> Status {
    aside.push_back(row.text);
    return {};
  };
  counts = RunOrdered(again, PassThrough, nullptr, options);
  ASSERT_TRUE(counts.ok());
  EXPECT_EQ(counts->bad_rows, 1);
  EXPECT_EQ(aside, std::vector<std::string>{"x"});
}

TEST(RunOrdered, StopsWhenCancelled) {
  NumberSource source(1000);
  std::atomic<bool> cancel{false};
  StreamOptions options;
  options.threads = 2;
  options.cancel = &cancel;
  options.progress = [&](double, int64_t rows) { cancel = rows >= 10; };
  auto counts = RunOrdered(source, PassThrough, nullptr, options);
  ASSERT_FALSE(counts.ok());
  EXPECT_EQ(counts.error().code, ErrorCode::kCancelled);
}

TEST(RunOrdered, AnEmptySourceStillFinishes) {
  NumberSource source(0);
  Collector writer;
  auto counts = RunOrdered(source, PassThrough, &writer, {});
  ASSERT_TRUE(counts.ok());
  EXPECT_TRUE(writer.finished);
}

}  // namespace
}  // namespace slipway
