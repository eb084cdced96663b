#include "slipway/http/pending.h"

#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

namespace slipway {

HttpMailbox::HttpMailbox() : event_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

HttpMailbox::~HttpMailbox() {
  if (event_fd_ >= 0) ::close(event_fd_);
}

void HttpMailbox::Wake() const {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the loop is awake.
  [[maybe_unused]] const ssize_t n = ::write(event_fd_, &one, sizeof one);
}

void HttpMailbox::Post(HttpAnswer answer) {
  bool first = false;
  {
    MutexLock lock(mutex_);
    first = answers_.empty();
    answers_.push_back(std::move(answer));
  }
  if (first) Wake();
}

void HttpMailbox::Take(std::vector<HttpAnswer>* answers) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(event_fd_, &count, sizeof count);
  answers->clear();
  MutexLock lock(mutex_);
  std::swap(*answers, answers_);
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
      request_(base) {
  input_->Describe(&request_, &headers_);
  if (spool_ != nullptr) {
    request_.body = {};
    request_.body_file = spool_->path();
  }
  request_.remote = remote_;
  request_.client_subject = client_subject_;
}

HttpPendingRequest::~HttpPendingRequest() {
  if (sent_) return;
  reply_.Clear();
  reply_.status = 500;
  reply_.body = R"({"message":"the request was dropped inside the server"})"
                "\n";
  Send();
}

void HttpPendingRequest::Send() {
  if (sent_) return;
  sent_ = true;
  mailbox_->Post({link_, std::move(reply_)});
}

}  // namespace slipway
