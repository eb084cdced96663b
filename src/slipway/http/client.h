// An outbound HTTP/1.1 client over libcurl, which is loaded when the first request is sent:
// programs that send none neither need it nor start more slowly. Blocks its caller.
//
// http and https only. No proxies, cookies, .netrc or other settings of the environment. A redirect
// is an answer like any other unless the call follows some, and then only within the same scheme,
// host and port: what is sent to one host is never sent to another. Everything is bounded: the time
// to connect, the time in all, the bytes of the head and of the body.
//
// HttpClient is thread-safe: each Send takes a handle of its own out of a small pool, so that
// connections are used again. Errors name the method and the URL without its query, never a header
// or a body.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slipway/base/mutex.h"
#include "slipway/base/result.h"

namespace slipway {

struct HttpClientOptions {
  double connect_seconds = 5;              // the name, the connection and TLS
  double total_seconds = 60;               // of one request; 0: no limit
  std::string ca_file;                     // PEM; empty: the system's
  std::string certificate_file, key_file;  // PEM; shown to the server when not empty
  bool insecure = false;                   // take any certificate
  // Refuses to connect to loopback, link-local, private and other addresses that are not public:
  // for URLs that strangers gave. It looks at the address that is connected to, not at the name.
  bool public_addresses_only = false;
  std::string user_agent = "slipway";
};

struct HttpCall {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string_view body;  // must live until Send returns
  std::string body_file;  // instead of `body`: sent from this file

  // Where the body of a 2xx answer goes: to HttpAnswer::body unless one of these is set. The body
  // of any other answer is always in HttpAnswer::body.
  std::string answer_file;                               // made 0600, there only when it is whole
  std::function<bool(std::string_view bytes)> on_bytes;  // false ends the request (kCancelled)
  size_t max_answer_bytes = size_t{64} << 20;            // 0: no limit

  double total_seconds = -1;                  // instead of the client's; 0: no limit
  double idle_seconds = 0;                    // ends it when nothing came for so long; 0: no limit
  int redirects = 0;                          // of GET and HEAD, followed within the same origin
  const std::atomic<bool>* cancel = nullptr;  // set: kCancelled, within about a second
};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // lower-case names; the last of several
  std::string body;
  int64_t bytes = 0;  // of the body, wherever it went
  bool ok() const { return status >= 200 && status < 300; }
  // "" when absent.
  std::string Header(const std::string& lower_case_name) const;
};

class HttpClient {
 public:
  explicit HttpClient(HttpClientOptions options = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Any answer, whatever its status, is no error. kInvalidArgument: the call makes no sense;
  // kUnavailable: no connection, no TLS, a broken or too large answer, or libcurl is missing;
  // kDeadlineExceeded; kCancelled; kPermissionDenied: an address or a redirect that is not allowed.
  Result<HttpAnswer> Send(const HttpCall& call);
  const HttpClientOptions& options() const { return options_; }

 private:
  struct Exchange;
  Result<HttpAnswer> SendOnce(void* handle, const HttpCall& call, const std::string& url,
                              bool follow, std::string* next);

  const HttpClientOptions options_;
  Mutex mutex_;
  std::vector<void*> idle_ GUARDED_BY(mutex_);
};

// Whether the address ("10.0.0.7", "::1", "::ffff:127.0.0.1") is one of the public internet.
bool IsPublicAddress(std::string_view address);

// "Basic ..." (RFC 7617).
std::string BasicAuthorization(std::string_view user, std::string_view password = "");
// Percent-encodes all but RFC 3986's unreserved characters, also '/'.
std::string UrlEncode(std::string_view text);

}  // namespace slipway
