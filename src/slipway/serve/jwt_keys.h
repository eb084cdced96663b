// JSON Web Keys (RFC 7517) and the signatures of JSON Web Tokens (RFC 7515, 7518): RSA and ECDSA,
// public keys alone. Symmetric algorithms and `none` do not exist here, so a token cannot choose
// them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"

struct evp_pkey_st;

namespace slipway {

// Deletes with the function of a C library that frees such things.
template <auto Free>
struct FreeWith {
  template <typename T>
  void operator()(T* p) const {
    Free(p);
  }
};

// The algorithm of a token's header: RS256, PS384, ES512, ...; nullptr: none that we accept.
struct JwtAlgorithm;
const JwtAlgorithm* FindJwtAlgorithm(std::string_view name);

// One public key of a set. Immutable, thread-safe, cheap to copy.
class JwtKey {
 public:
  const std::string& id() const { return id_; }
  // By type, curve, and the key's own `alg`.
  bool Suits(const JwtAlgorithm& algorithm) const;
  // REQUIRES: Suits(algorithm).
  bool Verify(const JwtAlgorithm& algorithm, std::string_view signed_text,
              std::string_view signature) const;

 private:
  friend class JwtKeyReader;
  std::string id_, algorithm_, curve_;  // algorithm_ empty: any of the type; curve_ empty: RSA
  std::shared_ptr<evp_pkey_st> key_;
};

// {"keys": [..]}. Keys that are not for signatures, of other types, or too weak (RSA below 2048
// bits) are passed over; kCorruption when none is left or the text is no key set.
Result<std::vector<JwtKey>> ParseJwks(std::string_view text);

// base64url without padding, strictly; nullopt: it is none.
std::optional<std::string> DecodeBase64Url(std::string_view text);

}  // namespace slipway
