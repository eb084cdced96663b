#include "slipway/serve/jwt.h"

#include <functional>
#include <string>
#include <thread>

#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/serve/jwt_fetch.h"
#include "slipway/serve/jwt_keys.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kNow = 1'800'000'000;

std::string Base64Url(std::string_view bytes) {
  std::string out(sodium_base64_ENCODED_LEN(bytes.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                  '\0');
  sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  out.resize(std::char_traits<char>::length(out.c_str()));
  return out;
}

// A key pair of the identity provider.
class Signer {
 public:
  Signer(std::string id, int rsa_bits) : id_(std::move(id)) {
    key_.reset(EVP_RSA_gen(static_cast<unsigned>(rsa_bits)), &EVP_PKEY_free);
  }
  Signer(std::string id, const char* curve) : id_(std::move(id)), curve_(curve) {
    key_.reset(EVP_EC_gen(curve), &EVP_PKEY_free);
  }
  Json Jwk() const {
    Json jwk = {{"kid", id_}, {"use", "sig"}};
    if (curve_.empty()) {
      jwk["kty"] = "RSA";
      jwk["n"] = Base64Url(Number(OSSL_PKEY_PARAM_RSA_N, 0));
      jwk["e"] = Base64Url(Number(OSSL_PKEY_PARAM_RSA_E, 0));
    } else {
      jwk["kty"] = "EC";
      jwk["crv"] = curve_;
      jwk["x"] = Base64Url(Number(OSSL_PKEY_PARAM_EC_PUB_X, half()));
      jwk["y"] = Base64Url(Number(OSSL_PKEY_PARAM_EC_PUB_Y, half()));
    }
    return jwk;
  }
  std::string Token(const std::string& algorithm, const Json& claims, Json header = {}) const {
    header["alg"] = algorithm;
    if (!header.contains("kid")) header["kid"] = id_;
    const std::string text = Base64Url(DumpJson(header)) + "." + Base64Url(DumpJson(claims));
    return text + "." + Base64Url(Sign(algorithm, text));
  }

 private:
  size_t half() const { return curve_ == "P-256" ? 32 : curve_ == "P-384" ? 48 : 66; }
  std::string Number(const char* name, size_t size) const {
    BIGNUM* number = nullptr;
    EVP_PKEY_get_bn_param(key_.get(), name, &number);
    std::string out(size == 0 ? static_cast<size_t>(BN_num_bytes(number)) : size, '\0');
    BN_bn2binpad(number, reinterpret_cast<unsigned char*>(out.data()),
                 static_cast<int>(out.size()));
    BN_free(number);
    return out;
  }
  std::string Sign(const std::string& algorithm, const std::string& text) const {
    const EVP_MD* digest = algorithm.ends_with("256")   ? EVP_sha256()
                           : algorithm.ends_with("384") ? EVP_sha384()
                                                        : EVP_sha512();
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* settings = nullptr;
    EVP_DigestSignInit(context, &settings, digest, nullptr, key_.get());
    if (algorithm.starts_with("PS")) {
      EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING);
      EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST);
    }
    size_t size = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    EVP_DigestSign(context, nullptr, &size, bytes, text.size());
    std::string out(size, '\0');
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(out.data()), &size, bytes,
                   text.size());
    out.resize(size);
    EVP_MD_CTX_free(context);
    if (curve_.empty()) return out;
    const auto* der = reinterpret_cast<const unsigned char*>(out.data());
    ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(out.size()));
    std::string raw(2 * half(), '\0');
    auto* to = reinterpret_cast<unsigned char*>(raw.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), to, static_cast<int>(half()));
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), to + half(), static_cast<int>(half()));
    ECDSA_SIG_free(pair);
    return raw;
  }

  std::string id_, curve_;
  std::shared_ptr<EVP_PKEY> key_;
};

const Signer& RsaSigner() {
  static const Signer signer("r", 2048);
  return signer;
}
const Signer& EcSigner() {
  static const Signer signer("e", "P-256");
  return signer;
}

std::string Jwks(std::initializer_list<Json> keys) { return DumpJson({{"keys", Json(keys)}}); }

class JwtTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = *TempDir::Make();
    file_ = folder_.File("jwks.json");
    ASSERT_TRUE(WriteFileAtomic(file_, Jwks({RsaSigner().Jwk(), EcSigner().Jwk()})).ok());
  }
  std::unique_ptr<JwtVerifier> Make(JwtOptions options = {}) {
    if (!options.enabled()) options.jwks_file = file_;
    Result<std::unique_ptr<JwtVerifier>> made = JwtVerifier::Make(options);
    EXPECT_TRUE(made.ok()) << made.error().message;
    return made.ok() ? std::move(*made) : nullptr;
  }
  static Json Claims() { return {{"exp", kNow + 100}, {"sub", "someone"}}; }
  static std::string Good() { return RsaSigner().Token("RS256", Claims()); }

  TempDir folder_;
  std::string file_;
};

TEST_F(JwtTest, EveryAlgorithm) {
  const Signer p384("e384", "P-384"), p521("e521", "P-521");
  ASSERT_TRUE(
      WriteFileAtomic(file_, Jwks({RsaSigner().Jwk(), EcSigner().Jwk(), p384.Jwk(), p521.Jwk()}))
          .ok());
  const auto verifier = Make();
  for (const char* algorithm : {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}) {
    const JwtCheck check = verifier->Check(RsaSigner().Token(algorithm, Claims()), kNow);
    EXPECT_EQ(check.status, 200) << algorithm << ": " << check.reason;
    ASSERT_NE(check.caller, nullptr);
    EXPECT_EQ(check.caller->label, "someone");
    EXPECT_EQ(check.caller->expires_at, kNow + 160);
  }
  EXPECT_EQ(verifier->Check(EcSigner().Token("ES256", Claims()), kNow).status, 200);
  EXPECT_EQ(verifier->Check(p384.Token("ES384", Claims()), kNow).status, 200);
  EXPECT_EQ(verifier->Check(p521.Token("ES512", Claims()), kNow).status, 200);
  // The curve belongs to the algorithm.
  EXPECT_EQ(verifier->Check(EcSigner().Token("ES384", Claims()), kNow).status, 401);
}

TEST_F(JwtTest, NoneAndSymmetricAlgorithmsAreRefused) {
  const auto verifier = Make();
  const std::string claims = Base64Url(DumpJson(Claims()));
  for (const char* algorithm : {"none", "None", "NONE", "HS256", "HS512", "", "ES256K", "EdDSA"}) {
    const std::string header = Base64Url(DumpJson({{"alg", algorithm}, {"kid", "r"}}));
    EXPECT_EQ(verifier->Check(header + "." + claims + ".", kNow).status, 401) << algorithm;
    EXPECT_EQ(verifier->Check(header + "." + claims + ".AAAA", kNow).status, 401) << algorithm;
  }
  // The public key as the secret of an HMAC.
  const std::string secret = DumpJson(RsaSigner().Jwk());
  const std::string text = Base64Url(R"({"alg":"HS256","kid":"r"})") + "." + claims;
  unsigned char mac[32];
  unsigned size = sizeof mac;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  const std::string_view bytes(reinterpret_cast<const char*>(mac), size);
  EXPECT_EQ(verifier->Check(text + "." + Base64Url(bytes), kNow).status, 401);
}

TEST_F(JwtTest, WhatIsAlteredOrNoTokenIsRefused) {
  const auto verifier = Make();
  const std::string good = Good();
  EXPECT_EQ(verifier->Check(good, kNow).status, 200);
  for (const size_t at : {size_t{3}, good.find('.') + 3, good.size() - 5}) {
    std::string bad = good;
    bad[at] = bad[at] == 'A' ? 'B' : 'A';
    EXPECT_EQ(verifier->Check(bad, kNow).status, 401) << at;
  }
  EXPECT_EQ(verifier->Check(good + "=", kNow).status, 401);
  EXPECT_EQ(verifier->Check(good + ".", kNow).status, 401);
  for (const char* text : {"", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.e30"})
    EXPECT_EQ(verifier->Check(text, kNow).status, 401) << text;
  EXPECT_EQ(verifier->Check(std::string(100'000, 'a'), kNow).status, 401);
  EXPECT_EQ(verifier->Check(RsaSigner().Token("RS256", Claims(), {{"crit", {"x"}}, {"x", 1}}), kNow)
                .status,
            401);
  // Another's key under the same name.
  EXPECT_EQ(verifier->Check(Signer("r", 2048).Token("RS256", Claims()), kNow).status, 401);
}

TEST_F(JwtTest, TimesHaveALeeway) {
  const auto verifier = Make();
  const auto status = [&](const Json& claims) {
    return verifier->Check(RsaSigner().Token("RS256", claims), kNow).status;
  };
  EXPECT_EQ(status({{"exp", kNow - 59}}), 200);
  EXPECT_EQ(status({{"exp", kNow - 60}}), 401);
  EXPECT_EQ(status({{"exp", kNow + 0.5}}), 200);
  EXPECT_EQ(status({{"sub", "no exp"}}), 401);
  EXPECT_EQ(status({{"exp", "tomorrow"}}), 401);
  EXPECT_EQ(status({{"exp", 1e300}}), 401);
  EXPECT_EQ(status({{"exp", kNow + 9}, {"nbf", kNow + 60}}), 200);
  EXPECT_EQ(status({{"exp", kNow + 9}, {"nbf", kNow + 61}}), 401);
  EXPECT_EQ(status({{"exp", kNow + 9}, {"nbf", "soon"}}), 401);
}

TEST_F(JwtTest, IssuerAudienceScopesAndClient) {
  JwtOptions options;
  options.jwks_file = file_;
  options.issuer = "https://login";
  options.audience = {"api", "other"};
  options.scopes = {"score", "read"};
  options.client_claim = "appid";
  const auto verifier = Make(options);
  const Json good = {{"exp", kNow + 9},         {"iss", "https://login"}, {"aud", {"x", "api"}},
                     {"scope", "read a score"}, {"appid", "robot\n7"},    {"sub", "s"}};
  const auto check = [&](const char* name, const Json& value) {
    Json claims = good;
    if (value.is_null()) {
      claims.erase(name);
    } else {
      claims[name] = value;
    }
    return verifier->Check(RsaSigner().Token("RS256", claims), kNow);
  };
  EXPECT_EQ(check("exp", kNow + 9).caller->label, "robot?7");
  EXPECT_EQ(check("aud", "other").status, 200);
  EXPECT_EQ(check("scope", {"score", "read"}).status, 200);
  EXPECT_EQ(check("aud", "api other").status, 401);
  EXPECT_EQ(check("aud", nullptr).status, 401);
  EXPECT_EQ(check("iss", "https://login/").status, 401);
  EXPECT_EQ(check("iss", nullptr).status, 401);
  const JwtCheck lacking = check("scope", "score");
  EXPECT_EQ(lacking.status, 403);
  EXPECT_THAT(lacking.reason, HasSubstr("'read'"));
  EXPECT_EQ(check("scope", 7).status, 403);
}

TEST_F(JwtTest, AGoodTokenIsRememberedUntilItExpires) {
  const auto verifier = Make();
  const std::string good = Good();
  const JwtCheck first = verifier->Check(good, kNow);
  EXPECT_EQ(verifier->Check(good, kNow + 50).caller, first.caller);
  EXPECT_EQ(verifier->counts().remembered, 1);
  EXPECT_EQ(verifier->Check(good, kNow + 160).status, 401);
  EXPECT_EQ(verifier->counts().remembered, 0);
  for (int i = 0; i < 20'000; ++i) (void)verifier->Check("x" + std::to_string(i), kNow);
  EXPECT_EQ(verifier->counts().remembered, 0);
}

TEST_F(JwtTest, AnUnknownKeyIsAskedForOnce) {
  const auto verifier = Make();
  const Signer next("next", "P-256");
  const std::string token = next.Token("ES256", Claims());
  ASSERT_TRUE(WriteFileAtomic(file_, Jwks({next.Jwk()})).ok());
  JwtCheck check = verifier->Check(token, kNow);
  EXPECT_EQ(check.status, 503);  // and the file is read again
  while (verifier->counts().fetched < 2) std::this_thread::yield();
  EXPECT_EQ(verifier->Check(token, kNow).status, 200);
  // What was good with the old keys is looked at again; within 30 s, nothing is fetched.
  EXPECT_EQ(verifier->Check(Good(), kNow).status, 401);
}

TEST_F(JwtTest, KeysThatAreNone) {
  const auto error = [](const std::string& text) {
    const Result<std::vector<JwtKey>> keys = ParseJwks(text);
    return keys.ok() ? "" : keys.error().message;
  };
  EXPECT_THAT(error("x"), HasSubstr("no JSON"));
  EXPECT_THAT(error("[]"), HasSubstr("no list 'keys'"));
  EXPECT_THAT(error(R"({"keys":[]})"), HasSubstr("no key"));
  EXPECT_THAT(error(Jwks({Signer("weak", 1024).Jwk()})), HasSubstr("no key"));
  Json off_curve = EcSigner().Jwk();
  off_curve["x"] = off_curve["y"];
  EXPECT_THAT(error(Jwks({off_curve})), HasSubstr("no key"));
  Json encrypting = EcSigner().Jwk();
  encrypting["use"] = "enc";
  EXPECT_THAT(error(Jwks({encrypting})), HasSubstr("no key"));
  EXPECT_THAT(error(Jwks({{{"kty", "oct"}, {"k", "AAAA"}}})), HasSubstr("no key"));
  EXPECT_EQ(error(Jwks({{{"kty", "oct"}, {"k", "AAAA"}}, 7, EcSigner().Jwk()})), "");
}

TEST(FetchUrl, WhatMayBeFetched) {
  const auto error = [](std::string_view text) {
    const Result<FetchUrl> url = ParseFetchUrl(text);
    return url.ok() ? "" : url.error().message;
  };
  const Result<FetchUrl> url = ParseFetchUrl("https://login.test:8443/keys?x=1#top");
  ASSERT_TRUE(url.ok());
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "login.test");
  EXPECT_EQ(url->port, "8443");
  EXPECT_EQ(url->target, "/keys?x=1");
  EXPECT_EQ(ParseFetchUrl("http://[::1]:80")->target, "/");
  EXPECT_EQ(ParseFetchUrl("http://[::1]:80")->host, "::1");
  EXPECT_EQ(error("http://127.0.0.1/x"), "");
  EXPECT_EQ(error("http://localhost:1/x"), "");
  for (const char* text : {"http://login.test/x", "http://127.evil.test/x", "http://10.0.0.1/"})
    EXPECT_THAT(error(text), HasSubstr("loopback")) << text;
  for (const char* text : {"file:///etc/passwd", "login.test", "https://", "https://u@h/",
                           "https://h:0/", "https://h:x/", "https://h/a b", "https://h/\r\nX: y"})
    EXPECT_NE(error(text), "") << text;
}

// Answers each connection with the next of the texts.
class TinyServer {
 public:
  explicit TinyServer(std::vector<std::string> answers) : answers_(std::move(answers)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(fd_, 8);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      for (const std::string& answer : answers_) {
        const int client = ::accept(fd_, nullptr, nullptr);
        char request[4096];
        (void)!::read(client, request, sizeof request);
        (void)!::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
        ::close(client);
      }
    });
  }
  ~TinyServer() {
    thread_.join();
    ::close(fd_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/jwks"; }

 private:
  std::vector<std::string> answers_;
  int fd_ = -1;
  int port_ = 0;
  std::thread thread_;
};

TEST(FetchDocument, BodiesAndWhatIsNone) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {ok + "Content-Length: 2\r\n\r\nhi", "hi"},
      {ok + "\r\nuntil the end", "until the end"},
      {ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", "abcde"},
      {"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\n\r\n", "error"},
      {"HTTP/1.1 500 No\r\n\r\n", "error"},
      {ok + "Content-Length: 9\r\n\r\nshort", "error"},
      {ok + "Content-Length: 999999999\r\n\r\n", "error"},
      {ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nab", "error"},
      {ok + "\r\n" + std::string(2000, 'x'), "error"},
      {"nonsense", "error"},
      {"", "error"},
  };
  std::vector<std::string> answers;
  for (const auto& each : cases) answers.push_back(each.first);
  TinyServer server(answers);
  FetchOptions options;
  options.max_bytes = 1000;
  const FetchUrl url = *ParseFetchUrl(server.url());
  for (const auto& [answer, expected] : cases) {
    const Result<std::string> body = FetchDocument(url, options);
    EXPECT_EQ(body.ok() ? *body : "error", expected) << answer.substr(0, 80);
  }
}

TEST_F(JwtTest, KeysFromAUrl) {
  const std::string keys = Jwks({RsaSigner().Jwk()});
  TinyServer server(
      {"HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(keys.size()) + "\r\n\r\n" + keys});
  JwtOptions options;
  options.jwks_url = server.url();
  const auto verifier = Make(options);
  verifier->WaitForKeys();
  EXPECT_EQ(verifier->Check(Good(), kNow).status, 200);
}

TEST_F(JwtTest, WithoutKeysItIsUnavailable) {
  TinyServer server({"HTTP/1.1 500 No\r\n\r\n"});
  JwtOptions options;
  options.jwks_url = server.url();
  const auto verifier = Make(options);
  verifier->WaitForKeys();
  EXPECT_EQ(verifier->Check(Good(), kNow).status, 503);
}

TEST_F(JwtTest, OptionsAreChecked) {
  JwtOptions options;
  EXPECT_FALSE(JwtVerifier::Make(options).ok());
  options.jwks_file = folder_.File("none");
  EXPECT_FALSE(JwtVerifier::Make(options).ok());
  options.jwks_file = file_;
  options.jwks_url = "https://login.test/";
  EXPECT_FALSE(JwtVerifier::Make(options).ok());
}

TEST(TokenOfAuthorization, BearerAlone) {
  EXPECT_EQ(TokenOfAuthorization("Bearer a.b.c"), "a.b.c");
  EXPECT_EQ(TokenOfAuthorization("bearer  a.b.c "), "a.b.c");
  EXPECT_EQ(TokenOfAuthorization("Basic abc"), "");
  EXPECT_EQ(TokenOfAuthorization("Bearer"), "");
  EXPECT_EQ(TokenOfAuthorization(""), "");
}

}  // namespace
}  // namespace slipway
