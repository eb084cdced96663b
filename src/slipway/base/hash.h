// Hashes: SHA-256 (libsodium) for content addresses and integrity, XXH3 (xxHash) for speed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "slipway/base/result.h"

namespace slipway {

// Lower-case hex, 64 characters.
std::string Sha256Hex(std::string_view bytes);
// Of a file's content, streamed.
Result<std::string> Sha256HexOfFile(const std::string& path);

// Incremental SHA-256. Confined to one thread.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;
  void Update(std::string_view bytes);
  std::string Hex();  // ends it

 private:
  void* state_;
};

// 64-bit XXH3 with a seed: stable across machines and releases.
uint64_t Xxh3(std::string_view bytes, uint64_t seed = 0);
// 128-bit XXH3 as 32 hex characters.
std::string Xxh3Hex128(std::string_view bytes);

// Incremental 128-bit XXH3. Confined to one thread.
class Xxh3Stream {
 public:
  Xxh3Stream();
  ~Xxh3Stream();
  Xxh3Stream(const Xxh3Stream&) = delete;
  Xxh3Stream& operator=(const Xxh3Stream&) = delete;
  void Update(std::string_view bytes);
  std::string Hex() const;

 private:
  void* state_;
};

// A random identifier of 20 lower-case letters and digits, from the system's generator.
std::string RandomId();

}  // namespace slipway
