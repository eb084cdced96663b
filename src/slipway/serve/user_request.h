// What a user API request says outside its body: the route, the headers that count, who asks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "slipway/base/json.h"
#include "slipway/http/server.h"
#include "slipway/serve/endpoint.h"
#include "slipway/serve/jwt.h"
#include "slipway/serve/key_store.h"
#include "slipway/serve/rate_limit.h"
#include "slipway/serve/service_table.h"

namespace slipway {

// /public/api/v1/SERVICE/ENDPOINT/VERB, or SERVICE/openapi.json.
struct UserRoute {
  std::string_view service, endpoint, verb_name;
  Verb verb = Verb::kPredict;
  bool known_verb = false;
  bool openapi = false;
};
// REQUIRES: the path begins with /public/api/v1/.
UserRoute ParseUserRoute(std::string_view path);
std::string_view VerbText(Verb verb);  // "predict-multi"

struct UserHeaders {
  std::string_view authorization, request_id, trace_parent, content_encoding;
  std::string_view trace_state;  // means something beside a trace_parent only
  std::string_view trace_id() const {
    return trace_parent.empty() ? std::string_view() : trace_parent.substr(3, 32);
  }
};
// One pass over the headers. A request id, traceparent or tracestate that is not well-formed is
// left out; so is a tracestate in several lines.
UserHeaders ReadUserHeaders(const HttpRequest& request);
// What a 401 carries: how callers say who they are.
void AddAuthenticateHeaders(HttpReply* reply);
// The caller's W3C trace context is answered as it came.
void AddTraceContext(const UserHeaders& headers, HttpReply* reply);

// "0af7651916cd43dd": unique enough to find a request in logs. Confined to one thread.
class RequestIds {
 public:
  explicit RequestIds(uint64_t seed) : state_(seed) {}
  std::string_view Next();
  double Random();  // in [0, 1)

 private:
  uint64_t Mix();
  uint64_t state_;
  char text_[16] = {};
};

struct UserAccess {
  int status = 200;         // 401, 403 or (no keys of tokens yet) 503: refused
  bool by_secret = false;   // by a key or token that is known, not for want of a rule
  std::string_view label;   // of the key, token or certificate; good until the next call
  std::string_view reason;  // why refused
  std::string_view hint;
};

// Whether a service asks for a key or token: its setting; else the stricter of what its mapped
// generations say and of the node's rule (`open`: it asks for none). One without traffic, loaded to
// be looked at or as the shadow, speaks only for requests that force it: MayUse.
bool ServiceNeedsKey(const ServedService& service, bool open);
// The same of one endpoint.
bool EndpointNeedsKey(const ServedService& service, std::string_view endpoint, bool open);

// That rule as OpenAPI writes it: a list of what is enough, {} among them when nothing is asked.
// "" is the service.
Json EndpointSecurity(const ServedService& service, std::string_view endpoint, bool open);

// Who may call a service: API keys, tokens of an identity provider, certificates of clients.
// Remembers the last header it saw. Confined to one thread.
class UserGate {
 public:
  // `tokens`, `rates`: nullptr: there are none.
  UserGate(const KeyStore* keys, bool open, JwtVerifier* tokens = nullptr,
           RateLimiter* rates = nullptr)
      : keys_(keys), open_(open), tokens_(tokens), rates_(rates) {}
  // `client_subject`: of a verified certificate; it is enough where the service does not ask for
  // something else.
  // `rules`: of the service's endpoint that is called, or RulesOf("").
  UserAccess Check(const ServedService& service, const CallRules& rules,
                   std::string_view authorization, std::string_view client_subject = {});
  // After Check let the request in: whether this generation may answer it.
  static bool MayUse(const ServedGeneration& generation, const CallRules& rules,
                     const UserAccess& access);
  // After Check let the request in: 0, or the whole seconds after which the caller (its label, else
  // its address) may come again.
  int SecondsToWait(const CallRules& rules, const UserAccess& access, std::string_view remote,
                    int64_t now_ns);

 private:
  UserAccess CheckToken(std::string_view authorization);
  UserAccess CheckKey(const ServedService& service, const std::string& auth,
                      std::string_view authorization);

  const KeyStore* keys_;
  const bool open_;  // the node's own rule for services that do not say
  JwtVerifier* tokens_;
  RateLimiter* rates_;
  std::shared_ptr<const JwtCaller> caller_;  // keeps the last label
  std::string reason_;
  std::string header_;
  std::optional<ApiKey> key_;
  uint64_t version_ = ~uint64_t{0};
};

// Content codings, in any case (RFC 9110 8.4.1); "" and "identity" are none, x-gzip is gzip.
bool IsIdentityCoding(std::string_view coding);
bool IsGzipCoding(std::string_view coding);
bool IsDeflateCoding(std::string_view coding);

// A gzip (of one or several members) or zlib body, inflated into *out with kHttpPadding bytes
// behind; at most `most` bytes.
Result<std::string_view> InflateBody(std::string_view body, size_t most, std::string* out);

}  // namespace slipway
