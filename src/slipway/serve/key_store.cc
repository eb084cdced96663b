#include "slipway/serve/key_store.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>

#include <sodium.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr int kKeysFormat = 1;
constexpr size_t kMaxSecret = 256;

using Digest = std::array<unsigned char, crypto_hash_sha256_BYTES>;

Digest HashSecret(std::string_view secret) {
  Digest digest;
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(secret.data()),
                     secret.size());
  return digest;
}

std::string ToHex(const Digest& digest) {
  std::string out(digest.size() * 2 + 1, '\0');
  sodium_bin2hex(out.data(), out.size(), digest.data(), digest.size());
  out.pop_back();
  return out;
}

Result<Digest> FromHex(const std::string& hex) {
  Digest digest;
  size_t length = 0;
  if (hex.size() != digest.size() * 2 ||
      sodium_hex2bin(digest.data(), digest.size(), hex.data(), hex.size(), nullptr, &length,
                     nullptr) != 0 ||
      length != digest.size())
    return Corruption("a key's hash is not 64 hex digits");
  return digest;
}

// 256 bits, with a prefix by which secret scanners and people know it.
std::string NewSecret() {
  unsigned char bytes[32];
  randombytes_buf(bytes, sizeof bytes);
  char text[64];
  sodium_bin2base64(text, sizeof text, bytes, sizeof bytes,
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  return std::string("swk_") + text;
}

struct StoredKey {
  ApiKey key;
  Digest hash{};
};

Json KeyToJson(const StoredKey& stored) {
  const ApiKey& key = stored.key;
  return {{"id", key.id},
          {"label", key.label},
          {"description", key.description},
          {"created_by", key.created_by},
          {"created_at", key.created_at},
          {"expires_at", key.expires_at},
          {"services", key.services},
          {"admin", key.admin},
          {"sha256", ToHex(stored.hash)}};
}

Result<StoredKey> KeyFromJson(const Json& json) {
  StoredKey stored;
  ApiKey& key = stored.key;
  ASSIGN_OR_RETURN(key.id, GetString(json, "id"));
  ASSIGN_OR_RETURN(key.label, GetString(json, "label"));
  ASSIGN_OR_RETURN(key.description, GetString(json, "description"));
  ASSIGN_OR_RETURN(key.created_by, GetString(json, "created_by"));
  ASSIGN_OR_RETURN(key.created_at, GetString(json, "created_at"));
  ASSIGN_OR_RETURN(key.expires_at, GetInt(json, "expires_at"));
  ASSIGN_OR_RETURN(key.services, GetStrings(json, "services"));
  ASSIGN_OR_RETURN(key.admin, GetBool(json, "admin"));
  ASSIGN_OR_RETURN(const std::string hex, GetString(json, "sha256"));
  ASSIGN_OR_RETURN(stored.hash, FromHex(hex));
  return stored;
}

// The table that Find reads: by hash. A secret's hash tells nothing about the secret, so looking it
// up in an ordered map leaks nothing worth having; the last comparison is constant in time anyhow.
struct TableKey {
  ApiKey key;
  int64_t order = 0;  // in the file: as they were made
};
using KeyTable = std::map<Digest, TableKey>;

std::vector<std::pair<Digest, TableKey>> InOrder(const KeyTable& table) {
  std::vector<std::pair<Digest, TableKey>> out(table.begin(), table.end());
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.second.order < b.second.order; });
  return out;
}

class KeyStoreImpl : public KeyStore {
 public:
  explicit KeyStoreImpl(const std::string& home)
      : keys_path_(JoinPath(home, "keys.json")), admin_path_(JoinPath(home, "admin.key")) {}

  Status Start() EXCLUDES_LOCK(mutex_) {
    if (sodium_init() < 0) return Internal("libsodium cannot be initialised");
    if (!PathExists(admin_path_))
      RETURN_IF_ERROR(WriteFileAtomic(admin_path_, NewSecret() + "\n", 0600));
    ASSIGN_OR_RETURN(const std::string text, ReadFile(admin_path_, 4096));
    const std::string_view secret = Trim(text);
    if (secret.size() < 16)
      return InvalidArgument("'" + admin_path_ + "' holds no key: it has fewer than 16 characters",
                             "remove the file and start again: a new key is made");
    admin_ = HashSecret(secret);
    if (!PathExists(keys_path_)) return {};
    ASSIGN_OR_RETURN(const std::string keys, ReadFile(keys_path_));
    if (Status status = Read(keys); !status.ok()) {
      Error error = Corruption(status.error().message).Within(keys_path_);
      error.hint = "restore it from a backup of the home, or remove it and make new keys";
      return error;
    }
    return {};
  }

  Result<NewApiKey> Create(ApiKey key) override EXCLUDES_LOCK(mutex_) {
    for (const std::string& service : key.services) {
      if (!IsValidName(service))
        return InvalidArgument("'" + service.substr(0, 200) + "' is no service's id");
    }
    for (const std::string* text : {&key.label, &key.description, &key.created_by}) {
      if (text->size() > 1000) return InvalidArgument("a key's texts have at most 1000 bytes each");
    }
    if (key.expires_at < 0) return InvalidArgument("a key cannot expire before 1970");
    NewApiKey out;
    out.secret = NewSecret();
    key.id = RandomId();
    key.created_at = NowText();
    const Digest hash = HashSecret(out.secret);
    MutexLock change(change_mutex_);
    KeyTable next = *Table();
    if (next.size() >= 100'000)
      return Conflict("this node has 100000 keys", "delete some that are not used any more");
    const auto ordered = InOrder(next);
    next[hash] = {key, ordered.empty() ? 0 : ordered.back().second.order + 1};
    RETURN_IF_ERROR(Install(std::move(next)));
    out.key = std::move(key);
    return out;
  }

  std::vector<ApiKey> List() const override {
    std::vector<ApiKey> out;
    for (auto& [hash, each] : InOrder(*Table())) out.push_back(std::move(each.key));
    return out;
  }

  Status DeleteById(std::string_view id) override {
    MutexLock change(change_mutex_);
    KeyTable next = *Table();
    if (std::erase_if(next, [&](const auto& each) { return each.second.key.id == id; }) == 0)
      // Without the id: whoever takes a key for its id must not find it in a log.
      return NotFound("there is no key with this id",
                      "`admin-keys-list` shows the ids of all keys");
    return Install(std::move(next));
  }

  Status DeleteBySecret(std::string_view secret) override {
    MutexLock change(change_mutex_);
    KeyTable next = *Table();
    if (next.erase(HashSecret(secret)) == 0)
      return NotFound("this node has no such key", "`admin-keys-list` shows the ids of all keys");
    return Install(std::move(next));
  }

  std::optional<ApiKey> Find(std::string_view secret, int64_t now) const override {
    std::optional<ApiKey> key = FindAtAnyTime(secret);
    if (key && key->expires_at != 0 && now >= key->expires_at) key.reset();
    return key;
  }

  bool HasExpired(std::string_view secret, int64_t now) const override {
    const std::optional<ApiKey> key = FindAtAnyTime(secret);
    return key && key->expires_at != 0 && now >= key->expires_at;
  }

  bool IsAdmin(std::string_view secret) const override {
    if (secret.empty() || secret.size() > kMaxSecret) return false;
    const Digest hash = HashSecret(secret);
    if (sodium_memcmp(hash.data(), admin_.data(), hash.size()) == 0) return true;
    const std::optional<ApiKey> key = Find(secret, NowMicros() / 1'000'000);
    return key && key->admin;
  }

  uint64_t version() const override { return version_.load(std::memory_order_acquire); }

 private:
  std::optional<ApiKey> FindAtAnyTime(std::string_view secret) const {
    if (secret.empty() || secret.size() > kMaxSecret) return std::nullopt;
    const std::shared_ptr<const KeyTable> table = Table();
    const Digest hash = HashSecret(secret);
    const auto at = table->find(hash);
    if (at == table->end() || sodium_memcmp(at->first.data(), hash.data(), hash.size()) != 0)
      return std::nullopt;
    return at->second.key;
  }

  std::shared_ptr<const KeyTable> Table() const EXCLUDES_LOCK(mutex_) {
    MutexLock lock(mutex_);
    return table_;
  }

  Status Read(const std::string& text) EXCLUDES_LOCK(mutex_) {
    ASSIGN_OR_RETURN(const Json json, ParseJson(text));
    ASSIGN_OR_RETURN(const int64_t format, GetInt(json, "format"));
    if (format != kKeysFormat)
      return Corruption("its format is " + std::to_string(format) + ", this node reads " +
                        std::to_string(kKeysFormat));
    ASSIGN_OR_RETURN(const Json* list, GetArray(json, "keys"));
    KeyTable table;
    for (const Json& each : *list) {
      ASSIGN_OR_RETURN(StoredKey stored, KeyFromJson(each));
      const int64_t order = static_cast<int64_t>(table.size());
      table[stored.hash] = {std::move(stored.key), order};
    }
    MutexLock lock(mutex_);
    table_ = std::make_shared<const KeyTable>(std::move(table));
    return {};
  }

  // Durable, then true.
  Status Install(KeyTable next) EXCLUDES_LOCK(mutex_) {
    Json list = Json::array();
    for (const auto& [hash, each] : InOrder(next)) list.push_back(KeyToJson({each.key, hash}));
    RETURN_IF_ERROR(WriteFileAtomic(
        keys_path_, DumpJson({{"format", kKeysFormat}, {"keys", std::move(list)}}, 1) + "\n",
        0600));
    MutexLock lock(mutex_);
    table_ = std::make_shared<const KeyTable>(std::move(next));
    version_.fetch_add(1, std::memory_order_release);
    return {};
  }

  const std::string keys_path_, admin_path_;
  Digest admin_{};
  std::atomic<uint64_t> version_{1};
  Mutex change_mutex_;  // one change at a time; held over the write
  mutable Mutex mutex_;
  std::shared_ptr<const KeyTable> table_ GUARDED_BY(mutex_) = std::make_shared<KeyTable>();
};

}  // namespace

Result<std::unique_ptr<KeyStore>> KeyStore::Open(const std::string& home) {
  auto store = std::make_unique<KeyStoreImpl>(home);
  RETURN_IF_ERROR(store->Start());
  return std::unique_ptr<KeyStore>(std::move(store));
}

bool KeyAllows(const ApiKey& key, std::string_view service) {
  return key.services.empty() ||
         std::find(key.services.begin(), key.services.end(), service) != key.services.end();
}

}  // namespace slipway
