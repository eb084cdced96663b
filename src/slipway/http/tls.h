// TLS by OpenSSL 3: one context for a server, one session per connection over its socket. A context
// is immutable and thread-safe; a session is confined to its connection's thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "slipway/base/result.h"
#include "slipway/http/server.h"

struct ssl_ctx_st;
struct ssl_st;

namespace slipway {

class HttpTlsContext {
 public:
  // Errors name the file and OpenSSL's reason.
  static Result<std::shared_ptr<const HttpTlsContext>> Make(const TlsOptions& options);
  explicit HttpTlsContext(ssl_ctx_st* context) : context_(context) {}
  ~HttpTlsContext();
  HttpTlsContext(const HttpTlsContext&) = delete;
  HttpTlsContext& operator=(const HttpTlsContext&) = delete;
  ssl_ctx_st* get() const { return context_; }

 private:
  ssl_ctx_st* context_;
};

class HttpTlsSession {
 public:
  enum Outcome : ssize_t { kEnd = 0, kAgain = -1, kFailed = -2 };

  // nullptr when out of memory.
  static std::unique_ptr<HttpTlsSession> Make(const HttpTlsContext& context, int fd);
  explicit HttpTlsSession(ssl_st* ssl) : ssl_(ssl) {}
  ~HttpTlsSession();
  HttpTlsSession(const HttpTlsSession&) = delete;
  HttpTlsSession& operator=(const HttpTlsSession&) = delete;

  // 1 when done, kAgain, kFailed.
  ssize_t Handshake();
  // The bytes read or written, or an Outcome.
  ssize_t Read(std::span<char> space);
  ssize_t Write(std::string_view bytes);
  // Tells the peer that no more comes; does not wait.
  void Shutdown();
  // RFC 2253; empty without a client certificate.
  const std::string& client_subject() const { return client_subject_; }

 private:
  ssize_t Failed(int code);

  ssl_st* ssl_;
  bool broken_ = false;
  std::string client_subject_;
};

}  // namespace slipway
