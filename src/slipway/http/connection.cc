#include "slipway/http/connection.h"

#include <cerrno>
#include <utility>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "slipway/http/loop.h"

namespace slipway {
namespace {

// Then other connections have their turn.
constexpr int kRequestsPerTurn = 32;
constexpr int kReadsPerTurn = 8;

}  // namespace

HttpConnection::HttpConnection(HttpLoop* loop, int fd, std::string remote, bool loopback,
                               std::unique_ptr<HttpTlsSession> tls)
    : loop_(loop),
      fd_(fd),
      state_(tls != nullptr ? State::kHandshake : State::kReading),
      loopback_(loopback),
      since_ns_(loop->now_ns()),
      tls_(std::move(tls)),
      remote_(std::move(remote)) {
  ArmTimer();
}

HttpConnection::~HttpConnection() = default;

int HttpConnection::loop() const { return loop_->index(); }

void HttpConnection::OnEvents(uint32_t events) {
  if (closed()) return;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return Close();
  if ((events & EPOLLRDHUP) != 0) {
    peer_closed_ = true;
    if (link_ != nullptr) link_->abandoned.store(true, std::memory_order_relaxed);
  }
  if ((events & (EPOLLIN | EPOLLRDHUP)) != 0) readable_ = true;
  Advance();
}

void HttpConnection::Advance() {
  if (state_ == State::kHandshake && !Handshake()) return;
  if (backlog_ != nullptr && !FlushBacklog()) return;
  switch (state_) {
    case State::kReading:
      ReadRequests();
      FinishTurn();
      break;
    case State::kFinishing:
      FinishTurn();
      break;
    case State::kLingering:
      Linger();
      break;
    case State::kStreaming:
      PumpStream();
      break;
    case State::kHandshake:
    case State::kDeferred:
    case State::kClosed:
      break;
  }
}

bool HttpConnection::Handshake() {
  const ssize_t outcome = tls_->Handshake();
  if (outcome == HttpTlsSession::kAgain) return false;
  if (outcome != 1) {
    loop_->counts().bad_requests.Add(1);
    Close();
    return false;
  }
  state_ = State::kReading;
  readable_ = true;
  ArmTimer();
  return true;
}

void HttpConnection::ReadRequests() {
  int budget = kRequestsPerTurn;
  int reads = kReadsPerTurn;
  bool parse = input_ != nullptr && input_->unparsed() > 0;
  while (state_ == State::kReading && backlog_ == nullptr) {
    if (!parse) {
      if (readable_ && reads-- == 0) return loop_->Again(this);
      if (!Receive()) return;
    }
    parse = true;
    switch (input_->Parse()) {
      case HttpRequestParser::Step::kMore:
        parse = false;
        if (spool_ != nullptr && !StoreBody()) return;
        if (input_->expects_continue() && input_->in_body() && !continued_) {
          continued_ = true;
          if (input_->body_received() == 0) {
            loop_->out().Append("HTTP/1.1 100 Continue\r\n\r\n");
            Flush(nullptr);
          }
        }
        break;
      case HttpRequestParser::Step::kHead:
        PlanBody();
        break;
      case HttpRequestParser::Step::kRequest:
        if (spool_ != nullptr && !StoreBody()) return;
        HandleRequest();
        if (input_ == nullptr) return;  // deferred, or closed
        input_->Next();
        since_ns_ = loop_->now_ns();
        parse = !input_->empty();
        if (--budget == 0 && state_ == State::kReading) return loop_->Again(this);
        break;
      case HttpRequestParser::Step::kBad:
        return Refuse(input_->refusal().status, input_->refusal().reason);
    }
  }
}

bool HttpConnection::Receive() {
  while (readable_) {
    if (input_ == nullptr) input_ = loop_->TakeInput();
    const std::span<char> space = input_->Space();
    described_ = false;  // the buffer may have moved
    ssize_t n = 0;
    if (tls_ == nullptr) {
      n = ::recv(fd_, space.data(), space.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) n = errno == EAGAIN ? HttpTlsSession::kAgain : HttpTlsSession::kFailed;
    } else {
      n = tls_->Read(space);
    }
    if (n > 0) {
      arrived_ns_ = HttpNowNs();
      if (input_->empty()) since_ns_ = arrived_ns_;
      input_->Commit(static_cast<size_t>(n));
      loop_->counts().bytes_in.Add(n);
      // A short read has emptied the socket: the next bytes are a new edge.
      if (tls_ == nullptr && static_cast<size_t>(n) < space.size() && !peer_closed_) {
        readable_ = false;
      }
      return true;
    }
    readable_ = false;
    if (n == HttpTlsSession::kAgain) return false;
    peer_closed_ = true;
    if (n == HttpTlsSession::kFailed) {
      Close();
    } else {
      state_ = State::kFinishing;
    }
    return false;
  }
  return false;
}

void HttpConnection::DescribeRequest() {
  HttpRequest& request = loop_->request();
  input_->Describe(&request, &loop_->headers());
  request.body_file = {};
  request.remote = remote_;
  request.remote_is_loopback = loopback_;
  request.tls = tls_ != nullptr;
  request.client_subject = tls_ != nullptr ? tls_->client_subject() : std::string_view();
  described_ = true;
}

void HttpConnection::PlanBody() {
  keep_alive_ = input_->keep_alive();
  http_1_0_ = input_->http_1_0();
  is_head_ = input_->is_head();
  continued_ = false;
  since_ns_ = loop_->now_ns();  // the body's clock
  DescribeRequest();
  HttpReply& reply = loop_->reply();
  reply.Clear();
  const HttpBodyPlan plan = loop_->handler()->PlanBody(loop_->request(), &reply);
  if (plan.refuse) {
    reply.close = true;
    linger_ = true;
    return Answer(&reply);
  }
  input_->SetMaxBody(plan.max_bytes);
  if (!plan.spool_folder.empty() && input_->has_body()) {
    auto spool = HttpBodySpool::Make(plan.spool_folder);
    if (!spool.ok()) return Refuse(507, "the body cannot be stored");
    spool_ = *std::move(spool);
  }
}

bool HttpConnection::StoreBody() {
  const Status stored = spool_->Write(input_->BodyBytes());
  input_->DropBodyBytes();
  if (stored.ok()) return true;
  Refuse(507, "the body cannot be stored");
  return false;
}

void HttpConnection::HandleRequest() {
  HttpRequest& request = loop_->request();
  if (described_) {
    request.body = input_->BodyBytes();
  } else {
    DescribeRequest();
  }
  if (spool_ != nullptr) {
    request.body = {};
    request.body_file = spool_->path();
  }
  request.arrived_ns = arrived_ns_;
  loop_->counts().requests.Add(1);
  ++requests_;
  HttpReply& reply = loop_->reply();
  reply.Clear();
  if (input_->is_options_of_server()) {
    reply.status = 204;
    reply.AddHeader("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH");
    Answer(&reply);
    return spool_.reset();
  }
  const HttpOutcome outcome = loop_->handler()->Handle(request, &reply, this);
  if (link_ != nullptr) return;  // it is with somebody else
  if (outcome == HttpOutcome::kDeferred) {
    reply.Clear();
    reply.status = 500;
    loop_->handler()->DescribeRefusal(500, "the request was dropped inside the server", nullptr,
                                      &reply);
  }
  Answer(&reply);
  spool_.reset();
}

std::unique_ptr<HttpPending> HttpConnection::Defer() {
  std::unique_ptr<HttpRequestParser> rest;
  if (input_->unparsed() > 0) {
    rest = loop_->TakeInput();
    input_->MoveRestTo(rest.get());
  }
  link_ = std::make_shared<HttpPendingLink>();
  link_->connection = this;
  link_->abandoned = peer_closed_;
  loop_->counts().pending.Add(1);
  auto pending = std::make_unique<HttpPendingRequest>(loop_->mailbox(), link_, std::move(input_),
                                                      std::move(spool_), loop_->request());
  input_ = std::move(rest);
  described_ = false;
  state_ = State::kDeferred;
  return pending;
}

void HttpConnection::OnAnswer(HttpReply* reply) {
  link_.reset();
  loop_->counts().pending.Add(-1);
  if (state_ != State::kDeferred) return;
  state_ = State::kReading;
  since_ns_ = loop_->now_ns();
  Answer(reply);
  if (backlog_ != nullptr) return FinishTurn();
  Advance();
}

void HttpConnection::Refuse(int status, std::string_view reason) {
  (status == 408 ? loop_->counts().timeouts : loop_->counts().bad_requests).Add(1);
  HttpReply& reply = loop_->reply();
  reply.Clear();
  const bool head = input_ != nullptr && input_->head_read();
  if (head) DescribeRequest();  // again: the buffer may have moved
  loop_->handler()->DescribeRefusal(status, reason, head ? &loop_->request() : nullptr, &reply);
  reply.status = status;
  reply.close = true;
  linger_ = true;
  is_head_ = false;
  http_1_0_ = false;
  Answer(&reply);
  spool_.reset();
}

void HttpConnection::TurnAway(int status, std::string_view reason) {
  loop_->counts().bad_requests.Add(-1);  // not the client's fault; counted by the caller
  Refuse(status, reason);
  FinishTurn();
}

void HttpConnection::OnDrain() {
  if (state_ != State::kClosed) ArmTimer();
}

void HttpConnection::OnTimer(int64_t now_ns) {
  switch (state_) {
    case State::kDeferred:
      return ArmTimer();
    case State::kStreaming:
      if (backlog_ == nullptr) return ArmTimer();
      break;
    case State::kReading:
      break;
    case State::kHandshake:
    case State::kFinishing:
      loop_->counts().timeouts.Add(1);
      return Close();
    case State::kLingering:
    case State::kClosed:
      return Close();
  }
  if (backlog_ != nullptr) {
    loop_->counts().timeouts.Add(1);
    return Close();
  }
  if (input_ == nullptr || input_->empty()) return Finish();
  ArmTimer();
  if (deadline_ns > now_ns) return;  // the body comes fast enough
  Refuse(408, "the request did not come in time");
  FinishTurn();
}

}  // namespace slipway
