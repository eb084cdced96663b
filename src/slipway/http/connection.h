// One connection: a state machine over a non-blocking socket, driven by its loop with the edges
// that epoll reports. Holds no buffer while idle: input and output lie in its loop's and come to it
// only when a request or an answer is cut. Confined to the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "slipway/http/body_spool.h"
#include "slipway/http/pending.h"
#include "slipway/http/request_parser.h"
#include "slipway/http/server.h"
#include "slipway/http/timer_wheel.h"
#include "slipway/http/tls.h"

namespace slipway {

class HttpLoop;

// What the peer has not read yet.
struct HttpBacklog {
  std::string head;  // bytes before `body`
  std::string body;
  size_t head_sent = 0, body_sent = 0;
  int file = -1;
  int64_t file_at = 0, file_end = 0;
  int64_t since_ns = 0, taken = 0;  // by the peer since then

  ~HttpBacklog();
};

class HttpConnection final : public HttpTimer, private HttpExchange {
 public:
  // `tls`: nullptr for plain. Takes over `fd`.
  HttpConnection(HttpLoop* loop, int fd, std::string remote, bool loopback,
                 std::unique_ptr<HttpTlsSession> tls);
  ~HttpConnection() override;
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  void OnEvents(uint32_t events);
  void OnTimer(int64_t now_ns);
  void OnAnswer(HttpReply* reply);  // of a deferred request
  // The answer that goes on (connection_stream.cc): its head, and each time it has more.
  void OnStreamBegin(HttpReply* reply, std::shared_ptr<HttpStreamBuffer> stream);
  void OnStream();
  void OnAgain() { Advance(); }  // the turn that was cut short goes on
  // The next answer is the last; an idle connection has a moment for the request that may be on
  // its way.
  void OnDrain();
  // Answers without reading anything, and closes.
  void TurnAway(int status, std::string_view reason);
  void Close();

  bool closed() const { return fd_ < 0; }
  bool has_tls() const { return tls_ != nullptr; }
  const std::string& remote() const { return remote_; }
  bool loopback() const { return loopback_; }
  int fd() const { return fd_; }
  bool again = false;            // in the loop's list of cut turns
  bool counted_address = false;  // in the count of its address
  bool hopeless = false;         // to be closed at once

  HttpConnection* all_next = nullptr;  // the loop's list of its connections
  HttpConnection* all_previous = nullptr;
  HttpConnection* closed_next = nullptr;  // the loop's list of those to be deleted

 private:
  enum class State { kHandshake, kReading, kDeferred, kStreaming, kFinishing, kLingering, kClosed };

  int loop() const override;
  std::unique_ptr<HttpPending> Defer() override;

  void Advance();
  bool Handshake();
  void ReadRequests();
  bool Receive();  // false: nothing more now
  void DescribeRequest();
  void PlanBody();
  bool StoreBody();
  void HandleRequest();
  void Answer(HttpReply* reply);
  void Refuse(int status, std::string_view reason);

  // Output (connection_output.cc).
  void Flush(std::string* large_body);
  void FlushFile(int file, int64_t size);
  // False: the peer must read first, or it has gone.
  bool FlushBacklog();
  bool FlushBytes();
  bool SendFile();
  ssize_t Send(std::string_view head, std::string_view body, bool more);
  void PumpStream();
  void FinishTurn();
  void Finish();
  void Linger();
  void ArmTimer();
  int64_t FairNs(int64_t bytes) const;

  HttpLoop* const loop_;
  int fd_;
  State state_ = State::kReading;
  bool readable_ = false;
  bool peer_closed_ = false;  // no more comes
  bool keep_alive_ = true;    // of the request at hand
  bool http_1_0_ = false, is_head_ = false;
  bool described_ = false;  // the loop's request holds this connection's head
  bool continued_ = false;  // "100 Continue" was sent for the request at hand
  bool linger_ = false;     // bytes may come that nobody wants
  const bool loopback_;
  int64_t since_ns_ = 0;     // the request's first byte, its body's start, the lingering's start
  int64_t progress_ns_ = 0;  // of the peer's reading
  int64_t arrived_ns_ = 0;   // of the last byte
  int64_t requests_ = 0;
  std::unique_ptr<HttpRequestParser> input_;
  std::unique_ptr<HttpBacklog> backlog_;
  std::unique_ptr<HttpTlsSession> tls_;
  std::unique_ptr<HttpBodySpool> spool_;
  std::shared_ptr<HttpPendingLink> link_;  // of the deferred request
  std::shared_ptr<HttpStreamBuffer> stream_;
  std::string remote_;
};

}  // namespace slipway
