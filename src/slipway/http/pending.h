// Deferred answers: what leaves a loop with the request, and the box by which answers come back.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "slipway/base/mutex.h"
#include "slipway/http/body_spool.h"
#include "slipway/http/request_parser.h"
#include "slipway/http/server.h"

namespace slipway {

class HttpConnection;
class HttpMailbox;

// Between a connection and whoever holds its request.
struct HttpPendingLink {
  std::atomic<bool> abandoned = false;
  HttpConnection* connection = nullptr;  // loop's thread only; nullptr when it has gone
};

// What was written to a stream and not yet taken by its connection.
class HttpStreamBuffer {
 public:
  // False: closed, or full, which closes it. Sets `wake` when the loop has to be told.
  bool Write(std::string_view bytes, bool* wake);
  void End(bool* wake);
  // The connection's side: takes all there is; false: `dropped` means too far behind.
  void Take(std::string* bytes, bool* ended, bool* dropped);
  void Close();  // nobody reads any more

 private:
  Mutex mutex_;
  std::string bytes_ GUARDED_BY(mutex_);
  bool ended_ GUARDED_BY(mutex_) = false, closed_ GUARDED_BY(mutex_) = false,
              dropped_ GUARDED_BY(mutex_) = false;
  bool told_ GUARDED_BY(mutex_) = false;  // a message to the loop is under way
};

// Made with its request, so that posting it needs no memory.
struct HttpLetter {
  std::shared_ptr<HttpPendingLink> link;
  HttpReply reply;
  std::shared_ptr<HttpStreamBuffer> stream;  // the answer goes on
  bool more = false;                         // of a stream that has begun
  HttpLetter* next = nullptr;                // the box's list
};

// A loop's box. Thread-safe; outlives the loop as long as somebody holds a request.
class HttpMailbox {
 public:
  HttpMailbox();
  ~HttpMailbox();
  HttpMailbox(const HttpMailbox&) = delete;
  HttpMailbox& operator=(const HttpMailbox&) = delete;

  int event_fd() const { return event_fd_; }  // -1: none could be had
  void Post(std::unique_ptr<HttpLetter> answer);
  void Wake() const;
  // Empties the event; then Next gives one answer after the other, nullptr at the end.
  void BeginTaking();
  std::unique_ptr<HttpLetter> Next();

 private:
  const int event_fd_;
  Mutex mutex_;
  HttpLetter* first_ GUARDED_BY(mutex_) = nullptr;
  HttpLetter* last_ GUARDED_BY(mutex_) = nullptr;
};

class HttpPendingRequest final : public HttpPending {
 public:
  // Takes the parser with its buffer; `base` gives what is not in the buffer.
  HttpPendingRequest(std::shared_ptr<HttpMailbox> mailbox, std::shared_ptr<HttpPendingLink> link,
                     std::unique_ptr<HttpRequestParser> input, std::unique_ptr<HttpBodySpool> spool,
                     const HttpRequest& base);
  ~HttpPendingRequest() override;
  const HttpRequest& request() const override { return request_; }
  HttpReply* reply() override { return &answer_->reply; }
  bool abandoned() const override { return link_->abandoned.load(std::memory_order_relaxed); }
  void Send() override;
  std::shared_ptr<HttpStream> SendStream() override;

 private:
  const std::shared_ptr<HttpMailbox> mailbox_;
  const std::shared_ptr<HttpPendingLink> link_;
  const std::unique_ptr<HttpRequestParser> input_;
  std::unique_ptr<HttpBodySpool> spool_;
  const std::string remote_, client_subject_;
  std::vector<HttpHeader> headers_;
  HttpRequest request_;
  std::unique_ptr<HttpLetter> answer_;  // nullptr: sent
};

}  // namespace slipway
