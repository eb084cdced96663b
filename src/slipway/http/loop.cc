#include "slipway/http/loop.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <new>
#include <utility>

#include <fcntl.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "slipway/base/file.h"
#include "slipway/http/listener.h"

namespace slipway {
namespace {

constexpr int64_t kHousekeepingNs = 1'000'000'000;
constexpr int64_t kGatherNs = 1'000'000;
constexpr int64_t kAcceptPauseNs = 100'000'000;
constexpr int kAcceptsPerTurn = 64;
constexpr int kEventsPerTurn = 256;
constexpr size_t kSpareInputs = 64;
constexpr size_t kKeptBytes = 1 << 20;  // of a buffer that waits for the next request
constexpr int64_t kTurnedAwayOpen = 128;

// What an event belongs to: connections by their address, the others by odd numbers.
constexpr uint64_t kMailboxTag = 1;
uint64_t ListenerTag(size_t index) { return (index << 2) | 3; }

bool Watch(int epoll, int fd, uint32_t events, uint64_t tag) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

int64_t HttpNowNs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

HttpLoop::HttpLoop(int index, HttpShared* shared, std::vector<int> listeners)
    : index_(index),
      shared_(shared),
      mailbox_(std::make_shared<HttpMailbox>()),
      now_ns_(HttpNowNs()),
      wheel_(now_ns_),
      reply_head_(shared->options.server_name) {
  for (const int fd : listeners) listeners_.push_back({.fd = fd, .paused = false});
  inputs_.reserve(kSpareInputs);  // closing a connection must not need memory
}

HttpLoop::~HttpLoop() {
  Join();
  for (const Listener& listener : listeners_) {
    if (listener.fd >= 0) ::close(listener.fd);
  }
  if (reserve_fd_ >= 0) ::close(reserve_fd_);
  if (epoll_ >= 0) ::close(epoll_);
}

Status HttpLoop::Start() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  reserve_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  bool ok = epoll_ >= 0 && mailbox_->event_fd() >= 0 &&
            Watch(epoll_, mailbox_->event_fd(), EPOLLIN, kMailboxTag);
  for (size_t i = 0; ok && i < listeners_.size(); ++i) {
    ok = Watch(epoll_, listeners_[i].fd, EPOLLIN, ListenerTag(i));
  }
  if (!ok) return FileError("set up", "an epoll loop", errno);
  // Signals are for the main thread. A peer that has gone must not be one: OpenSSL and sendfile
  // have no MSG_NOSIGNAL.
  sigset_t all, before;
  sigfillset(&all);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF}) {
    sigdelset(&all, fault);
  }
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return {};
}

void HttpLoop::Join() {
  if (!thread_.joinable()) return;
  Wake();
  thread_.join();
}

// A short slice: on Linux 6.12 and later a loop that wakes up then goes before whoever computes on
// its core (EEVDF's "preempt short"), for example a generation being loaded. Elsewhere no harm.
static void AskForShortSlices() {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes = {};
  attributes.size = sizeof attributes;
  attributes.policy = SCHED_OTHER;
  attributes.runtime = 100'000;  // nanoseconds, the least
  (void)::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

void HttpLoop::Run() {
  AskForShortSlices();
  epoll_event events[kEventsPerTurn];
  next_housekeeping_ns_ = HttpNowNs();
  while (!shared_->stopping.load(std::memory_order_acquire)) {
    int timeout_ms = 0;
    if (again_.empty()) {
      int64_t next = std::min(next_housekeeping_ns_, wheel_.next_ns());
      if (resume_accept_ns_ != 0) next = std::min(next, resume_accept_ns_);
      timeout_ms = static_cast<int>(std::clamp<int64_t>((next - now_ns_) / 1'000'000 + 1, 0, 1000));
    }
    if (std::exchange(let_gather_, false)) {
      const timespec pause = {.tv_sec = 0, .tv_nsec = kGatherNs};
      ::nanosleep(&pause, nullptr);
    }
    const int n = ::epoll_wait(epoll_, events, kEventsPerTurn, timeout_ms);
    now_ns_ = HttpNowNs();
    reply_head_.Refresh(now_ns_);
    bool mail = false;
    for (int i = 0; i < n; ++i) {
      const uint64_t tag = events[i].data.u64;
      if ((tag & 1) == 0) {
        auto* connection = static_cast<HttpConnection*>(events[i].data.ptr);
        Guard(connection, [&] { connection->OnEvents(events[i].events); });
      } else if (tag == kMailboxTag) {
        mail = true;
      } else {
        Accept(&listeners_[tag >> 2]);
      }
    }
    if (mail) HandleAnswers();
    if (!again_.empty()) {
      std::swap(again_, again_now_);
      for (HttpConnection* connection : again_now_) {
        connection->again = false;
        if (!connection->closed()) Guard(connection, [&] { connection->OnAgain(); });
      }
      again_now_.clear();
    }
    if (now_ns_ >= wheel_.next_ns()) {
      while (HttpTimer* timer = wheel_.Pop(now_ns_)) {
        auto* connection = static_cast<HttpConnection*>(timer);
        Guard(connection, [&] { connection->OnTimer(now_ns_); });
      }
    }
    if (now_ns_ >= next_housekeeping_ns_) Housekeeping();
    if (resume_accept_ns_ != 0 && now_ns_ >= resume_accept_ns_) {
      resume_accept_ns_ = 0;
      for (Listener& listener : listeners_) PauseListener(&listener, false);
    }
    if (!draining_ && shared_->draining.load(std::memory_order_acquire)) BeginDrain();
    DeleteClosed();
  }
  CloseAll();
}

template <typename Step>
void HttpLoop::Guard(HttpConnection* connection, const Step& step) {
  try {
    step();
  } catch (const std::bad_alloc&) {
    out_.clear();
    connection->Close();
  }
}

void HttpLoop::DeleteClosed() {
  while (closed_ != nullptr) delete std::exchange(closed_, closed_->closed_next);
}

void HttpLoop::HandleAnswers() {
  mailbox_->BeginTaking();
  while (const std::unique_ptr<HttpLetter> answer = mailbox_->Next()) {
    HttpConnection* const connection = answer->link->connection;
    if (connection == nullptr) continue;
    Guard(connection, [&] {
      if (answer->more) {
        connection->OnStream();
      } else if (answer->stream != nullptr) {
        connection->OnStreamBegin(&answer->reply, std::move(answer->stream));
      } else {
        connection->OnAnswer(&answer->reply);
      }
    });
  }
}

void HttpLoop::Accept(Listener* listener) {
  for (int i = 0; i < kAcceptsPerTurn && listener->fd >= 0; ++i) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    const int fd = ::accept4(listener->fd, reinterpret_cast<sockaddr*>(&address), &size,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      Adopt(fd, address);
    } else if (!AcceptFailed(listener, errno)) {
      return;
    }
  }
}

// True: try the next one.
bool HttpLoop::AcceptFailed(Listener* listener, int error_number) {
  if (error_number == EAGAIN || error_number == EINVAL) return false;
  // The peer or its network gave up (accept(2) hands pending errors on).
  if (error_number != EMFILE && error_number != ENFILE && error_number != ENOBUFS &&
      error_number != ENOMEM) {
    return true;
  }
  stats_.accept_errors.Add(1);
  if (reserve_fd_ >= 0 && (error_number == EMFILE || error_number == ENFILE)) {
    // Tell one of those who wait, rather than let it hang.
    ::close(reserve_fd_);
    const int fd = ::accept4(listener->fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      stats_.refused_connections.Add(1);
      static constexpr std::string_view kFull =
          "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n"
          "Retry-After: 1\r\n\r\n";
      ::send(fd, kFull.data(), kFull.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      ::close(fd);
    }
    reserve_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
  PauseListener(listener, true);
  resume_accept_ns_ = now_ns_ + kAcceptPauseNs;
  return false;
}

void HttpLoop::PauseListener(Listener* listener, bool paused) {
  if (listener->fd < 0 || listener->paused == paused) return;
  listener->paused = paused;
  epoll_event event{};
  event.events = paused ? 0U : static_cast<uint32_t>(EPOLLIN);
  event.data.u64 = ListenerTag(static_cast<size_t>(listener - listeners_.data()));
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, listener->fd, &event);
}

bool HttpLoop::AddressHasRoom(const std::string& remote) {
  MutexLock lock(shared_->mutex);
  int& count = shared_->per_address[remote];
  if (count >= limits().connections_per_address) return false;
  ++count;
  return true;
}

HttpConnection* HttpLoop::MakeConnection(int fd, const sockaddr_storage& address, int64_t open,
                                         bool* refused) {
  bool loopback = false;
  std::string remote = HttpPeerText(address, &loopback);
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  *refused = open > limits().connections;
  std::unique_ptr<HttpTlsSession> tls;
  std::shared_ptr<const HttpTlsContext> context;
  {
    MutexLock lock(shared_->mutex);
    context = shared_->tls;
  }
  const bool counted = limits().connections_per_address > 0 && !loopback && !*refused;
  const bool crowded = counted && !AddressHasRoom(remote);
  *refused = *refused || crowded;
  const bool hopeless =
      *refused && (context != nullptr || open > limits().connections + kTurnedAwayOpen);
  try {
    if (!hopeless && context != nullptr) tls = HttpTlsSession::Make(*context, fd);
    auto connection =
        std::make_unique<HttpConnection>(this, fd, std::move(remote), loopback, std::move(tls));
    connection->counted_address = counted && !crowded;
    connection->hopeless = hopeless || (context != nullptr && !connection->has_tls());
    return connection.release();
  } catch (const std::bad_alloc&) {
    if (counted && !crowded) LeaveAddress(remote);
    return nullptr;
  }
}

void HttpLoop::Adopt(int fd, const sockaddr_storage& address) {
  stats_.accepted.Add(1);
  const int64_t open = shared_->open.fetch_add(1, std::memory_order_relaxed) + 1;
  bool refused = false;
  HttpConnection* connection = nullptr;
  try {
    connection = MakeConnection(fd, address, open, &refused);
  } catch (const std::bad_alloc&) {
  }
  if (refused || connection == nullptr) stats_.refused_connections.Add(1);
  if (connection == nullptr) {
    shared_->open.fetch_sub(1, std::memory_order_acq_rel);
    ::close(fd);
    return;
  }
  connection->all_next = connections_;
  if (connections_ != nullptr) connections_->all_previous = connection;
  connections_ = connection;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = connection;
  if (connection->hopeless || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0)
    return connection->Close();
  if (refused) Guard(connection, [&] { connection->TurnAway(503, "too many connections"); });
}

void HttpLoop::LeaveAddress(const std::string& remote) {
  MutexLock lock(shared_->mutex);
  const auto found = shared_->per_address.find(remote);
  if (found != shared_->per_address.end() && --found->second <= 0) {
    shared_->per_address.erase(found);
  }
}

void HttpLoop::BeginDrain() {
  draining_ = true;
  for (Listener& listener : listeners_) {
    // Those whose connection the kernel has made already are served.
    for (int before = -1; before != static_cast<int>(stats_.accepted.value());) {
      before = static_cast<int>(stats_.accepted.value());
      Accept(&listener);
    }
    ::close(listener.fd);
    listener.fd = -1;
  }
  for (HttpConnection* connection = connections_; connection != nullptr;) {
    HttpConnection* next = connection->all_next;
    connection->OnDrain();
    connection = next;
  }
}

void HttpLoop::Housekeeping() {
  next_housekeeping_ns_ = now_ns_ + kHousekeepingNs;
  // What a burst needed goes back over time.
  if (inputs_.size() > 4) inputs_.resize(inputs_.size() - inputs_.size() / 4);
  out_.ShrinkTo(kKeptBytes);
  if (reply_.body.capacity() > kKeptBytes) std::string().swap(reply_.body);
  if (reserve_fd_ < 0) reserve_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  try {
    shared_->handler->Tick(index_);
  } catch (const std::bad_alloc&) {  // the next one comes in a second
  }
}

void HttpLoop::CloseAll() {
  while (connections_ != nullptr) connections_->Close();
  DeleteClosed();
}

std::unique_ptr<HttpRequestParser> HttpLoop::TakeInput() {
  if (inputs_.empty()) return std::make_unique<HttpRequestParser>(&limits());
  auto input = std::move(inputs_.back());
  inputs_.pop_back();
  return input;
}

void HttpLoop::ReturnInput(std::unique_ptr<HttpRequestParser> input) {
  if (inputs_.size() >= kSpareInputs) return;
  if (!input->empty() || input->capacity() > kKeptBytes) input->Reset(kKeptBytes);
  inputs_.push_back(std::move(input));
}

void HttpLoop::Again(HttpConnection* connection) {
  if (connection->again) return;
  connection->again = true;
  again_.push_back(connection);
}

void HttpLoop::Closed(HttpConnection* connection) {
  if (connection->all_next != nullptr) {
    connection->all_next->all_previous = connection->all_previous;
  }
  if (connection->all_previous != nullptr) {
    connection->all_previous->all_next = connection->all_next;
  } else {
    connections_ = connection->all_next;
  }
  connection->closed_next = closed_;
  closed_ = connection;
  if (connection->again) std::erase(again_, connection);
  if (connection->counted_address) LeaveAddress(connection->remote());
  shared_->open.fetch_sub(1, std::memory_order_acq_rel);
}

}  // namespace slipway
