// Answers that go on.
#include <gtest/gtest.h>

#include "slipway/http/server_testing.h"

namespace slipway {
namespace {

constexpr std::string_view kGetEvents = "GET /events HTTP/1.1\r\nHost: a\r\n\r\n";

class StreamTest : public HttpServerTest {
 protected:
  StreamTest() {
    handler_.behave = [this](const HttpRequest&, HttpReply*, HttpExchange* exchange, bool* later) {
      auto pending = exchange->Defer();
      pending->reply()->content_type = "text/event-stream";
      const MutexLock lock(mutex_);
      stream_ = pending->SendStream();
      *later = true;
      return true;
    };
  }
  std::shared_ptr<HttpStream> stream() {
    Await([&] {
      const MutexLock lock(mutex_);
      return stream_ != nullptr;
    });
    const MutexLock lock(mutex_);
    return std::move(stream_);
  }
  // All that comes until the server closes.
  static std::string ReadAll(const HttpTestClient& client) {
    std::string all;
    char bytes[4096];
    for (ssize_t n = 0; (n = ::recv(client.fd(), bytes, sizeof bytes, 0)) > 0;)
      all.append(bytes, static_cast<size_t>(n));
    return all;
  }
  Mutex mutex_;
  std::shared_ptr<HttpStream> stream_;
};

TEST_F(StreamTest, SendsWhatIsWrittenInChunksAndEnds) {
  Start();
  HttpTestClient client(port_);
  client.Send(kGetEvents);
  const auto out = stream();
  const HttpTestAnswer head = client.Read();
  EXPECT_EQ(head.status, 200);
  EXPECT_TRUE(head.Has("Transfer-Encoding: chunked\r\n"));
  EXPECT_FALSE(head.Has("Content-Length"));
  EXPECT_TRUE(out->Write("hello"));
  char bytes[64] = {};
  ASSERT_EQ(::recv(client.fd(), bytes, 10, MSG_WAITALL), 10);  // at once, not at the end
  EXPECT_EQ(std::string_view(bytes), "5\r\nhello\r\n");
  EXPECT_TRUE(out->Write(std::string(300, 'x')));
  out->End();
  EXPECT_FALSE(out->Write("late"));
  EXPECT_EQ(ReadAll(client), "12c\r\n" + std::string(300, 'x') + "\r\n0\r\n\r\n");
  Await([&] { return server_->stats().pending == 0 && server_->stats().open == 0; });
}

TEST_F(StreamTest, IsPlainForHttp10AndEmptyForHead) {
  Start();
  HttpTestClient old(port_);
  old.Send("GET / HTTP/1.0\r\n\r\n");
  auto out = stream();
  out->Write("a\n");
  out->End();
  const std::string all = ReadAll(old);
  EXPECT_TRUE(all.ends_with("\r\n\r\na\n")) << all;
  EXPECT_EQ(all.find("chunked"), std::string::npos);
  HttpTestClient head(port_);
  head.Send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  out = stream();
  EXPECT_TRUE(ReadAll(head).ends_with("\r\n\r\n"));
  Await([&] { return !out->Write("x"); });
}

TEST_F(StreamTest, AReaderThatHasGoneIsTold) {
  Start();
  auto client = std::make_unique<HttpTestClient>(port_);
  client->Send(kGetEvents);
  const auto out = stream();
  EXPECT_TRUE(out->Write("a"));
  client.reset();
  Await([&] { return !out->Write("b"); });
  Await([&] { return server_->stats().pending == 0; });
}

TEST_F(StreamTest, AReaderThatFallsTooFarBehindIsDropped) {
  Start();
  HttpTestClient client(port_, 4096);
  client.Send(kGetEvents);
  const auto out = stream();
  const std::string piece(64 << 10, 'x');
  size_t written = 0;
  while (out->Write(piece)) {
    written += piece.size();
    ASSERT_LT(written, size_t{1} << 30) << "a reader that reads nothing is never dropped";
  }
  Await([&] { return server_->stats().open == 0; });
}

TEST_F(StreamTest, EndsWithItsLastHolderAndWithTheServer) {
  Start();
  HttpTestClient client(port_);
  client.Send(kGetEvents);
  stream().reset();
  EXPECT_TRUE(ReadAll(client).ends_with("0\r\n\r\n"));
  HttpTestClient other(port_);
  other.Send(kGetEvents);
  const auto out = stream();
  server_.reset();
  EXPECT_FALSE(out->Write("x") && out->Write("y"));
}

}  // namespace
}  // namespace slipway
