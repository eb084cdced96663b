// Fetches a small document from a URL that the configuration names, for background threads: it
// blocks. No redirects, no proxies, no cookies; bounded in size and time.
#pragma once

#include <string>
#include <string_view>

#include "slipway/base/result.h"

namespace slipway {

struct FetchOptions {
  std::string ca_file;  // PEM; empty: the system's
  size_t max_bytes = size_t{1} << 20;
  double seconds = 10;  // for all of it, besides the look-up of the name
};

// "http(s)://HOST[:PORT]/PATH[?QUERY]".
struct FetchUrl {
  bool tls = false;
  std::string host, port, target;
  std::string host_header;  // HOST[:PORT] as written
};
// Plain HTTP is for loopback alone: keys that come from elsewhere unprotected prove nothing.
Result<FetchUrl> ParseFetchUrl(std::string_view url);

// The body of a 200 answer. kUnavailable: everything else, with the reason.
Result<std::string> FetchDocument(const FetchUrl& url, const FetchOptions& options);

}  // namespace slipway
