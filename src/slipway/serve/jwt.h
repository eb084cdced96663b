// Bearer tokens of an identity provider (OAuth 2.0): signed JSON Web Tokens, checked with the
// provider's public keys (JWKS) from a file or a URL. docs/authentication.md.
//
// Keys from a URL are fetched on a thread of their own, again when they are older than
// cache_seconds, and when a token names a key that is not among them (at most every 30 s). A token
// that was found good is remembered until it expires or the keys change: then it costs a look-up.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

struct JwtOptions {
  std::string jwks_url, jwks_file;    // one of them; neither: tokens are not accepted
  std::string issuer;                 // the claim `iss` must be this; empty: not looked at
  std::vector<std::string> audience;  // `aud` must hold one of these; empty: not looked at
  std::vector<std::string> scopes;    // the scope claim must hold all of these
  std::string scope_claim = "scope";  // a text with blanks between, or a list
  // Who the caller is, for the query log; empty: the first of client_id, azp, sub.
  std::string client_claim;
  std::string ca_file;         // PEM, for jwks_url; empty: the system's
  double cache_seconds = 300;  // of the keys
  double leeway_seconds = 60;  // of clocks, for exp and nbf

  bool enabled() const { return !jwks_url.empty() || !jwks_file.empty(); }
};

struct JwtCaller {
  std::string label;
  int64_t expires_at = 0;  // seconds since 1970, leeway included
};

// What became of a token: `caller`, or why not with the status (401, 403 for a scope that is
// missing, 503 while there are no keys).
struct JwtCheck {
  std::shared_ptr<const JwtCaller> caller;
  int status = 200;
  std::string reason;
};

// Thread-safe; Check never blocks on the network.
class JwtVerifier {
 public:
  // kInvalidArgument: both or neither of file and URL, a URL that is none; the file's errors.
  static Result<std::unique_ptr<JwtVerifier>> Make(const JwtOptions& options);
  virtual ~JwtVerifier() = default;
  // `now`: seconds since 1970.
  virtual JwtCheck Check(std::string_view token, int64_t now) = 0;

  struct Counts {
    int64_t keys = 0, remembered = 0, fetched = 0, failed = 0;
  };
  virtual Counts counts() const = 0;
  // Waits until keys were had or a fetch has failed; for tests.
  virtual void WaitForKeys() = 0;
};

// The token of `Bearer TOKEN`; empty: it is something else.
std::string_view TokenOfAuthorization(std::string_view header);

}  // namespace slipway
