// A server with a handler that says what it got, and a client of raw bytes: for tests.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "slipway/base/mutex.h"
#include "slipway/base/text.h"
#include "slipway/http/server.h"

namespace slipway {

inline constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

// Answers "METHOD path?query body"; what `behave` returns true for is answered by it.
class EchoHandler : public HttpHandler {
 public:
  using Behave = std::function<bool(const HttpRequest&, HttpReply*, HttpExchange*, bool* deferred)>;

  HttpBodyPlan PlanBody(const HttpRequest& head, HttpReply* refusal) override {
    if (head.path == "/refuse") {
      refusal->status = 401;
      refusal->body = "no";
      plan_.refuse = true;
    }
    HttpBodyPlan plan = plan_;
    plan_.refuse = false;
    return plan;
  }
  HttpOutcome Handle(const HttpRequest& request, HttpReply* reply,
                     HttpExchange* exchange) override {
    ++handled;
    bool deferred = false;
    if (behave && behave(request, reply, exchange, &deferred)) {
      return deferred ? HttpOutcome::kDeferred : HttpOutcome::kReplied;
    }
    reply->content_type = "text/plain";
    reply->body.append(request.method).append(" ").append(request.path);
    if (!request.query.empty()) reply->body.append("?").append(request.query);
    reply->body.append(" ").append(request.body);
    return HttpOutcome::kReplied;
  }

  Behave behave;
  HttpBodyPlan plan_;
  std::atomic<int> handled = 0;
};

struct HttpTestAnswer {
  int status = 0;
  std::string head, body;
  bool closed = false;  // the connection ended before an answer was complete

  bool Has(std::string_view text) const { return head.find(text) != std::string::npos; }
};

// A blocking socket that waits 10 s at most.
class HttpTestClient {
 public:
  explicit HttpTestClient(int port, int receive_buffer = 0) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~HttpTestClient() { Close(); }
  HttpTestClient(const HttpTestClient&) = delete;
  HttpTestClient& operator=(const HttpTestClient&) = delete;

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  // `body_follows`: false for answers to HEAD.
  HttpTestAnswer Read(bool body_follows = true) {
    HttpTestAnswer answer;
    size_t end = 0;
    while ((end = left_.find("\r\n\r\n")) == std::string::npos) {
      if (!Fill()) return answer.closed = true, answer;
    }
    answer.head = left_.substr(0, end + 4);
    left_.erase(0, end + 4);
    answer.status = std::atoi(answer.head.substr(9, 3).c_str());
    const size_t at = answer.head.find("Content-Length: ");
    if (at == std::string::npos || !body_follows) return answer;
    const auto size = static_cast<size_t>(std::atoll(answer.head.c_str() + at + 16));
    while (left_.size() < size) {
      if (!Fill()) return answer.closed = true, answer;
    }
    answer.body = left_.substr(0, size);
    left_.erase(0, size);
    return answer;
  }
  HttpTestAnswer Ask(std::string_view bytes) {
    Send(bytes);
    return Read();
  }
  // Whether the server has ended the connection, with nothing left to read.
  bool AtEnd() { return left_.empty() && !Fill(); }
  void ShutdownWrite() { ::shutdown(fd_, SHUT_WR); }
  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int fd() const { return fd_; }
  bool connected = false;

 private:
  bool Fill() {
    char bytes[65536];
    const ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
    if (n <= 0) return false;
    left_.append(bytes, static_cast<size_t>(n));
    return true;
  }

  int fd_ = -1;
  std::string left_;
};

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    options_.listen = {{}};
    options_.loops = 1;
  }
  void Start() {
    auto server = HttpServer::Start(options_, &handler_);
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = *std::move(server);
    port_ = server_->addresses()[0].port;
  }
  // Waits for what another thread does: a condition, not a time.
  static void Await(const std::function<bool()>& condition) {
    for (int i = 0; i < 15000 && !condition(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    EXPECT_TRUE(condition());
  }
  HttpTestAnswer Ask(std::string_view bytes) { return HttpTestClient(port_).Ask(bytes); }

  HttpServerOptions options_;
  EchoHandler handler_;
  std::unique_ptr<HttpServer> server_;
  int port_ = 0;
};

}  // namespace slipway
