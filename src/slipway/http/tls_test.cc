#include "slipway/http/tls.h"

#include <fstream>

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "slipway/base/file.h"
#include "slipway/http/server_testing.h"
#include "slipway/http/tls_testing.h"

namespace slipway {
namespace {

// A TLS client over a test client's socket.
class TlsClient {
 public:
  TlsClient(int port, int max_version = 0, const std::string& certificate = "",
            const std::string& key = "")
      : plain_(port), context_(SSL_CTX_new(TLS_client_method())) {
    if (max_version != 0) SSL_CTX_set_max_proto_version(context_, max_version);
    SSL_CTX_set_cipher_list(context_, "ALL:@SECLEVEL=0");
    if (!certificate.empty()) {
      SSL_CTX_use_certificate_file(context_, certificate.c_str(), SSL_FILETYPE_PEM);
      SSL_CTX_use_PrivateKey_file(context_, key.c_str(), SSL_FILETYPE_PEM);
    }
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, plain_.fd());
    connected = SSL_connect(ssl_) == 1;
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool Send(std::string_view bytes) {
    return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) ==
           static_cast<int>(bytes.size());
  }
  // As much as the answers' ends want, at most `limit`.
  std::string ReadUntil(std::string_view end, size_t limit = 100'000'000) {
    std::string all;
    char bytes[65536];
    while (!all.ends_with(end) && all.size() < limit) {
      const int n = SSL_read(ssl_, bytes, sizeof bytes);
      if (n <= 0) break;
      all.append(bytes, static_cast<size_t>(n));
    }
    return all;
  }
  int64_t ServerSerial() {
    X509* certificate = SSL_get1_peer_certificate(ssl_);
    const int64_t serial = ASN1_INTEGER_get(X509_get_serialNumber(certificate));
    X509_free(certificate);
    return serial;
  }
  std::string version() { return SSL_get_version(ssl_); }
  bool connected = false;

 private:
  HttpTestClient plain_;
  SSL_CTX* context_;
  SSL* ssl_ = nullptr;
};

class HttpTlsTest : public HttpServerTest {
 protected:
  HttpTlsTest() {
    folder_ = *TempDir::Make();
    certificate_ = folder_.File("cert.pem");
    key_ = folder_.File("key.pem");
    WriteCertificate(certificate_, key_, "server", 1);
    options_.tls = {.certificate_file = certificate_, .key_file = key_};
  }

  TempDir folder_;
  std::string certificate_, key_;
};

TEST_F(HttpTlsTest, ServesTls12And13AndNothingOlder) {
  bool tls = false;
  handler_.behave = [&](const HttpRequest& request, HttpReply*, HttpExchange*, bool*) {
    tls = request.tls;
    return false;
  };
  Start();
  TlsClient newest(port_);
  ASSERT_TRUE(newest.connected);
  EXPECT_EQ(newest.version(), "TLSv1.3");
  for (int i = 0; i < 3; ++i) {
    newest.Send(kGet);
    EXPECT_TRUE(newest.ReadUntil("GET /x ").starts_with("HTTP/1.1 200 OK\r\n"));
  }
  EXPECT_TRUE(tls);
  TlsClient older(port_, TLS1_2_VERSION);
  ASSERT_TRUE(older.connected);
  older.Send(kGet);
  EXPECT_TRUE(older.ReadUntil("GET /x ").starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_FALSE(TlsClient(port_, TLS1_1_VERSION).connected);
}

TEST_F(HttpTlsTest, LargeBodiesFilesAndPipelines) {
  const std::string path = folder_.File("file");
  std::string content(5'000'000, 'f');
  for (size_t i = 0; i < content.size(); i += 1009) content[i] = static_cast<char>('a' + i % 26);
  std::ofstream(path) << content;
  handler_.behave = [&](const HttpRequest& request, HttpReply* reply, HttpExchange*, bool*) {
    if (request.path == "/file") reply->file = path;
    if (request.path == "/body") reply->body = content;
    return request.path != "/x";
  };
  Start();
  TlsClient client(port_);
  ASSERT_TRUE(client.connected);
  client.Send("GET /file HTTP/1.1\r\nHost: a\r\n\r\nGET /body HTTP/1.1\r\nHost: a\r\n\r\n" +
              std::string(kGet) + std::string(kGet));
  const std::string all = client.ReadUntil("GET /x ", 10'000'700);
  const size_t first = all.find("\r\n\r\n") + 4;
  EXPECT_TRUE(all.substr(first, content.size()) == content);
  const size_t second = all.find("\r\n\r\n", first + content.size()) + 4;
  EXPECT_TRUE(all.substr(second, content.size()) == content);
  const std::string body(3'000'000, 'b');
  client.Send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + body);
  EXPECT_TRUE(client.ReadUntil("b", 3'000'100).find("POST /x b") != std::string::npos);
}

TEST_F(HttpTlsTest, ClientsMayBeAskedForACertificate) {
  const std::string client_certificate = folder_.File("client.pem");
  const std::string client_key = folder_.File("client.key");
  WriteCertificate(client_certificate, client_key, "caller", 7);
  options_.tls.client_ca_file = client_certificate;
  std::string subject;
  handler_.behave = [&](const HttpRequest& request, HttpReply*, HttpExchange*, bool*) {
    subject = request.client_subject;
    return false;
  };
  Start();
  TlsClient known(port_, 0, client_certificate, client_key);
  known.Send(kGet);
  EXPECT_NE(known.ReadUntil("GET /x ").find("200 OK"), std::string::npos);
  EXPECT_EQ(subject, "CN=caller,O=Slipway");
  TlsClient stranger(port_);
  stranger.Send(kGet);  // in TLS 1.3 the refusal comes after the client's handshake
  EXPECT_EQ(stranger.ReadUntil("GET /x "), "");
  EXPECT_EQ(handler_.handled, 1);
}

TEST_F(HttpTlsTest, CertificatesAreReadAgain) {
  Start();
  EXPECT_EQ(TlsClient(port_).ServerSerial(), 1);
  WriteCertificate(certificate_, key_, "server", 2);
  EXPECT_EQ(TlsClient(port_).ServerSerial(), 1);
  ASSERT_TRUE(server_->ReloadTls().ok());
  EXPECT_EQ(TlsClient(port_).ServerSerial(), 2);
  std::ofstream(key_) << "no key";
  const Status reloaded = server_->ReloadTls();
  ASSERT_FALSE(reloaded.ok());
  EXPECT_NE(reloaded.error().message.find(key_), std::string::npos);
  EXPECT_EQ(TlsClient(port_).ServerSerial(), 2);  // the old one stays
}

TEST_F(HttpTlsTest, FilesThatCannotBeUsedAreNamed) {
  options_.tls.certificate_file = folder_.File("absent");
  auto server = HttpServer::Start(options_, &handler_);
  ASSERT_FALSE(server.ok());
  EXPECT_NE(server.error().message.find(options_.tls.certificate_file), std::string::npos);
}

TEST_F(HttpTlsTest, PlainTalkAndSilenceAreClosed) {
  options_.limits.tls_handshake_seconds = 0.2;
  Start();
  HttpTestClient plain(port_), silent(port_);
  plain.Send(kGet);
  const HttpTestAnswer answer = plain.Read();
  EXPECT_TRUE(answer.closed);
  EXPECT_TRUE(silent.AtEnd());
  EXPECT_EQ(handler_.handled, 0);
}

TEST_F(HttpTlsTest, DeferredAnswersAndDrain) {
  std::thread answering;
  handler_.behave = [&](const HttpRequest&, HttpReply*, HttpExchange* exchange, bool* deferred) {
    answering = std::thread([pending = std::shared_ptr<HttpPending>(exchange->Defer())] {
      pending->reply()->body = "from afar";
      pending->Send();
    });
    return *deferred = true;
  };
  Start();
  TlsClient client(port_);
  client.Send(kGet);
  EXPECT_NE(client.ReadUntil("from afar").find("200 OK"), std::string::npos);
  answering.join();
  server_->StopAccepting();
  EXPECT_EQ(client.ReadUntil("x"), "");
  EXPECT_TRUE(server_->WaitIdle(10));
}

}  // namespace
}  // namespace slipway
