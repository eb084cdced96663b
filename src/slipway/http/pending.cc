#include "slipway/http/pending.h"

#include <new>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

namespace slipway {

HttpMailbox::HttpMailbox() : event_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

HttpMailbox::~HttpMailbox() {
  while (Next() != nullptr) {
  }
  if (event_fd_ >= 0) ::close(event_fd_);
}

void HttpMailbox::Wake() const {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the loop is awake.
  [[maybe_unused]] const ssize_t n = ::write(event_fd_, &one, sizeof one);
}

void HttpMailbox::Post(std::unique_ptr<HttpAnswer> answer) {
  bool first = false;
  {
    MutexLock lock(mutex_);
    first = first_ == nullptr;
    HttpAnswer* const last = std::exchange(last_, answer.release());
    (first ? first_ : last->next) = last_;
  }
  if (first) Wake();
}

void HttpMailbox::BeginTaking() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(event_fd_, &count, sizeof count);
}

std::unique_ptr<HttpAnswer> HttpMailbox::Next() {
  MutexLock lock(mutex_);
  std::unique_ptr<HttpAnswer> answer(first_);
  if (answer != nullptr) first_ = answer->next;
  return answer;
}

HttpPendingRequest::HttpPendingRequest(std::shared_ptr<HttpMailbox> mailbox,
                                       std::shared_ptr<HttpPendingLink> link,
                                       std::unique_ptr<HttpRequestParser> input,
                                       std::unique_ptr<HttpBodySpool> spool,
                                       const HttpRequest& base)
    : mailbox_(std::move(mailbox)),
      link_(std::move(link)),
      input_(std::move(input)),
      spool_(std::move(spool)),
      remote_(base.remote),
      client_subject_(base.client_subject),
      request_(base),
      answer_(std::make_unique<HttpAnswer>()) {
  answer_->link = link_;
  input_->Describe(&request_, &headers_);
  if (spool_ != nullptr) {
    request_.body = {};
    request_.body_file = spool_->path();
  }
  request_.remote = remote_;
  request_.client_subject = client_subject_;
}

HttpPendingRequest::~HttpPendingRequest() {
  if (answer_ == nullptr) return;
  HttpReply& reply = answer_->reply;
  reply.Clear();
  reply.status = 500;
  try {
    reply.body = R"({"message":"the request was dropped inside the server"})"
                 "\n";
  } catch (const std::bad_alloc&) {  // the status says it too
  }
  Send();
}

void HttpPendingRequest::Send() {
  if (answer_ != nullptr) mailbox_->Post(std::move(answer_));
}

}  // namespace slipway
