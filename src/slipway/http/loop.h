// One thread's epoll loop: its listeners, connections, timers and buffers. Everything here belongs
// to its thread, except what is said to be thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <sys/socket.h>

#include "slipway/base/mutex.h"
#include "slipway/http/byte_buffer.h"
#include "slipway/http/connection.h"
#include "slipway/http/pending.h"
#include "slipway/http/reply_head.h"
#include "slipway/http/server.h"
#include "slipway/http/timer_wheel.h"
#include "slipway/http/tls.h"

namespace slipway {

// Written by one loop, read by anybody: no locked instruction on the hot path.
class HttpCounter {
 public:
  void Add(int64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_ = 0;
};

struct HttpLoopStats {
  HttpCounter accepted, requests, bytes_in, bytes_out, refused_connections, bad_requests, timeouts,
      accept_errors, pending;
};

// What the loops of a server share. Thread-safe.
struct HttpShared {
  HttpServerOptions options;
  HttpHandler* handler = nullptr;
  std::atomic<int64_t> open = 0;  // connections
  std::atomic<bool> draining = false, stopping = false;
  Mutex mutex;
  std::unordered_map<std::string, int> per_address GUARDED_BY(mutex);
  std::shared_ptr<const HttpTlsContext> tls GUARDED_BY(mutex);
};

int64_t HttpNowNs();  // steady

class HttpLoop {
 public:
  // Takes over the listening sockets.
  HttpLoop(int index, HttpShared* shared, std::vector<int> listeners);
  ~HttpLoop();
  HttpLoop(const HttpLoop&) = delete;
  HttpLoop& operator=(const HttpLoop&) = delete;

  Status Start();
  void Join();
  void Wake() const { mailbox_->Wake(); }  // thread-safe: flags of `shared` have changed
  const HttpLoopStats& stats() const { return stats_; }  // thread-safe

  // For connections.
  int index() const { return index_; }
  const HttpLimits& limits() const { return shared_->options.limits; }
  HttpHandler* handler() const { return shared_->handler; }
  bool draining() const { return draining_; }
  int64_t now_ns() const { return now_ns_; }
  HttpTimerWheel& wheel() { return wheel_; }
  HttpLoopStats& counts() { return stats_; }
  const std::shared_ptr<HttpMailbox>& mailbox() const { return mailbox_; }
  HttpByteBuffer& out() { return out_; }
  HttpReplyHead& reply_head() { return reply_head_; }
  HttpRequest& request() { return request_; }
  HttpReply& reply() { return reply_; }
  std::vector<HttpHeader>& headers() { return headers_; }
  std::unique_ptr<HttpRequestParser> TakeInput();
  void ReturnInput(std::unique_ptr<HttpRequestParser> input);
  void Again(HttpConnection* connection);
  void LetGather() { let_gather_ = true; }  // before the next turn
  void Closed(HttpConnection* connection);

 private:
  struct Listener {
    int fd = -1;
    bool paused = false;
  };

  void Run();
  // Out of memory costs the connection at hand, not the process.
  template <typename Step>
  void Guard(HttpConnection* connection, const Step& step);
  void DeleteClosed();
  void HandleAnswers();
  void Accept(Listener* listener);
  bool AcceptFailed(Listener* listener, int error_number);
  void Adopt(int fd, const sockaddr_storage& address);
  // nullptr: no memory for it. `open`: connections, with this one. `refused`: told so and closed.
  HttpConnection* MakeConnection(int fd, const sockaddr_storage& address, int64_t open,
                                 bool* refused);
  void PauseListener(Listener* listener, bool paused);
  void BeginDrain();
  void Housekeeping();
  void CloseAll();
  bool AddressHasRoom(const std::string& remote);
  void LeaveAddress(const std::string& remote);

  const int index_;
  HttpShared* const shared_;
  int epoll_ = -1;
  int reserve_fd_ = -1;  // given up for a moment when there is no other
  std::vector<Listener> listeners_;
  const std::shared_ptr<HttpMailbox> mailbox_;
  bool draining_ = false, let_gather_ = false;
  int64_t now_ns_ = 0, next_housekeeping_ns_ = 0, resume_accept_ns_ = 0;
  HttpTimerWheel wheel_;
  HttpByteBuffer out_;
  HttpReplyHead reply_head_;
  HttpRequest request_;
  HttpReply reply_;
  std::vector<HttpHeader> headers_;
  std::vector<std::unique_ptr<HttpRequestParser>> inputs_;  // not in use
  std::vector<HttpConnection*> again_, again_now_;
  HttpConnection* connections_ = nullptr;
  HttpConnection* closed_ = nullptr;
  HttpLoopStats stats_;
  std::thread thread_;
};

}  // namespace slipway
