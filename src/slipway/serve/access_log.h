// One line of the log per request (log.access), for looking for faults: method, path without query,
// status, milliseconds, request id, who asked. Thread-safe. No line holds a key.
#pragma once

#include <memory>

#include "slipway/http/server.h"
#include "slipway/serve/node.h"

namespace slipway {

// `request`: nullptr when not even its head was read.
void LogAccess(const NodeParts& parts, const HttpRequest* request, const HttpReply& reply);

// A handler's exchange, with a line for what it defers; `parts` must outlive what was deferred.
class AccessExchange : public HttpExchange {
 public:
  AccessExchange(const NodeParts* parts, HttpExchange* exchange)
      : parts_(parts), exchange_(exchange) {}
  int loop() const override { return exchange_->loop(); }
  std::unique_ptr<HttpPending> Defer() override;

 private:
  const NodeParts* parts_;
  HttpExchange* exchange_;
};

}  // namespace slipway
