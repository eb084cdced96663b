// Secrets: short texts that other rows refer to by id, such as admin keys of API nodes. At rest
// they are sealed with XChaCha20-Poly1305 (libsodium) under the key in HOME/secret.key (0600, made
// when the first secret is), with the row's id as associated data: a sealed text that is moved to
// another row does not open. Nothing but the caller of Open ever sees one. Thread-safe as Database
// is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "slipway/base/result.h"
#include "slipway/registry/home.h"
#include "slipway/store/database.h"

namespace slipway {

class Secrets {
 public:
  Secrets(const Home& home, Database& database) : home_(home), database_(database) {}

  // Its id.
  Result<int64_t> Put(std::string_view text);
  // kCorruption when the key or the row is not what it was.
  Result<std::string> Open(int64_t id) const;
  Status Delete(int64_t id);
  // A hash of the text that says nothing about it without the home's key. Inside a transaction: it
  // may make the key.
  Result<std::string> KeyedHash(std::string_view text) const;

 private:
  Result<std::string> Key(bool make) const;

  const Home& home_;
  Database& database_;
};

}  // namespace slipway
