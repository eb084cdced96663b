// One keep-alive connection of the load generator: sends a request, reads its answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace slipway::load {

class Connection {
 public:
  enum class State { kClosed, kConnecting, kIdle, kBusy };
  enum class Event { kNothing, kConnected, kAnswered, kLost };

  ~Connection();
  // Non-blocking connect; the descriptor is registered with `epoll` under `id`.
  bool Open(int epoll, uint32_t id, const std::string& host, int port);
  void Close();
  State state() const { return state_; }

  // REQUIRES: kIdle. False: the peer is gone.
  bool Send(std::string_view request, int64_t intended_ns, int64_t now_ns, int64_t number);
  // After epoll reported it.
  Event OnEvent(uint32_t events);

  int status() const { return status_; }
  std::string_view body() const { return std::string_view(buffer_).substr(head_size_, body_size_); }
  bool closes() const { return closes_; }
  void Done();  // the answer was looked at: idle again, or closed
  int64_t intended_ns() const { return intended_ns_; }
  int64_t sent_ns() const { return sent_ns_; }
  int64_t number() const { return number_; }

 private:
  bool Flush();
  Event Read();
  bool ParseHead();

  int fd_ = -1, epoll_ = -1;
  uint32_t id_ = 0;
  State state_ = State::kClosed;
  std::string_view unsent_;
  std::string buffer_;
  size_t head_size_ = 0, body_size_ = 0;
  int status_ = 0;
  bool closes_ = false;
  int64_t intended_ns_ = 0, sent_ns_ = 0, number_ = 0;
};

}  // namespace slipway::load
