#include "slipway/base/secret.h"

#include <sodium.h>

#include "slipway/base/mutex.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr unsigned long long kPasses = 3;
constexpr size_t kMemoryBytes = size_t{32} << 20;
constexpr size_t kMaxPasswordBytes = 1024;

Mutex g_hashing;  // one at a time

bool Ready() {
  static const bool ready = sodium_init() >= 0;
  return ready;
}

}  // namespace

Result<std::string> HashPassword(std::string_view password) {
  if (!Ready()) return Internal("libsodium cannot be set up");
  if (password.size() < 10) {
    return InvalidArgument("the password is too short", "at least 10 characters");
  }
  if (password.size() > kMaxPasswordBytes) {
    return InvalidArgument("the password is too long", "at most 1,024 bytes");
  }
  char hash[crypto_pwhash_STRBYTES] = {};
  MutexLock lock(g_hashing);
  if (crypto_pwhash_str_alg(hash, password.data(), password.size(), kPasses, kMemoryBytes,
                            crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return Unavailable("there is no memory to hash a password");
  }
  return std::string(hash);
}

bool VerifyPassword(std::string_view password, const std::string& hash) {
  if (!Ready() || password.size() > kMaxPasswordBytes) return false;
  MutexLock lock(g_hashing);
  if (hash.starts_with("$argon2id$")) {
    return crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0;
  }
  char wasted[crypto_pwhash_STRBYTES] = {};
  [[maybe_unused]] const int done =
      crypto_pwhash_str_alg(wasted, password.data(), password.size(), kPasses, kMemoryBytes,
                            crypto_pwhash_ALG_ARGON2ID13);
  return false;
}

std::string NewToken(std::string_view prefix) {
  unsigned char bytes[32];
  (void)Ready();
  randombytes_buf(bytes, sizeof bytes);
  char text[64] = {};
  sodium_bin2base64(text, sizeof text, bytes, sizeof bytes,
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  return std::string(prefix) + text;
}

bool SameSecret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string SecretOfAuthorization(std::string_view header) {
  const size_t blank = header.find(' ');
  if (blank == std::string_view::npos) return "";
  const std::string scheme = ToLower(header.substr(0, blank));
  const std::string_view value = Trim(header.substr(blank));
  if (value.empty() || value.size() > 4096) return "";
  if (scheme == "bearer") {
    return value.find(' ') == std::string_view::npos ? std::string(value) : "";
  }
  if (scheme != "basic") return "";
  std::string decoded(value.size(), '\0');
  size_t length = 0;
  const char* end = nullptr;
  // Padded or not: clients do both.
  for (int variant : {sodium_base64_VARIANT_ORIGINAL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING}) {
    if (sodium_base642bin(reinterpret_cast<unsigned char*>(decoded.data()), decoded.size(),
                          value.data(), value.size(), nullptr, &length, &end, variant) == 0 &&
        end == value.data() + value.size()) {
      decoded.resize(length);
      return decoded.substr(0, decoded.find(':'));
    }
  }
  return "";
}

}  // namespace slipway
