#include "slipway/http/client.h"

#include <fstream>

#include "slipway/base/file.h"
#include "slipway/http/address_rules.h"
#include "slipway/http/libcurl.h"
#include "slipway/http/server_testing.h"
#include "slipway/http/tls_testing.h"

namespace slipway {
namespace {

class HttpClientTest : public HttpServerTest {
 protected:
  HttpClientTest() { folder_ = *TempDir::Make(); }
  std::string Url(const std::string& path = "/x") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  TempDir folder_;
};

TEST_F(HttpClientTest, SendsMethodHeadersAndBodyAndGivesTheAnswerWhateverItsStatus) {
  std::string seen;
  handler_.behave = [&](const HttpRequest& request, HttpReply* reply, HttpExchange*, bool*) {
    seen = std::string(request.Header("x-one")) + "|" + std::string(request.Header("x-empty")) +
           "|" + std::string(request.Header("content-type"));
    if (request.path == "/missing") {
      reply->status = 404;
      reply->AddHeader("X-Why", "gone");
      reply->body = "{\"message\": \"no\"}";
      return true;
    }
    return false;
  };
  Start();
  HttpClient client;
  HttpCall call{
      .method = "PUT", .url = Url("/a?q=1"), .headers = {{"X-One", "1"}, {"X-Empty", ""}}};
  call.body = "hello";
  auto answer = client.Send(call);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "PUT /a?q=1 hello");
  EXPECT_EQ(answer->Header("content-type"), "text/plain");
  EXPECT_EQ(answer->bytes, 16);
  EXPECT_EQ(seen, "1||");  // no header of libcurl's own
  answer = client.Send({.url = Url("/missing")});
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(answer->ok());
  EXPECT_EQ(answer->status, 404);
  EXPECT_EQ(answer->Header("x-why"), "gone");
  EXPECT_EQ(answer->body, "{\"message\": \"no\"}");
  for (const char* method : {"GET", "POST", "DELETE", "PATCH"}) {
    answer = client.Send({.method = method, .url = Url()});
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->body, std::string(method) + " /x ");
  }
  answer = client.Send({.method = "HEAD", .url = Url()});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "");
}

TEST_F(HttpClientTest, ConnectionsAreUsedAgainAndThreadsShareAClient) {
  Start();
  HttpClient client;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(client.Send({.url = Url()}).ok());
  EXPECT_EQ(server_->stats().accepted, 1);
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        const std::string path = "/" + std::to_string(t) + "/" + std::to_string(i);
        const auto answer = client.Send({.url = Url(path)});
        if (answer.ok() && answer->body == "GET " + path + " ") ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 100);
  EXPECT_LE(server_->stats().accepted, 5);
}

TEST_F(HttpClientTest, BodiesComeFromFilesAndAnswersGoToFilesWhole) {
  const std::string from = folder_.File("from"), to = folder_.File("to");
  std::string content(3'000'000, 'x');
  for (size_t i = 0; i < content.size(); i += 997) content[i] = static_cast<char>('a' + i % 26);
  std::ofstream(from) << content;
  handler_.behave = [&](const HttpRequest& request, HttpReply* reply, HttpExchange*, bool*) {
    if (request.path == "/fail") reply->status = 500;
    reply->body = request.body;
    return true;
  };
  Start();
  HttpClient client;
  HttpCall call{.method = "POST", .url = Url(), .body_file = from, .answer_file = to};
  auto answer = client.Send(call);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->body, "");
  EXPECT_EQ(answer->bytes, 3'000'000);
  EXPECT_TRUE(*ReadFile(to) == content);
  // Too large, or no 2xx: no file, not even a part of one.
  ASSERT_TRUE(RemoveAll(to).ok());
  call.max_answer_bytes = 1'000'000;
  EXPECT_EQ(client.Send(call).error().code, ErrorCode::kUnavailable);
  call = {.method = "POST", .url = Url("/fail"), .body = "reason", .answer_file = to};
  answer = client.Send(call);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->body, "reason");
  EXPECT_EQ(*ListDir(folder_.path()), std::vector<std::string>{"from"});
  EXPECT_EQ(client.Send({.method = "POST", .url = Url(), .body_file = folder_.File("absent")})
                .error()
                .code,
            ErrorCode::kNotFound);
}

TEST_F(HttpClientTest, AnswersToACallbackMayBeEndedByIt) {
  handler_.behave = [&](const HttpRequest&, HttpReply* reply, HttpExchange*, bool*) {
    reply->body.assign(5'000'000, 'e');
    return true;
  };
  Start();
  HttpClient client;
  size_t got = 0;
  HttpCall call{.url = Url()};
  call.on_bytes = [&](std::string_view bytes) {
    got += bytes.size();
    return true;
  };
  ASSERT_TRUE(client.Send(call).ok());
  EXPECT_EQ(got, 5'000'000u);
  got = 0;
  call.on_bytes = [&](std::string_view bytes) { return (got += bytes.size()) < 100'000; };
  EXPECT_EQ(client.Send(call).error().code, ErrorCode::kCancelled);
  EXPECT_LT(got, 5'000'000u);
  EXPECT_TRUE(client.Send({.url = Url()}).ok());  // the client goes on
}

TEST_F(HttpClientTest, TimeIsLimitedAndACallCanBeCancelled) {
  std::vector<std::unique_ptr<HttpPending>> held;
  handler_.behave = [&](const HttpRequest&, HttpReply*, HttpExchange* exchange, bool* deferred) {
    held.push_back(exchange->Defer());
    return *deferred = true;
  };
  Start();
  HttpClient client;
  auto answer = client.Send({.url = Url("/x?secret=1"), .total_seconds = 0.2});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_TRUE(answer.error().message.starts_with("GET " + Url("/x") + ": no answer in time"))
      << answer.error().message;
  std::atomic<bool> cancel = false;
  std::thread cancelling([&] {
    Await([&] { return handler_.handled == 2; });
    cancel = true;
  });
  answer = client.Send({.url = Url(), .total_seconds = 30, .cancel = &cancel});
  cancelling.join();
  EXPECT_EQ(answer.error().code, ErrorCode::kCancelled);
  server_.reset();
  answer = client.Send({.url = Url()});
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
}

TEST_F(HttpClientTest, RedirectsStayWithinTheirOriginAndAreFollowedWhenAskedOnly) {
  std::string target;
  handler_.behave = [&](const HttpRequest& request, HttpReply* reply, HttpExchange*, bool*) {
    if (request.path != "/from") return false;
    reply->status = 302;
    reply->AddHeader("Location", target);
    reply->body = "over there";
    return true;
  };
  Start();
  HttpClient client;
  target = "/to";
  auto answer = client.Send({.url = Url("/from")});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 302);
  answer = client.Send({.url = Url("/from"), .redirects = 2});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->body, "GET /to ");
  target = Url("/from");
  EXPECT_EQ(client.Send({.url = Url("/from"), .redirects = 2}).error().code,
            ErrorCode::kUnavailable);
  for (const std::string& other :
       {"http://localhost:" + std::to_string(port_) + "/to", std::string("http://127.0.0.1:1/to"),
        "https://127.0.0.1:" + std::to_string(port_) + "/to", std::string("file:///etc/passwd")}) {
    target = other;
    answer = client.Send({.url = Url("/from"), .redirects = 2});
    ASSERT_FALSE(answer.ok()) << other;
    EXPECT_NE(answer.error().code, ErrorCode::kInternal);
  }
}

TEST_F(HttpClientTest, WhatMakesNoSenseIsRefusedBeforeAnythingIsSent) {
  Start();
  HttpClient client;
  for (const std::string& url :
       {std::string("file:///etc/passwd"), std::string("gopher://127.0.0.1/"), std::string(""),
        std::string("127.0.0.1:1/x"), "http://name:secret@127.0.0.1:" + std::to_string(port_) + "/",
        Url("/a b"), Url("/a\r\nX: 1")}) {
    const auto answer = client.Send({.url = url});
    ASSERT_FALSE(answer.ok()) << url;
    EXPECT_EQ(answer.error().code, ErrorCode::kInvalidArgument) << url;
    EXPECT_EQ(answer.error().message.find("secret"), std::string::npos);
  }
  EXPECT_FALSE(client.Send({.url = Url(), .headers = {{"X", "a\r\nY: b"}}}).ok());
  EXPECT_FALSE(client.Send({.url = Url(), .headers = {{"X Y", "a"}}}).ok());
  EXPECT_FALSE(client.Send({.method = "GET /", .url = Url()}).ok());
  EXPECT_EQ(handler_.handled, 0);
}

TEST_F(HttpClientTest, AddressesThatAreNotPublicAreRefusedWhateverTheirSpelling) {
  Start();
  HttpClient client({.public_addresses_only = true});
  const std::string port = std::to_string(port_);
  for (const char* host : {"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1",
                           "[::ffff:127.0.0.1]", "0.0.0.0"}) {
    const auto answer = client.Send({.url = "http://" + std::string(host) + ":" + port + "/x"});
    ASSERT_FALSE(answer.ok()) << host;
    EXPECT_EQ(answer.error().code, ErrorCode::kPermissionDenied) << answer.error().message;
  }
  EXPECT_EQ(handler_.handled, 0);
  for (const char* address :
       {"10.1.2.3",          "100.64.0.1",      "127.255.0.1", "169.254.169.254",
        "172.16.0.1",        "172.31.255.255",  "192.168.0.1", "198.18.0.1",
        "224.0.0.1",         "255.255.255.255", "::1",         "::",
        "fe80::1",           "fd00::1",         "ff02::1",     "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1", "2002:7f00:1::",   "2001:db8::1", "no address"}) {
    EXPECT_FALSE(IsPublicAddress(address)) << address;
  }
  for (const char* address : {"8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1",
                              "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::"}) {
    EXPECT_TRUE(IsPublicAddress(address)) << address;
  }
}

TEST_F(HttpClientTest, TlsAsksForTheRightCertificateAndShowsItsOwn) {
  const std::string certificate = folder_.File("server.pem"), key = folder_.File("server.key");
  const std::string mine = folder_.File("mine.pem"), my_key = folder_.File("mine.key");
  WriteCertificate(certificate, key, "server", 1);
  WriteCertificate(mine, my_key, "caller", 2);
  options_.tls = {.certificate_file = certificate, .key_file = key, .client_ca_file = mine};
  std::string subject;
  handler_.behave = [&](const HttpRequest& request, HttpReply*, HttpExchange*, bool*) {
    subject = request.client_subject;
    return false;
  };
  Start();
  const std::string url = "https://127.0.0.1:" + std::to_string(port_) + "/x";
  HttpClient right({.ca_file = certificate, .certificate_file = mine, .key_file = my_key});
  const auto answer = right.Send({.url = url});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(subject, "CN=caller,O=Slipway");
  HttpClient nameless({.ca_file = certificate});
  EXPECT_FALSE(nameless.Send({.url = url}).ok());
  HttpClient other_ca({.ca_file = mine, .certificate_file = mine, .key_file = my_key});
  EXPECT_EQ(other_ca.Send({.url = url}).error().code, ErrorCode::kUnavailable);
  HttpClient any({.certificate_file = mine, .key_file = my_key, .insecure = true});
  EXPECT_TRUE(any.Send({.url = url}).ok());
}

TEST(HttpClient, SaysWhenLibcurlIsMissing) {
  const std::string names[] = {"libslipway-none.so.4"};
  const auto library = OpenLibcurl(names);
  ASSERT_FALSE(library.ok());
  EXPECT_EQ(library.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(library.error().message.find("libslipway-none.so.4"), std::string::npos);
  EXPECT_NE(library.error().hint.find("libcurl4"), std::string::npos);
}

TEST(HttpClient, EncodesWhatItIsGiven) {
  EXPECT_EQ(BasicAuthorization("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  EXPECT_EQ(BasicAuthorization("key"), "Basic a2V5Og==");
  EXPECT_EQ(UrlEncode("a/b c~ä"), "a%2Fb%20c~%C3%A4");
  EXPECT_TRUE(SameOrigin("http://A/x", "http://a:80/y?z"));
  EXPECT_FALSE(SameOrigin("http://a/x", "https://a/x"));
  EXPECT_FALSE(SameOrigin("http://a/x", "http://a.b/x"));
  EXPECT_TRUE(SameOrigin("http://[::1]:80/", "http://[::1]/"));
}

}  // namespace
}  // namespace slipway
