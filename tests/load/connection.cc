#include "tests/load/connection.h"

#include <cstdlib>

#include <errno.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace slipway::load {

Connection::~Connection() { Close(); }

bool Connection::Open(int epoll, uint32_t id, const std::string& host, int port) {
  Close();
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return false;
  const int one = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  const int done = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (done != 0 && errno != EINPROGRESS) {
    Close();
    return false;
  }
  state_ = State::kConnecting;
  epoll_ = epoll;
  id_ = id;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
  event.data.u32 = id;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd_, &event);
  return true;
}

void Connection::Close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  state_ = State::kClosed;
  buffer_.clear();
  head_size_ = body_size_ = 0;
}

bool Connection::Send(std::string_view request, int64_t intended_ns, int64_t now_ns,
                      int64_t number) {
  state_ = State::kBusy;
  intended_ns_ = intended_ns;
  sent_ns_ = now_ns;
  number_ = number;
  unsent_ = request;
  buffer_.clear();
  head_size_ = body_size_ = 0;
  return Flush();
}

bool Connection::Flush() {
  while (!unsent_.empty()) {
    const ssize_t n = ::send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return false;
      epoll_event event{};
      event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
      event.data.u32 = id_;
      ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_, &event);
      return true;
    }
    unsent_.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

Connection::Event Connection::OnEvent(uint32_t events) {
  if (state_ == State::kConnecting) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0 || (events & (EPOLLERR | EPOLLHUP)) != 0) return Event::kLost;
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP;
    event.data.u32 = id_;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_, &event);
    state_ = State::kIdle;
    return Event::kConnected;
  }
  if ((events & EPOLLOUT) != 0 && !unsent_.empty()) {
    if (!Flush()) return Event::kLost;
    if (unsent_.empty()) {
      epoll_event event{};
      event.events = EPOLLIN | EPOLLRDHUP;
      event.data.u32 = id_;
      ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_, &event);
    }
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) return Read();
  return Event::kNothing;
}

Connection::Event Connection::Read() {
  char bytes[64 << 10];
  for (;;) {
    const ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return Event::kNothing;
    if (n <= 0) return Event::kLost;
    if (state_ != State::kBusy) return Event::kLost;  // an answer that nobody asked for
    buffer_.append(bytes, static_cast<size_t>(n));
    if (head_size_ == 0 && !ParseHead()) continue;
    if (buffer_.size() >= head_size_ + body_size_) return Event::kAnswered;
    if (n < static_cast<ssize_t>(sizeof bytes)) return Event::kNothing;
  }
}

bool Connection::ParseHead() {
  const size_t end = buffer_.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  head_size_ = end + 4;
  status_ = buffer_.size() > 12 ? std::atoi(buffer_.c_str() + 9) : 0;
  closes_ = false;
  body_size_ = 0;
  size_t at = buffer_.find("\r\n") + 2;
  while (at < end) {
    const size_t line_end = buffer_.find("\r\n", at);
    const char* line = buffer_.c_str() + at;
    if (::strncasecmp(line, "content-length:", 15) == 0)
      body_size_ = static_cast<size_t>(std::strtoull(line + 15, nullptr, 10));
    if (::strncasecmp(line, "connection: close", 17) == 0) closes_ = true;
    at = line_end + 2;
  }
  return true;
}

void Connection::Done() {
  if (closes_) {
    Close();
  } else {
    state_ = State::kIdle;
  }
}

}  // namespace slipway::load
