// API keys of the node: HOME/keys.json (0600) holds SHA-256 of random 256-bit secrets, never the
// secrets; HOME/admin.key (0600) is made at first start. Durable before acknowledged.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/mutex.h"
#include "slipway/base/result.h"

namespace slipway {

struct ApiKey {
  std::string id, label, description, created_by, created_at;
  int64_t expires_at = 0;             // seconds since 1970; 0: never
  std::vector<std::string> services;  // scores these; empty: every service
  bool admin = false;                 // also opens the admin API
};
bool KeyAllows(const ApiKey& key, std::string_view service);

struct NewApiKey {
  ApiKey key;
  std::string secret;  // shown once
};

// Thread-safe.
class KeyStore {
 public:
  // Makes HOME/admin.key when there is none.
  static Result<std::unique_ptr<KeyStore>> Open(const std::string& home);
  virtual ~KeyStore() = default;

  virtual Result<NewApiKey> Create(ApiKey key) = 0;  // fills id and created_at
  virtual std::vector<ApiKey> List() const = 0;
  virtual Status DeleteById(std::string_view id) = 0;
  virtual Status DeleteBySecret(std::string_view secret) = 0;

  // The key of a secret (`now`: seconds since 1970), else nullopt; what it may score is
  // KeyAllows's. Constant time in the secret. Cheap enough for every request (about a microsecond).
  virtual std::optional<ApiKey> Find(std::string_view secret, int64_t now) const = 0;
  // Whether it is the secret of a key that has expired, for whoever holds it.
  virtual bool HasExpired(std::string_view secret, int64_t now) const = 0;
  // HOME/admin.key, or a key with `admin` that has not expired.
  virtual bool IsAdmin(std::string_view secret) const = 0;
  // Changes with every change of the keys: what callers remember of Find is then stale.
  virtual uint64_t version() const = 0;
};

}  // namespace slipway
