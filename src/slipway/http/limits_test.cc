// Time, number and size limits of the server, each by a small configured value.
#include <sys/resource.h>
#include <sys/wait.h>

#include <gtest/gtest.h>

#include "slipway/http/loop.h"
#include "slipway/http/server_testing.h"

namespace slipway {
namespace {

class HttpLimitsTest : public HttpServerTest {
 protected:
  // Large, but for the one under test.
  HttpLimitsTest() {
    limits().header_seconds = limits().idle_seconds = limits().write_seconds = 1000;
    limits().body_grace_seconds = 1000;
  }
  HttpLimits& limits() { return options_.limits; }
};

TEST_F(HttpLimitsTest, SlowHeadersAreToldAndClosed) {
  limits().header_seconds = 0.2;
  Start();
  HttpTestClient client(port_);
  const HttpTestAnswer answer = client.Ask("GET / HTTP/1.1\r\nHost:");
  EXPECT_EQ(answer.status, 408);
  EXPECT_TRUE(answer.Has("Connection: close\r\n"));
  client.ShutdownWrite();
  EXPECT_TRUE(client.AtEnd());
  EXPECT_EQ(server_->stats().timeouts, 1);
}

TEST_F(HttpLimitsTest, RequestsGatherWhileSomeAreRefusedForOverload) {
  handler_.behave = [](const HttpRequest&, HttpReply* reply, HttpExchange*, bool*) {
    reply->status = 503;
    reply->overloaded = true;
    return true;
  };
  Start();
  HttpTestClient client(port_);
  const int64_t begin = HttpNowNs();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.Ask(kGet).status, 503);
  EXPECT_GE(HttpNowNs() - begin, 19'000'000) << "each began a turn of its own";
  // Those of one turn are answered together.
  std::string many;
  for (int i = 0; i < 20; ++i) many.append(kGet);
  client.Send(many);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.Read().status, 503);
}

TEST_F(HttpLimitsTest, DrippingHeadersDoNotBuyTime) {
  limits().header_seconds = 0.3;
  Start();
  HttpTestClient client(port_);
  client.Send("GET / HTTP/1.1\r\nX: ");
  std::atomic<bool> stop = false;
  std::thread drip([&] {
    while (!stop && client.Send("X")) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  });
  EXPECT_EQ(client.Read().status, 408);
  stop = true;
  drip.join();
}

TEST_F(HttpLimitsTest, SlowBodiesAreToldAndClosed) {
  limits().body_grace_seconds = 0.2;
  Start();
  HttpTestClient client(port_);
  EXPECT_EQ(client.Ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc").status, 408);
  EXPECT_EQ(handler_.handled, 0);
}

TEST_F(HttpLimitsTest, BodiesThatComeFastEnoughMayTakeLong) {
  limits().body_grace_seconds = 0.1;
  limits().min_bytes_per_second = 1;
  Start();
  HttpTestClient client(port_);
  client.Send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1010\r\n\r\n" +
              std::string(1000, 'x'));
  // Well beyond the grace: another connection is timed out meanwhile.
  HttpTestClient slow(port_);
  EXPECT_EQ(slow.Ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n").status, 408);
  EXPECT_EQ(client.Ask("yyyyyyyyyy").status, 200);
}

TEST_F(HttpLimitsTest, IdleConnectionsAreClosedSilently) {
  limits().idle_seconds = 0.2;
  Start();
  HttpTestClient fresh(port_), kept(port_);
  EXPECT_EQ(kept.Ask(kGet).status, 200);
  EXPECT_TRUE(fresh.AtEnd());
  EXPECT_TRUE(kept.AtEnd());
  EXPECT_EQ(server_->stats().timeouts, 0);
}

TEST_F(HttpLimitsTest, OneWhoDoesNotReadIsClosed) {
  limits().write_seconds = 0.3;
  handler_.behave = [](const HttpRequest&, HttpReply* reply, HttpExchange*, bool*) {
    reply->body.assign(30'000'000, 'x');
    return true;
  };
  Start();
  HttpTestClient client(port_, 4096);
  client.Send(kGet);
  Await([&] { return server_->stats().timeouts == 1 && server_->stats().open == 0; });
}

TEST_F(HttpLimitsTest, OneWhoReadsByTheDropIsClosed) {
  limits().write_seconds = 0.3;
  limits().min_bytes_per_second = 1e9;
  handler_.behave = [](const HttpRequest&, HttpReply* reply, HttpExchange*, bool*) {
    reply->body.assign(30'000'000, 'x');
    return true;
  };
  Start();
  HttpTestClient client(port_, 4096);
  client.Send(kGet);
  char bytes[512];
  Await([&] {
    // Await's pauses make it slow.
    return ::recv(client.fd(), bytes, 512, 0) <= 0 || server_->stats().timeouts == 1;
  });
  EXPECT_EQ(server_->stats().timeouts, 1);
}

TEST_F(HttpLimitsTest, AnswersOfOneWhoDoesNotReadAreBounded) {
  handler_.behave = [](const HttpRequest&, HttpReply* reply, HttpExchange*, bool*) {
    reply->body.assign(1'000'000, 'x');
    return true;
  };
  Start();
  HttpTestClient client(port_, 4096);
  std::string all;
  for (int i = 0; i < 60; ++i) all += kGet;
  client.Send(all);
  HttpTestClient other(port_);
  EXPECT_EQ(other.Ask(kGet).status, 200);
  // Some megabytes fit into the sockets; the other requests wait unread.
  EXPECT_LT(handler_.handled, 30);
  for (int i = 0; i < 60; ++i) ASSERT_EQ(client.Read().body.size(), 1'000'000U);
}

TEST_F(HttpLimitsTest, ConnectionsBeyondTheLimitAreTold) {
  limits().connections = 2;
  Start();
  HttpTestClient first(port_), second(port_);
  EXPECT_EQ(first.Ask(kGet).status, 200);
  EXPECT_EQ(second.Ask(kGet).status, 200);
  HttpTestClient third(port_);
  const HttpTestAnswer answer = third.Ask(kGet);
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.Has("Connection: close\r\n"));
  EXPECT_EQ(server_->stats().refused_connections, 1);
  EXPECT_EQ(server_->stats().bad_requests, 0);
  third.Close();
  first.Close();
  Await([&] { return server_->stats().open == 1; });
  EXPECT_EQ(Ask(kGet).status, 200);
}

TEST_F(HttpLimitsTest, RequestsOfOneConnection) {
  limits().requests_per_connection = 2;
  Start();
  HttpTestClient client(port_);
  EXPECT_FALSE(client.Ask(kGet).Has("Connection"));
  EXPECT_TRUE(client.Ask(kGet).Has("Connection: close\r\n"));
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(HttpLimitsTest, HeaderLimits) {
  limits().headers = 3;
  limits().header_bytes = 100;
  limits().request_line_bytes = 50;
  Start();
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(Ask(head + "A: b\r\nC: d\r\n\r\n").status, 200);
  EXPECT_EQ(Ask(head + "A: b\r\nC: d\r\nE: f\r\n\r\n").status, 431);
  EXPECT_EQ(Ask(head + "A: " + std::string(100, 'x') + "\r\n\r\n").status, 431);
  EXPECT_EQ(Ask("GET /" + std::string(50, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n").status, 414);
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)  // clang
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

TEST_F(HttpLimitsTest, ManyIdleConnectionsCostLittle) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's memory is counted too";
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 5000) GTEST_SKIP() << "too few file descriptors";
  Start();
  const auto resident = [] {
    long pages = 0, all = 0;  // NOLINT: as the system writes them
    if (FILE* file = std::fopen("/proc/self/statm", "r"); file != nullptr) {
      EXPECT_EQ(std::fscanf(file, "%ld %ld", &all, &pages), 2);
      std::fclose(file);
    }
    return pages * 4096;
  };
  std::vector<std::unique_ptr<HttpTestClient>> clients;
  EXPECT_EQ(Ask(kGet).status, 200);
  const auto before = resident();
  for (int i = 0; i < 2000; ++i) {
    clients.push_back(std::make_unique<HttpTestClient>(port_));
    ASSERT_EQ(clients.back()->Ask(kGet).status, 200);
  }
  EXPECT_EQ(server_->stats().open, 2000);
  EXPECT_LT(resident() - before, 2000 * 2048);
}

// In a child with few descriptors: the server answers those it has, takes no processor, and takes
// new ones when there is room again.
TEST(HttpDescriptors, RunningOutIsSurvived) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    EchoHandler handler;
    HttpServerOptions options;
    options.listen = {{}};
    options.loops = 1;
    auto server = HttpServer::Start(options, &handler);
    if (!server.ok()) ::_exit(10);
    const int port = (*server)->addresses()[0].port;
    std::vector<std::unique_ptr<HttpTestClient>> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<HttpTestClient>(port));
    HttpTestClient kept(port);
    if (kept.Ask(kGet).status != 200) ::_exit(11);
    // Sockets for the clients to come exist; the server's side finds no descriptor.
    std::vector<int> waiting;
    for (int i = 0; i < 5; ++i) waiting.push_back(::socket(AF_INET, SOCK_STREAM, 0));
    const int lowest = ::dup(0);
    ::close(lowest);
    const rlimit files{.rlim_cur = static_cast<rlim_t>(lowest),
                       .rlim_max = static_cast<rlim_t>(lowest)};
    if (::setrlimit(RLIMIT_NOFILE, &files) != 0) ::_exit(12);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (const int fd : waiting) {
      ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
    for (int i = 0; i < 5000 && (*server)->stats().accept_errors == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    if ((*server)->stats().accept_errors == 0) ::_exit(13);
    if (kept.Ask(kGet).status != 200) ::_exit(14);
    timespec before{}, after{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    const auto cpu_ns =
        (after.tv_sec - before.tv_sec) * 1'000'000'000 + after.tv_nsec - before.tv_nsec;
    if (cpu_ns > 100'000'000) ::_exit(15);
    for (const int fd : waiting) ::close(fd);
    clients.clear();
    HttpTestClient again(port);
    if (again.Ask(kGet).status != 200) ::_exit(16);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace slipway
