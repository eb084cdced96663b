#include "slipway/serve/jwt_keys.h"

#include <array>
#include <optional>

#include <sodium.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "slipway/base/json.h"

namespace slipway {

struct JwtAlgorithm {
  std::string_view name;
  const EVP_MD* (*digest)();
  bool pss;
  std::string_view curve;  // empty: RSA
  size_t half;             // bytes of r and of s
};

namespace {

constexpr std::array<JwtAlgorithm, 9> kAlgorithms = {{{"RS256", &EVP_sha256, false, "", 0},
                                                      {"RS384", &EVP_sha384, false, "", 0},
                                                      {"RS512", &EVP_sha512, false, "", 0},
                                                      {"PS256", &EVP_sha256, true, "", 0},
                                                      {"PS384", &EVP_sha384, true, "", 0},
                                                      {"PS512", &EVP_sha512, true, "", 0},
                                                      {"ES256", &EVP_sha256, false, "P-256", 32},
                                                      {"ES384", &EVP_sha384, false, "P-384", 48},
                                                      {"ES512", &EVP_sha512, false, "P-521", 66}}};
constexpr size_t kMaxKeys = 200;
constexpr int kLeastRsaBits = 2048, kMostRsaBits = 8192;
constexpr size_t kMostExponentBytes = 8;

using BigNumber = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, FreeWith<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, FreeWith<OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeWith<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, FreeWith<ECDSA_SIG_free>>;

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

BigNumber Number(std::string_view bytes) {
  return BigNumber(BN_bin2bn(Bytes(bytes), static_cast<int>(bytes.size()), nullptr));
}

std::shared_ptr<EVP_PKEY> MakeKey(const char* type, const OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(const_cast<OSSL_PARAM_BLD*>(builder)));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) <= 0 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) <= 0)
    return nullptr;
  std::shared_ptr<EVP_PKEY> owned(key, &EVP_PKEY_free);
  // A point that is not on its curve, and the like.
  const KeyContext check(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  if (!check || EVP_PKEY_public_check(check.get()) <= 0) return nullptr;
  return owned;
}

std::shared_ptr<EVP_PKEY> RsaKey(const Json& json) {
  const std::optional<std::string> n = DecodeBase64Url(TextMember(json, "n"));
  const std::optional<std::string> e = DecodeBase64Url(TextMember(json, "e"));
  if (!n || !e || n->empty() || e->empty() || n->size() > kMostRsaBits / 8 + 1 ||
      e->size() > kMostExponentBytes)
    return nullptr;
  const BigNumber modulus = Number(*n), exponent = Number(*e);
  if (!modulus || !exponent || BN_num_bits(modulus.get()) < kLeastRsaBits) return nullptr;
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1)
    return nullptr;
  return MakeKey("RSA", builder.get());
}

std::shared_ptr<EVP_PKEY> EcKey(const Json& json, const JwtAlgorithm& algorithm) {
  const std::optional<std::string> x = DecodeBase64Url(TextMember(json, "x"));
  const std::optional<std::string> y = DecodeBase64Url(TextMember(json, "y"));
  if (!x || !y || x->size() != algorithm.half || y->size() != algorithm.half) return nullptr;
  const std::string point = "\x04" + *x + *y;  // uncompressed
  const std::string curve(algorithm.curve);
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.c_str(),
                                      0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1)
    return nullptr;
  return MakeKey("EC", builder.get());
}

// r and s one after the other, as RFC 7518 has them, in DER, as OpenSSL wants them.
std::optional<std::string> DerOfEcdsa(std::string_view signature, size_t half) {
  if (signature.size() != 2 * half) return std::nullopt;
  const EcdsaSignature pair(ECDSA_SIG_new());
  BigNumber r = Number(signature.substr(0, half)), s = Number(signature.substr(half));
  if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) return std::nullopt;
  (void)r.release();  // the pair owns them now
  (void)s.release();
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &der);
  if (size <= 0) return std::nullopt;
  std::string out(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return out;
}

}  // namespace

// Reads one key of a set.
class JwtKeyReader {
 public:
  static std::optional<JwtKey> Read(const Json& json) {
    if (!json.is_object()) return std::nullopt;
    const std::string use = TextMember(json, "use");
    if (!use.empty() && use != "sig") return std::nullopt;
    JwtKey key;
    key.id_ = TextMember(json, "kid");
    key.algorithm_ = TextMember(json, "alg");
    const std::string type = TextMember(json, "kty");
    if (type == "RSA") {
      key.key_ = RsaKey(json);
    } else if (type == "EC") {
      key.curve_ = TextMember(json, "crv");
      for (const JwtAlgorithm& algorithm : kAlgorithms) {
        if (!algorithm.curve.empty() && algorithm.curve == key.curve_)
          key.key_ = EcKey(json, algorithm);
      }
    }
    ERR_clear_error();
    if (key.key_ == nullptr) return std::nullopt;
    return key;
  }
};

const JwtAlgorithm* FindJwtAlgorithm(std::string_view name) {
  for (const JwtAlgorithm& algorithm : kAlgorithms) {
    if (algorithm.name == name) return &algorithm;
  }
  return nullptr;
}

bool JwtKey::Suits(const JwtAlgorithm& algorithm) const {
  return curve_ == algorithm.curve && (algorithm_.empty() || algorithm_ == algorithm.name);
}

bool JwtKey::Verify(const JwtAlgorithm& algorithm, std::string_view signed_text,
                    std::string_view signature) const {
  std::string der;
  if (!algorithm.curve.empty()) {
    std::optional<std::string> made = DerOfEcdsa(signature, algorithm.half);
    if (!made) return false;
    der = std::move(*made);
    signature = der;
  }
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* settings = nullptr;  // of the context
  bool fine =
      context != nullptr &&
      EVP_DigestVerifyInit(context.get(), &settings, algorithm.digest(), nullptr, key_.get()) == 1;
  if (fine && algorithm.pss)
    fine = EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) == 1;
  fine = fine && EVP_DigestVerify(context.get(), Bytes(signature), signature.size(),
                                  Bytes(signed_text), signed_text.size()) == 1;
  ERR_clear_error();
  return fine;
}

std::optional<std::string> DecodeBase64Url(std::string_view text) {
  std::string out(text.size() * 3 / 4 + 3, '\0');
  size_t size = 0;
  const char* end = nullptr;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(),
                        text.size(), nullptr, &size, &end,
                        sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
      end != text.data() + text.size())
    return std::nullopt;
  out.resize(size);
  return out;
}

Result<std::vector<JwtKey>> ParseJwks(std::string_view text) {
  const auto wrong = [](std::string what) {
    return Corruption("the key set (JWKS) " + std::move(what),
                      R"(it is {"keys": [..]} with public keys of type RSA or EC)");
  };
  const Result<Json> json = ParseJson(text, {size_t{1} << 20, 16});
  if (!json.ok()) return wrong("is no JSON: " + json.error().message);
  const Json* list = json->is_object() ? FindMember(*json, "keys") : nullptr;
  if (list == nullptr || !list->is_array()) return wrong("has no list 'keys'");
  if (list->size() > kMaxKeys) return wrong("has more than 200 keys");
  std::vector<JwtKey> keys;
  for (const Json& each : *list) {
    if (std::optional<JwtKey> key = JwtKeyReader::Read(each)) keys.push_back(std::move(*key));
  }
  if (keys.empty()) return wrong("has no key that could sign tokens");
  return keys;
}

}  // namespace slipway
