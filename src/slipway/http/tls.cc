#include "slipway/http/tls.h"

#include <algorithm>
#include <climits>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace slipway {
namespace {

std::string TlsReason() {
  const unsigned long code = ERR_get_error();  // NOLINT: OpenSSL's type
  ERR_clear_error();
  char text[256] = "unknown reason";
  if (code != 0) ERR_error_string_n(code, text, sizeof text);
  return text;
}

Error TlsFileError(std::string_view what, const std::string& file) {
  return InvalidArgument(std::string(what) + " '" + file + "' cannot be used: " + TlsReason(),
                         "give PEM files that belong together and that this user may read");
}

std::string SubjectOf(SSL* ssl) {
  std::string text;
  X509* certificate = SSL_get1_peer_certificate(ssl);
  if (certificate == nullptr) return text;
  if (BIO* memory = BIO_new(BIO_s_mem()); memory != nullptr) {
    X509_NAME_print_ex(memory, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    char* data = nullptr;
    const auto size = BIO_get_mem_data(memory, &data);
    if (size > 0) text.assign(data, static_cast<size_t>(size));
    BIO_free(memory);
  }
  X509_free(certificate);
  return text;
}

}  // namespace

HttpTlsContext::~HttpTlsContext() { SSL_CTX_free(context_); }

Result<std::shared_ptr<const HttpTlsContext>> HttpTlsContext::Make(const TlsOptions& options) {
  ERR_clear_error();
  SSL_CTX* made = SSL_CTX_new(TLS_server_method());
  if (made == nullptr) return Internal("no TLS context: " + TlsReason());
  auto context = std::make_shared<const HttpTlsContext>(made);
  SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION);
  SSL_CTX_set_options(made, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                             SSL_MODE_RELEASE_BUFFERS);
  // TLS 1.2: forward secrecy and authenticated encryption only.
  if (SSL_CTX_set_cipher_list(made, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1) {
    return Internal("no TLS ciphers: " + TlsReason());
  }
  if (SSL_CTX_use_certificate_chain_file(made, options.certificate_file.c_str()) != 1) {
    return TlsFileError("the certificate", options.certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(made, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(made) != 1) {
    return TlsFileError("the key", options.key_file);
  }
  const unsigned char id[] = "slipway";
  SSL_CTX_set_session_id_context(made, id, sizeof id - 1);
  if (!options.client_ca_file.empty()) {
    if (SSL_CTX_load_verify_locations(made, options.client_ca_file.c_str(), nullptr) != 1) {
      return TlsFileError("the clients' CA", options.client_ca_file);
    }
    SSL_CTX_set_client_CA_list(made, SSL_load_client_CA_file(options.client_ca_file.c_str()));
    SSL_CTX_set_verify(made, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  ERR_clear_error();
  return context;
}

std::unique_ptr<HttpTlsSession> HttpTlsSession::Make(const HttpTlsContext& context, int fd) {
  SSL* ssl = SSL_new(context.get());
  if (ssl == nullptr || SSL_set_fd(ssl, fd) != 1) {
    SSL_free(ssl);
    ERR_clear_error();
    return nullptr;
  }
  SSL_set_accept_state(ssl);
  return std::make_unique<HttpTlsSession>(ssl);
}

HttpTlsSession::~HttpTlsSession() { SSL_free(ssl_); }

ssize_t HttpTlsSession::Failed(int code) {
  const int error = SSL_get_error(ssl_, code);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return kAgain;
  ERR_clear_error();
  if (error == SSL_ERROR_ZERO_RETURN) return kEnd;
  broken_ = true;  // no further call on this session, SSL_shutdown included
  return kFailed;
}

ssize_t HttpTlsSession::Handshake() {
  ERR_clear_error();
  const int code = SSL_accept(ssl_);
  if (code != 1) {
    const ssize_t outcome = Failed(code);
    return outcome == kEnd ? kFailed : outcome;
  }
  client_subject_ = SubjectOf(ssl_);
  return 1;
}

ssize_t HttpTlsSession::Read(std::span<char> space) {
  ERR_clear_error();
  const int n =
      SSL_read(ssl_, space.data(), static_cast<int>(std::min<size_t>(space.size(), INT_MAX)));
  return n > 0 ? n : Failed(n);
}

ssize_t HttpTlsSession::Write(std::string_view bytes) {
  ERR_clear_error();
  const int n =
      SSL_write(ssl_, bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), INT_MAX)));
  return n > 0 ? n : Failed(n);
}

void HttpTlsSession::Shutdown() {
  if (broken_ || SSL_in_init(ssl_) != 0) return;
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

}  // namespace slipway
