#include "slipway/package/part_hash.h"

#include <sodium.h>

namespace slipway {

struct PartHash::State {
  crypto_hash_sha256_state sha256;
};

PartHash::PartHash() : state_(std::make_unique<State>()) {
  crypto_hash_sha256_init(&state_->sha256);
}

PartHash::~PartHash() = default;

void PartHash::Update(std::string_view bytes) {
  crypto_hash_sha256_update(&state_->sha256, reinterpret_cast<const unsigned char*>(bytes.data()),
                            bytes.size());
}

std::string PartHash::Hex() {
  unsigned char digest[crypto_hash_sha256_BYTES];
  crypto_hash_sha256_final(&state_->sha256, digest);
  char hex[sizeof digest * 2 + 1];
  sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
  return hex;
}

}  // namespace slipway
