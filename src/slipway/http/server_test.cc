#include "slipway/http/server.h"

#include <filesystem>
#include <fstream>

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "slipway/base/file.h"
#include "slipway/http/server_testing.h"

namespace slipway {
namespace {

std::string PostOf(std::string_view path, std::string_view body) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

TEST_F(HttpServerTest, AnswersWithItsOwnHeaders) {
  options_.server_name = "test-server";
  Start();
  HttpTestClient client(port_);
  for (int i = 0; i < 3; ++i) {
    const HttpTestAnswer answer = client.Ask(PostOf("/a?b=1", "hello"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "POST /a?b=1 hello");
    for (const auto* line : {"HTTP/1.1 200 OK\r\n", "Server: test-server\r\n",
                             "Date: ", "Content-Type: text/plain\r\n", "Content-Length: 17\r\n",
                             "X-Content-Type-Options: nosniff\r\n"}) {
      EXPECT_TRUE(answer.Has(line)) << line;
    }
    EXPECT_FALSE(answer.Has("Connection:"));
  }
  EXPECT_EQ(server_->stats().requests, 3);
  EXPECT_EQ(server_->stats().accepted, 1);
}

TEST_F(HttpServerTest, TellsTheHandlerAllAboutTheRequest) {
  std::string seen;
  handler_.behave = [&](const HttpRequest& request, HttpReply*, HttpExchange* exchange, bool*) {
    seen.append(request.Header("x-one")).append("|").append(request.Header("absent"));
    seen.append("|").append(request.remote).append(request.remote_is_loopback ? "|near" : "|far");
    seen.append(request.tls ? "|tls" : "|plain").append(request.arrived_ns > 0 ? "|timed" : "");
    seen.append("|").append(std::to_string(exchange->loop()));
    // The padding may be read.
    const char* end = request.body.data() + request.body.size();
    volatile char sink = 0;
    for (size_t i = 0; i < kHttpPadding; ++i) sink = static_cast<char>(sink + end[i]);
    return true;
  };
  Start();
  const HttpTestAnswer answer = Ask("GET / HTTP/1.1\r\nHost: a\r\nX-ONE: 1\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(seen, "1||127.0.0.1|near|plain|timed|0");
}

TEST_F(HttpServerTest, HandlersSetStatusHeadersAndClose) {
  handler_.behave = [](const HttpRequest&, HttpReply* reply, HttpExchange*, bool*) {
    reply->status = 429;
    reply->AddHeader("Retry-After", "3");
    reply->body = "later";
    reply->close = true;
    return true;
  };
  Start();
  HttpTestClient client(port_);
  const HttpTestAnswer answer = client.Ask(kGet);
  EXPECT_EQ(answer.status, 429);
  EXPECT_TRUE(answer.Has("HTTP/1.1 429 Too Many Requests\r\n"));
  EXPECT_TRUE(answer.Has("Retry-After: 3\r\n"));
  EXPECT_TRUE(answer.Has("Connection: close\r\n"));
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(HttpServerTest, HeadHasTheLengthAndNoBody) {
  Start();
  HttpTestClient client(port_);
  client.Send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
  const HttpTestAnswer answer = client.Read(false);
  EXPECT_TRUE(answer.Has("Content-Length: 8\r\n"));
  EXPECT_EQ(client.Ask(kGet).body, "GET /x ");
}

TEST_F(HttpServerTest, NoContentHasNoLength) {
  handler_.behave = [](const HttpRequest&, HttpReply* reply, HttpExchange*, bool*) {
    reply->status = 204;
    return true;
  };
  Start();
  HttpTestClient client(port_);
  for (int i = 0; i < 2; ++i) {
    const HttpTestAnswer answer = client.Ask(kGet);
    EXPECT_EQ(answer.status, 204);
    EXPECT_FALSE(answer.Has("\r\nContent-"));
  }
}

TEST_F(HttpServerTest, Http10ClosesUnlessAskedOtherwise) {
  Start();
  HttpTestClient old(port_);
  EXPECT_TRUE(old.Ask("GET /x HTTP/1.0\r\n\r\n").Has("Connection: close\r\n"));
  EXPECT_TRUE(old.AtEnd());
  HttpTestClient kept(port_);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(kept.Ask("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                    .Has("Connection: keep-alive\r\n"));
  }
  HttpTestClient last(port_);
  EXPECT_TRUE(last.Ask("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                  .Has("Connection: close\r\n"));
  EXPECT_TRUE(last.AtEnd());
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrder) {
  Start();
  HttpTestClient client(port_);
  std::string all;
  for (int i = 0; i < 500; ++i) all += PostOf("/" + std::to_string(i), std::to_string(i * 7));
  std::thread sender([&] { client.Send(all); });
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(client.Read().body, "POST /" + std::to_string(i) + " " + std::to_string(i * 7));
  }
  sender.join();
}

TEST_F(HttpServerTest, EveryCutOfAChunkedRequestIsTheSame) {
  Start();
  const std::string bytes =
      "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n6;x=1\r\n world\r\n0\r\nT: 1\r\n\r\n";
  HttpTestClient client(port_);
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    const auto before = server_->stats().bytes_in;
    client.Send(std::string_view(bytes).substr(0, cut));
    while (server_->stats().bytes_in < before + static_cast<int64_t>(cut)) {
      std::this_thread::yield();
    }
    ASSERT_EQ(client.Ask(std::string_view(bytes).substr(cut)).body, "POST /c hello world") << cut;
  }
}

TEST_F(HttpServerTest, LargeBodiesGoBothWays) {
  handler_.plan_.max_bytes = 64 << 20;
  Start();
  std::string body(9'000'000, 'x');
  for (size_t i = 0; i < body.size(); i += 997) body[i] = static_cast<char>('a' + i % 26);
  HttpTestClient client(port_);
  for (int i = 0; i < 2; ++i) {
    std::thread sender([&] { client.Send(PostOf("/big", body)); });
    const HttpTestAnswer answer = client.Read();
    sender.join();
    ASSERT_EQ(answer.body.size(), body.size() + 10);
    EXPECT_TRUE(answer.body.ends_with(body));
  }
}

TEST_F(HttpServerTest, TooLargeIsToldBeforeTheBodyIsSent) {
  handler_.plan_.max_bytes = 10;
  Start();
  HttpTestClient client(port_);
  const HttpTestAnswer answer =
      client.Ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
  EXPECT_EQ(answer.status, 413);
  EXPECT_NE(answer.body.find("the body is larger than 10 bytes"), std::string::npos) << answer.body;
  client.ShutdownWrite();
  EXPECT_TRUE(client.AtEnd());
  // And one who sends all the same gets the answer, not a reset.
  HttpTestClient eager(port_);
  EXPECT_EQ(eager.Ask(PostOf("/", std::string(3'000'000, 'x'))).status, 413);
  EXPECT_EQ(handler_.handled, 0);
}

TEST_F(HttpServerTest, APlanMayRefuse) {
  Start();
  HttpTestClient client(port_);
  const HttpTestAnswer answer = client.Ask(PostOf("/refuse", "body"));
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.body, "no");
  EXPECT_TRUE(answer.Has("Connection: close\r\n"));
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(HttpServerTest, ExpectedContinueIsSentBeforeTheBodyOnly) {
  handler_.plan_.max_bytes = 10;
  Start();
  HttpTestClient client(port_);
  const std::string head =
      "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  EXPECT_EQ(client.Ask(head).head, "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(client.Ask("hello").body, "POST / hello");
  EXPECT_EQ(client.Ask(head + "hello").body, "POST / hello");  // it did not wait
  HttpTestClient big(port_);
  EXPECT_EQ(big.Ask("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                    "Content-Length: 50\r\n\r\n")
                .status,
            413);
}

TEST_F(HttpServerTest, BodiesCanBeSpooled) {
  auto folder = TempDir::Make();
  ASSERT_TRUE(folder.ok());
  handler_.plan_ = {.max_bytes = 32 << 20, .spool_folder = folder->path()};
  std::string kept;
  handler_.behave = [&](const HttpRequest& request, HttpReply* reply, HttpExchange*, bool*) {
    struct stat info{};
    const std::string path(request.body_file);
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    EXPECT_TRUE(request.body.empty());
    reply->body = std::to_string(info.st_size);
    if (request.path == "/keep") {
      kept = folder->File("kept");
      std::filesystem::rename(path, kept);
    }
    return true;
  };
  Start();
  HttpTestClient client(port_);
  EXPECT_EQ(client.Ask(PostOf("/", std::string(3'000'000, 'x'))).body, "3000000");
  std::string chunked = "POST /keep HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 100; ++i) chunked += "3e8\r\n" + std::string(1000, 'c') + "\r\n";
  EXPECT_EQ(client.Ask(chunked + "0\r\n\r\n").body, "100000");
  Await([&] { return ListDir(folder->path())->size() == 1; });
  EXPECT_EQ(*FileSize(kept), 100'000);
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
  client.Close();  // an upload that breaks off leaves nothing
  Await([&] { return server_->stats().open == 0; });
  EXPECT_EQ(ListDir(folder->path())->size(), 1U);
}

TEST_F(HttpServerTest, ASpoolThatCannotBeWrittenIsAnswered) {
  handler_.plan_.spool_folder = "/nonexistent/folder";
  Start();
  EXPECT_EQ(Ask(PostOf("/", "abc")).status, 507);
}

TEST_F(HttpServerTest, FilesAreSent) {
  auto folder = TempDir::Make();
  ASSERT_TRUE(folder.ok());
  const std::string path = folder->File("large");
  std::string content(20'000'000, 'f');
  for (size_t i = 0; i < content.size(); i += 1009) content[i] = static_cast<char>('a' + i % 26);
  std::ofstream(path) << content;
  handler_.behave = [&](const HttpRequest& request, HttpReply* reply, HttpExchange*, bool*) {
    if (request.path == "/x") return false;
    reply->content_type = "application/zip";
    reply->file = request.path == "/absent" ? path + "-absent" : path;
    return true;
  };
  Start();
  HttpTestClient client(port_);
  client.Send("GET /file HTTP/1.1\r\nHost: a\r\n\r\n" + std::string(kGet));
  const HttpTestAnswer answer = client.Read();
  EXPECT_TRUE(answer.Has("Content-Type: application/zip\r\n"));
  EXPECT_TRUE(answer.body == content);
  EXPECT_EQ(client.Read().body, "GET /x ");
  EXPECT_EQ(client.Ask("GET /absent HTTP/1.1\r\nHost: a\r\n\r\n").status, 500);
}

TEST_F(HttpServerTest, DeferredAnswersComeFromAnyThreadInOrder) {
  std::vector<std::thread> threads;
  handler_.behave = [&](const HttpRequest& request, HttpReply*, HttpExchange* exchange,
                        bool* deferred) {
    if (request.path != "/later") return false;
    threads.emplace_back([pending = std::shared_ptr<HttpPending>(exchange->Defer())] {
      pending->reply()->body = "later " + std::string(pending->request().body);
      pending->Send();
    });
    return *deferred = true;
  };
  Start();
  HttpTestClient client(port_);
  std::string all;
  for (int i = 0; i < 20; ++i) {
    all += PostOf(i % 2 == 0 ? "/later" : "/now", "n" + std::to_string(i));
  }
  client.Send(all);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(client.Read().body, (i % 2 == 0 ? "later n" : "POST /now n") + std::to_string(i));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server_->stats().pending, 0);
}

TEST_F(HttpServerTest, ADroppedDeferralIsAnsweredWith500) {
  handler_.behave = [&](const HttpRequest& request, HttpReply*, HttpExchange* exchange,
                        bool* deferred) {
    if (request.path == "/x") return false;
    if (request.path == "/drop") exchange->Defer();
    return *deferred = true;  // without Defer: a mistake that is answered as well
  };
  Start();
  HttpTestClient client(port_);
  EXPECT_EQ(client.Ask(PostOf("/drop", "")).status, 500);
  EXPECT_EQ(client.Ask(PostOf("/forgot", "")).status, 500);
  EXPECT_EQ(client.Ask(kGet).status, 200);
}

TEST_F(HttpServerTest, APeerThatLeavesIsSeenAndItsAnswerDropped) {
  std::unique_ptr<HttpPending> held;
  std::atomic<bool> taken = false;
  handler_.behave = [&](const HttpRequest&, HttpReply*, HttpExchange* exchange, bool* deferred) {
    held = exchange->Defer();
    taken = true;
    return *deferred = true;
  };
  Start();
  HttpTestClient client(port_);
  client.Send(kGet);
  Await([&] { return taken.load(); });
  EXPECT_FALSE(held->abandoned());
  client.Close();
  Await([&] { return held->abandoned(); });
  held->Send();
  Await([&] { return server_->stats().open == 0; });
  // And one that outlives the server is harmless.
  HttpTestClient other(port_);
  taken = false;
  other.Send(kGet);
  Await([&] { return taken.load(); });
  server_.reset();
  EXPECT_TRUE(held->abandoned());
  EXPECT_EQ(held->request().path, "/x");
  held->Send();
}

TEST_F(HttpServerTest, AHalfClosedPeerStillGetsItsAnswers) {
  Start();
  HttpTestClient client(port_);
  client.Send(std::string(kGet) + std::string(kGet));
  client.ShutdownWrite();
  EXPECT_EQ(client.Read().body, "GET /x ");
  EXPECT_EQ(client.Read().body, "GET /x ");
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(HttpServerTest, BadRequestsAreAnsweredAndClosed) {
  Start();
  HttpTestClient client(port_);
  const HttpTestAnswer answer = client.Ask("GET / HTTP/1.1\r\n\r\n" + std::string(kGet));
  EXPECT_EQ(answer.status, 400);
  EXPECT_TRUE(answer.Has("Connection: close\r\n"));
  EXPECT_NE(answer.body.find("the Host header is missing"), std::string::npos);
  client.ShutdownWrite();
  EXPECT_TRUE(client.AtEnd());
  EXPECT_EQ(handler_.handled, 0);
  EXPECT_EQ(server_->stats().bad_requests, 1);
}

TEST_F(HttpServerTest, OptionsOfTheServer) {
  Start();
  const HttpTestAnswer answer = Ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(answer.status, 204);
  EXPECT_TRUE(answer.Has("Allow: GET, "));
}

TEST_F(HttpServerTest, DrainFinishesWhatHasComeAndEndsTheRest) {
  std::unique_ptr<HttpPending> held;
  std::atomic<bool> taken = false;
  handler_.behave = [&](const HttpRequest& request, HttpReply*, HttpExchange* exchange,
                        bool* deferred) {
    if (request.path != "/held") return false;
    held = exchange->Defer();
    taken = true;
    return *deferred = true;
  };
  Start();
  HttpTestClient idle(port_), busy(port_), partial(port_);
  EXPECT_EQ(idle.Ask(kGet).status, 200);
  busy.Send(PostOf("/held", "") + std::string(kGet));
  partial.Send(kGet.substr(0, 10));
  Await([&] { return taken.load() && server_->stats().open == 3; });
  server_->StopAccepting();
  EXPECT_TRUE(idle.AtEnd());
  EXPECT_FALSE(server_->WaitIdle(0.01));
  partial.Send(kGet.substr(10));
  EXPECT_TRUE(partial.Read().Has("Connection: close\r\n"));
  held->reply()->body = "done";
  held->Send();
  const HttpTestAnswer answer = busy.Read();
  EXPECT_EQ(answer.body, "done");
  EXPECT_TRUE(answer.Has("Connection: close\r\n"));
  busy.Close();
  EXPECT_TRUE(server_->WaitIdle(10));
  EXPECT_FALSE(HttpTestClient(port_).connected);
}

TEST_F(HttpServerTest, SeveralLoopsShareAPortAndNobodyElseMayHaveIt) {
  options_.loops = 3;
  Start();
  EXPECT_EQ(server_->loops(), 3);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(Ask(kGet).status, 200);
  HttpServerOptions same = options_;
  same.listen[0].port = port_;
  auto second = HttpServer::Start(same, &handler_);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find(std::to_string(port_)), std::string::npos);
}

TEST_F(HttpServerTest, AddressesThatCannotBeHadAreNamed) {
  options_.listen = {{.host = "no.such.host.invalid", .port = 0}};
  auto server = HttpServer::Start(options_, &handler_);
  ASSERT_FALSE(server.ok());
  EXPECT_NE(server.error().message.find("no.such.host.invalid"), std::string::npos);
}

TEST_F(HttpServerTest, ListensOnIpv6) {
  options_.listen = {{.host = "::1", .port = 0}};
  auto server = HttpServer::Start(options_, &handler_);
  if (!server.ok()) GTEST_SKIP() << "no IPv6 here";
  EXPECT_GT((*server)->addresses()[0].port, 0);
}

}  // namespace
}  // namespace slipway
