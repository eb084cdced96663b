// Secrets: passwords as argon2id hashes, tokens from the system's generator. Thread-safe: at most
// one password is hashed at a time, so that its memory (32 MiB) is bounded whatever comes in.
#pragma once

#include <string>
#include <string_view>

#include "slipway/base/result.h"

namespace slipway {

// The self-describing "$argon2id$..." text (libsodium; 32 MiB, 3 passes).
Result<std::string> HashPassword(std::string_view password);
// Also takes its time for a text that is no hash, so that an unknown name is not told by it.
bool VerifyPassword(std::string_view password, const std::string& hash);

// PREFIX and 43 URL-safe characters: 256 random bits. Such a token needs no slow hash: what is
// stored of it is its SHA-256.
std::string NewToken(std::string_view prefix);
// Equal, in a time that does not depend on where they differ.
bool SameSecret(std::string_view a, std::string_view b);

// The secret of an Authorization header: Basic (the user; the password is ignored) or Bearer; empty
// when there is none or it is malformed.
std::string SecretOfAuthorization(std::string_view header);

}  // namespace slipway
