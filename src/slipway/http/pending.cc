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

void HttpMailbox::Post(std::unique_ptr<HttpLetter> answer) {
  bool first = false;
  {
    MutexLock lock(mutex_);
    first = first_ == nullptr;
    HttpLetter* const last = std::exchange(last_, answer.release());
    (first ? first_ : last->next) = last_;
  }
  if (first) Wake();
}

void HttpMailbox::BeginTaking() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(event_fd_, &count, sizeof count);
}

std::unique_ptr<HttpLetter> HttpMailbox::Next() {
  MutexLock lock(mutex_);
  std::unique_ptr<HttpLetter> answer(first_);
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
      answer_(std::make_unique<HttpLetter>()) {
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
  if (answer_ == nullptr) return;
  spool_.reset();  // before the answer: whoever has it finds the file gone
  request_.body_file = {};
  mailbox_->Post(std::move(answer_));
}

bool HttpStreamBuffer::Write(std::string_view bytes, bool* wake) {
  MutexLock lock(mutex_);
  if (closed_ || ended_ || dropped_) return false;
  dropped_ = bytes_.size() + bytes.size() > kHttpStreamBytes;
  if (!dropped_) bytes_ += bytes;
  *wake = !std::exchange(told_, true);
  return !dropped_;
}

void HttpStreamBuffer::End(bool* wake) {
  MutexLock lock(mutex_);
  if (closed_ || ended_) return;
  ended_ = true;
  *wake = !std::exchange(told_, true);
}

void HttpStreamBuffer::Take(std::string* bytes, bool* ended, bool* dropped) {
  MutexLock lock(mutex_);
  bytes->clear();
  bytes->swap(bytes_);
  *ended = ended_;
  *dropped = dropped_;
  told_ = false;
}

void HttpStreamBuffer::Close() {
  MutexLock lock(mutex_);
  closed_ = true;
  std::string().swap(bytes_);
}

namespace {

class PendingStream final : public HttpStream {
 public:
  PendingStream(std::shared_ptr<HttpMailbox> mailbox, std::shared_ptr<HttpPendingLink> link,
                std::shared_ptr<HttpStreamBuffer> buffer)
      : mailbox_(std::move(mailbox)), link_(std::move(link)), buffer_(std::move(buffer)) {}
  ~PendingStream() override { End(); }
  PendingStream(const PendingStream&) = delete;
  PendingStream& operator=(const PendingStream&) = delete;

  bool Write(std::string_view bytes) override {
    bool wake = false;
    const bool alive = buffer_->Write(bytes, &wake);
    if (wake) Tell();
    return alive;
  }
  void End() override {
    bool wake = false;
    buffer_->End(&wake);
    if (wake) Tell();
  }

 private:
  void Tell() {
    auto message = std::make_unique<HttpLetter>();
    message->link = link_;
    message->more = true;
    mailbox_->Post(std::move(message));
  }
  const std::shared_ptr<HttpMailbox> mailbox_;
  const std::shared_ptr<HttpPendingLink> link_;
  const std::shared_ptr<HttpStreamBuffer> buffer_;
};

}  // namespace

std::shared_ptr<HttpStream> HttpPendingRequest::SendStream() {
  answer_->stream = std::make_shared<HttpStreamBuffer>();
  auto stream = std::make_shared<PendingStream>(mailbox_, link_, answer_->stream);
  Send();
  return stream;
}

}  // namespace slipway
