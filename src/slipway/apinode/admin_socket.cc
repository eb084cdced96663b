#include "slipway/apinode/admin_socket.h"

#include <cerrno>
#include <climits>
#include <cstring>

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace slipway {
namespace {

constexpr int kConnectMilliseconds = 10'000;

std::string SslReason() {
  const unsigned long code = ERR_get_error();
  if (code == 0) return "the connection was closed";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

void SetTimeout(int fd, double seconds) {
  timeval time{};
  time.tv_sec = static_cast<time_t>(seconds);
  time.tv_usec = static_cast<suseconds_t>((seconds - static_cast<double>(time.tv_sec)) * 1e6);
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// 0, or the errno of why not.
int ConnectTo(int fd, const addrinfo& address) {
  timeval time{};
  time.tv_sec = kConnectMilliseconds / 1000;
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);  // connect(2) heeds it
  if (::connect(fd, address.ai_addr, address.ai_addrlen) == 0) return 0;
  return errno == EINPROGRESS ? ETIMEDOUT : errno;
}

Error Lost(int error_number) {
  if (error_number == EAGAIN || error_number == EWOULDBLOCK)
    return DeadlineExceeded("the node did not answer in time");
  return Unavailable(std::string("the connection to the node was lost: ") +
                     std::strerror(error_number));
}

}  // namespace

AdminSocket::~AdminSocket() {
  if (ssl_ != nullptr) SSL_free(ssl_);
  if (context_ != nullptr) SSL_CTX_free(context_);
  if (fd_ >= 0) ::close(fd_);
}

Result<std::unique_ptr<AdminSocket>> AdminSocket::Connect(const AdminSocketOptions& options) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(options.host.c_str(), options.port.c_str(), &hints, &found);
      code != 0)
    return Unavailable("'" + options.host + "' has no address: " + ::gai_strerror(code));
  std::unique_ptr<AdminSocket> socket(new AdminSocket());
  int error_number = ECONNREFUSED;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const int fd = ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
    if (fd < 0) {
      error_number = errno;
      continue;
    }
    error_number = ConnectTo(fd, *at);
    if (error_number == 0) {
      socket->fd_ = fd;
      break;
    }
    ::close(fd);
  }
  ::freeaddrinfo(found);
  if (socket->fd_ < 0)
    return Unavailable("no node answers at " + options.host + ":" + options.port + ": " +
                           std::strerror(error_number),
                       "is slipway-apinode running there?");
  SetTimeout(socket->fd_, options.timeout_seconds);
  if (options.tls) RETURN_IF_ERROR(socket->StartTls(options));
  return socket;
}

Error AdminSocket::TlsError(const std::string& what) const {
  const int reason = ERR_GET_REASON(ERR_peek_error());
  Error error = Unavailable(what + ": " + SslReason());
  // TLS 1.3 names it; before, a failed handshake is all that a server says.
  if (reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED ||
      (!has_certificate_ && reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE))
    error.hint =
        "the node asks for a certificate of its clients: --certificate-file FILE "
        "--certificate-key-file FILE";
  return error;
}

Status AdminSocket::UseCertificate(const AdminSocketOptions& options) {
  if (options.certificate_file.empty()) return {};
  if (SSL_CTX_use_certificate_chain_file(context_, options.certificate_file.c_str()) != 1)
    return InvalidArgument("cannot read the certificate '" + options.certificate_file +
                           "': " + SslReason());
  if (SSL_CTX_use_PrivateKey_file(context_, options.certificate_key_file.c_str(),
                                  SSL_FILETYPE_PEM) != 1)
    return InvalidArgument("cannot use the key '" + options.certificate_key_file +
                           "': " + SslReason());
  has_certificate_ = true;
  return {};
}

Status AdminSocket::StartTls(const AdminSocketOptions& options) {
  ERR_clear_error();
  context_ = SSL_CTX_new(TLS_client_method());
  if (context_ == nullptr) return Internal("TLS cannot be set up: " + SslReason());
  SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
  SSL_CTX_set_verify(context_, options.insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  const int loaded = options.ca_file.empty() ? SSL_CTX_set_default_verify_paths(context_)
                                             : SSL_CTX_load_verify_locations(
                                                   context_, options.ca_file.c_str(), nullptr);
  if (loaded != 1)
    return InvalidArgument("cannot read certificates from '" + options.ca_file +
                           "': " + SslReason());
  RETURN_IF_ERROR(UseCertificate(options));
  ssl_ = SSL_new(context_);
  if (ssl_ == nullptr) return Internal("TLS cannot be set up: " + SslReason());
  unsigned char bytes[16];
  const bool is_address = ::inet_pton(AF_INET, options.host.c_str(), bytes) == 1 ||
                          ::inet_pton(AF_INET6, options.host.c_str(), bytes) == 1;
  if (is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), options.host.c_str());
  } else {
    std::string name = options.host;
    SSL_ctrl(ssl_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
    SSL_set1_host(ssl_, options.host.c_str());
  }
  SSL_set_fd(ssl_, fd_);
  if (SSL_connect(ssl_) != 1) {
    const long verified = SSL_get_verify_result(ssl_);
    if (verified != X509_V_OK && !options.insecure)
      return Unavailable(std::string("the node's certificate is not trusted: ") +
                             X509_verify_cert_error_string(verified),
                         "name the certificate that signed it: --ca-file FILE");
    Error error = TlsError("no TLS with the node");
    if (error.hint.empty()) error.hint = "does it serve https?";
    return error;
  }
  return {};
}

Status AdminSocket::WriteAll(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = 0;
    if (ssl_ != nullptr) {
      const size_t piece = bytes.size() < (1u << 20) ? bytes.size() : (1u << 20);
      n = SSL_write(ssl_, bytes.data(), static_cast<int>(piece));
      if (n <= 0) return TlsError("the connection to the node was lost");
    } else {
      n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Lost(errno);
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<size_t> AdminSocket::Read(char* buffer, size_t size) {
  if (ssl_ != nullptr) {
    const int n = SSL_read(ssl_, buffer, static_cast<int>(size < INT_MAX ? size : INT_MAX));
    if (n > 0) return static_cast<size_t>(n);
    const int why = SSL_get_error(ssl_, n);
    if (why == SSL_ERROR_ZERO_RETURN) return size_t{0};
    if (why == SSL_ERROR_WANT_READ) return Lost(EAGAIN);
    return TlsError("the connection to the node was lost");
  }
  for (;;) {
    const ssize_t n = ::recv(fd_, buffer, size, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Lost(errno);
    return static_cast<size_t>(n);
  }
}

}  // namespace slipway
