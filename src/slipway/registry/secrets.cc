#include "slipway/registry/secrets.h"

#include <sodium.h>

#include "slipway/base/clock.h"
#include "slipway/base/text.h"
#include "slipway/registry/sequence.h"

namespace slipway {
namespace {

constexpr size_t kKeyBytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string ToHex(std::string_view bytes) {
  std::string out(bytes.size() * 2 + 1, '\0');
  sodium_bin2hex(out.data(), out.size(), Bytes(bytes), bytes.size());
  out.pop_back();
  return out;
}

Result<std::string> FromHex(std::string_view text) {
  std::string out(text.size() / 2, '\0');
  size_t size = 0;
  if (sodium_hex2bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(),
                     text.size(), nullptr, &size, nullptr) != 0 ||
      size * 2 != text.size())
    return Corruption("it is no hexadecimal text");
  return out;
}

std::string AssociatedData(int64_t id) { return "slipway-secret:" + std::to_string(id); }

}  // namespace

Result<std::string> Secrets::Key(bool make) const {
  if (sodium_init() < 0) return Internal("libsodium could not be initialised");
  const std::string path = home_.SecretKeyPath();
  auto text = ReadFile(path, 4096);
  if (!text.ok() && text.error().code == ErrorCode::kNotFound && make) {
    std::string key(kKeyBytes, '\0');
    randombytes_buf(key.data(), key.size());
    RETURN_IF_ERROR(WriteFileAtomic(path, ToHex(key) + "\n", 0600));
    return key;
  }
  if (!text.ok()) {
    if (text.error().code != ErrorCode::kNotFound) return std::move(text).error();
    return Corruption("the key of the home's secrets, '" + path + "', is missing",
                      "put it back from where it is kept (a backup leaves it out), or give the "
                      "secrets again");
  }
  auto key = FromHex(Trim(*text));
  if (!key.ok() || key->size() != kKeyBytes)
    return Corruption("'" + path + "' does not hold a key",
                      "put it back from where it is kept, or remove it and give the secrets again");
  return key;
}

Result<int64_t> Secrets::Put(std::string_view text) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const int64_t id, NextNumber(database_, "secret"));
  // When the key is lost, a new one is made: what was sealed with the old one stays closed.
  ASSIGN_OR_RETURN(std::string key, Key(true));
  std::string sealed(kNonceBytes + text.size() + kTagBytes, '\0');
  auto* out = reinterpret_cast<unsigned char*>(sealed.data());
  randombytes_buf(out, kNonceBytes);
  const std::string data = AssociatedData(id);
  crypto_aead_xchacha20poly1305_ietf_encrypt(out + kNonceBytes, nullptr, Bytes(text), text.size(),
                                             Bytes(data), data.size(), nullptr, out, Bytes(key));
  sodium_memzero(key.data(), key.size());
  RETURN_IF_ERROR(database_.Execute("INSERT INTO secrets(id, sealed, created_at) VALUES (?, ?, ?)",
                                    {id, ToHex(sealed), NowText()}));
  RETURN_IF_ERROR(transaction.Commit());
  return id;
}

Result<std::string> Secrets::Open(int64_t id) const {
  ASSIGN_OR_RETURN(auto rows, database_.Query("SELECT sealed FROM secrets WHERE id = ?", {id}));
  if (rows.empty()) return NotFound("there is no secret " + std::to_string(id));
  ASSIGN_OR_RETURN(std::string key, Key(false));
  const Error damaged =
      Corruption("secret " + std::to_string(id) + " cannot be opened with the key in '" +
                     home_.SecretKeyPath() + "'",
                 "put back the file that belongs to this database (a backup leaves it out), or "
                 "give the secret again");
  auto sealed = FromHex(rows[0].Text(0));
  if (!sealed.ok() || sealed->size() < kNonceBytes + kTagBytes) return damaged;
  std::string text(sealed->size() - kNonceBytes - kTagBytes, '\0');
  const std::string data = AssociatedData(id);
  const int opened = crypto_aead_xchacha20poly1305_ietf_decrypt(
      reinterpret_cast<unsigned char*>(text.data()), nullptr, nullptr, Bytes(*sealed) + kNonceBytes,
      sealed->size() - kNonceBytes, Bytes(data), data.size(), Bytes(*sealed), Bytes(key));
  sodium_memzero(key.data(), key.size());
  if (opened != 0) return damaged;
  return text;
}

Result<std::string> Secrets::KeyedHash(std::string_view text) const {
  ASSIGN_OR_RETURN(std::string key, Key(true));
  std::string hash(crypto_generichash_BYTES, '\0');
  crypto_generichash(reinterpret_cast<unsigned char*>(hash.data()), hash.size(), Bytes(text),
                     text.size(), Bytes(key), key.size());
  sodium_memzero(key.data(), key.size());
  return ToHex(hash);
}

Status Secrets::Delete(int64_t id) {
  RETURN_IF_ERROR(database_.Execute("DELETE FROM secrets WHERE id = ?", {id}));
  return {};
}

}  // namespace slipway
