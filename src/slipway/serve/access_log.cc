#include "slipway/serve/access_log.h"

#include <chrono>
#include <cmath>
#include <string>
#include <utility>

#include "slipway/base/clock.h"
#include "slipway/base/secret.h"
#include "slipway/http/url.h"
#include "slipway/serve/admin_log.h"
#include "slipway/serve/log.h"

namespace slipway {
namespace {

class AccessPending : public HttpPending {
 public:
  AccessPending(const NodeParts* parts, std::unique_ptr<HttpPending> pending)
      : parts_(parts), pending_(std::move(pending)) {}
  const HttpRequest& request() const override { return pending_->request(); }
  HttpReply* reply() override { return pending_->reply(); }
  bool abandoned() const override { return pending_->abandoned(); }
  // Before it is sent: then the reply is the connection's, and what reads the log after the answer
  // finds its line.
  void Send() override {
    LogAccess(*parts_, &request(), *reply());
    pending_->Send();
  }
  std::shared_ptr<HttpStream> SendStream() override {
    LogAccess(*parts_, &request(), *reply());
    return pending_->SendStream();
  }

 private:
  const NodeParts* parts_;
  std::unique_ptr<HttpPending> pending_;
};

// The label or id of the key, the subject of the certificate; empty: nobody that is known.
std::string CallerOf(const NodeParts& parts, const HttpRequest& request) {
  const std::string secret = SecretOfAuthorization(request.Header("authorization"));
  if (const auto key = parts.keys->Find(secret, NowMicros() / 1'000'000))
    return key->label.empty() ? key->id : key->label;
  if (parts.keys->IsAdmin(secret)) return "admin";
  return std::string(request.client_subject);
}

std::string_view RequestIdOf(const HttpRequest* request, const HttpReply& reply) {
  constexpr std::string_view kName = "X-Request-Id: ";
  const std::string_view headers = reply.headers;
  if (const size_t at = headers.find(kName); at != std::string_view::npos) {
    const size_t begin = at + kName.size();
    return headers.substr(begin, headers.find('\r', begin) - begin);
  }
  return request == nullptr ? std::string_view() : request->Header("x-request-id").substr(0, 200);
}

double MillisecondsOf(const HttpRequest& request) {
  if (request.arrived_ns == 0) return 0;  // refused before it was whole
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
  return std::round(static_cast<double>(now.count() - request.arrived_ns) / 1e3) / 1e3;
}

}  // namespace

void LogAccess(const NodeParts& parts, const HttpRequest* request, const HttpReply& reply) {
  if (request == nullptr) {
    LogInfo("request", {{"status", reply.status}, {"request_id", RequestIdOf(nullptr, reply)}});
    return;
  }
  LogInfo("request", {{"method", request->method.substr(0, 20)},
                      {"path", LoggedPath(PercentDecode(request->path, false))},
                      {"status", reply.status},
                      {"milliseconds", MillisecondsOf(*request)},
                      {"request_id", RequestIdOf(request, reply)},
                      {"key", CallerOf(parts, *request)},
                      {"remote", request->remote}});
}

std::unique_ptr<HttpPending> AccessExchange::Defer() {
  return std::make_unique<AccessPending>(parts_, exchange_->Defer());
}

}  // namespace slipway
