#include "slipway/serve/jwt_fetch.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "slipway/base/clock.h"
#include "slipway/base/text.h"
#include "slipway/serve/jwt_keys.h"

namespace slipway {
namespace {

constexpr size_t kMaxHead = 32 << 10;

using TlsContext = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using TlsSession = std::unique_ptr<SSL, FreeWith<SSL_free>>;

Error Failed(const FetchUrl& url, const std::string& why) {
  return Unavailable("the document at " + url.host_header + " could not be fetched: " + why);
}

std::string TlsReason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "the TLS connection failed" : reason;
}

// A connected, non-blocking socket, with TLS over it or not, and one deadline for everything.
class FetchConnection {
 public:
  explicit FetchConnection(double seconds) : until_(SteadySeconds() + seconds) {}
  ~FetchConnection() {
    tls_.reset();
    if (fd_ >= 0) ::close(fd_);
  }
  FetchConnection(const FetchConnection&) = delete;
  FetchConnection& operator=(const FetchConnection&) = delete;

  Status Open(const FetchUrl& url, const FetchOptions& options);
  Status Write(std::string_view bytes);
  // Appends what came; 0: the end.
  Result<size_t> Read(std::string* out);

 private:
  Status Wait(short events);
  Status Connect(const FetchUrl& url);
  Status StartTls(const FetchUrl& url, const FetchOptions& options);
  // After a TLS call that gave `result`: waits and is fine, or an error.
  Status WaitTls(int result);

  double until_;
  int fd_ = -1;
  std::string host_;  // OpenSSL takes it as not const
  TlsContext context_;
  TlsSession tls_;
};

Status FetchConnection::Wait(short events) {
  const double left = until_ - SteadySeconds();
  pollfd poll_one{fd_, events, 0};
  if (left <= 0 || ::poll(&poll_one, 1, static_cast<int>(left * 1000) + 1) <= 0)
    return DeadlineExceeded("it took too long");
  return {};
}

Status FetchConnection::Connect(const FetchUrl& url) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(url.host.c_str(), url.port.c_str(), &hints, &found);
      error != 0)
    return Unavailable(std::string("the host is not known (") + ::gai_strerror(error) + ")");
  const std::unique_ptr<addrinfo, FreeWith<::freeaddrinfo>> owned(found);
  std::string why = "the host has no address";
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = ::socket(each->ai_family, each->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) continue;
    if (::connect(fd_, each->ai_addr, each->ai_addrlen) == 0) return {};
    if (errno != EINPROGRESS) {
      why = std::strerror(errno);
      continue;
    }
    RETURN_IF_ERROR(Wait(POLLOUT));
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0) return {};
    why = std::strerror(error);
  }
  return Unavailable(why);
}

Status FetchConnection::WaitTls(int result) {
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Wait(POLLIN);
    case SSL_ERROR_WANT_WRITE:
      return Wait(POLLOUT);
    default:
      return Unavailable(TlsReason());
  }
}

Status FetchConnection::StartTls(const FetchUrl& url, const FetchOptions& options) {
  context_.reset(SSL_CTX_new(TLS_client_method()));
  if (!context_) return Unavailable(TlsReason());
  SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
  const bool loaded =
      options.ca_file.empty()
          ? SSL_CTX_set_default_verify_paths(context_.get()) == 1
          : SSL_CTX_load_verify_locations(context_.get(), options.ca_file.c_str(), nullptr) == 1;
  if (!loaded) return Unavailable("the certificates of authorities could not be read");
  host_ = url.host;
  tls_.reset(SSL_new(context_.get()));
  if (!tls_ || SSL_set_fd(tls_.get(), fd_) != 1 ||
      SSL_ctrl(tls_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host_.data()) !=
          1 ||
      SSL_set1_host(tls_.get(), url.host.c_str()) != 1)
    return Unavailable(TlsReason());
  for (;;) {
    const int result = SSL_connect(tls_.get());
    if (result == 1) return {};
    RETURN_IF_ERROR(WaitTls(result));
  }
}

Status FetchConnection::Open(const FetchUrl& url, const FetchOptions& options) {
  RETURN_IF_ERROR(Connect(url));
  if (url.tls) RETURN_IF_ERROR(StartTls(url, options));
  return {};
}

Status FetchConnection::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    if (tls_) {
      size_t size = 0;
      const int result = SSL_write_ex(tls_.get(), bytes.data(), bytes.size(), &size);
      if (result != 1) {
        RETURN_IF_ERROR(WaitTls(result));
        continue;
      }
      bytes.remove_prefix(size);
      continue;
    }
    const ssize_t size = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size < 0 && errno != EAGAIN && errno != EINTR) return Unavailable(std::strerror(errno));
    if (size < 0) {
      RETURN_IF_ERROR(Wait(POLLOUT));
      continue;
    }
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  return {};
}

Result<size_t> FetchConnection::Read(std::string* out) {
  char bytes[8192];
  for (;;) {
    if (SteadySeconds() > until_) return DeadlineExceeded("it took too long");
    if (tls_) {
      size_t size = 0;
      const int result = SSL_read_ex(tls_.get(), bytes, sizeof bytes, &size);
      if (result == 1) {
        out->append(bytes, size);
        return size;
      }
      if (SSL_get_error(tls_.get(), result) == SSL_ERROR_ZERO_RETURN) return size_t{0};
      RETURN_IF_ERROR(WaitTls(result));
      continue;
    }
    const ssize_t size = ::recv(fd_, bytes, sizeof bytes, 0);
    if (size >= 0) {
      out->append(bytes, static_cast<size_t>(size));
      return static_cast<size_t>(size);
    }
    if (errno != EAGAIN && errno != EINTR) return Unavailable(std::strerror(errno));
    RETURN_IF_ERROR(Wait(POLLIN));
  }
}

// The value of a header of `head` by its lower-case name.
std::optional<std::string> ReplyHeader(std::string_view head, std::string_view name) {
  for (const std::string& line : Split(head, '\n')) {
    const size_t colon = line.find(':');
    if (colon != std::string::npos && ToLower(line.substr(0, colon)) == name)
      return std::string(Trim(std::string_view(line).substr(colon + 1)));
  }
  return std::nullopt;
}

// The content of a chunked body that is there as a whole; nullopt: it is not.
std::optional<std::string> Dechunk(std::string_view body) {
  std::string out;
  for (;;) {
    const size_t line = body.find("\r\n");
    if (line == std::string_view::npos) return std::nullopt;
    size_t size = 0;
    const auto [end, error] = std::from_chars(body.data(), body.data() + line, size, 16);
    if (error != std::errc() || (end != body.data() + line && *end != ';')) return std::nullopt;
    body.remove_prefix(line + 2);
    if (size == 0) return out;
    if (size > body.size() || body.size() - size < 2) return std::nullopt;
    out.append(body.substr(0, size));
    body.remove_prefix(size + 2);
  }
}

Result<std::string> Fetch(const FetchUrl& url, const FetchOptions& options) {
  FetchConnection connection(options.seconds);
  RETURN_IF_ERROR(connection.Open(url, options));
  RETURN_IF_ERROR(connection.Write("GET " + url.target + " HTTP/1.1\r\nHost: " + url.host_header +
                                   "\r\nAccept: application/json\r\nUser-Agent: slipway\r\n"
                                   "Connection: close\r\n\r\n"));
  std::string answer;
  size_t body = std::string::npos;
  while (body == std::string::npos) {
    ASSIGN_OR_RETURN(const size_t size, connection.Read(&answer));
    if (const size_t end = answer.find("\r\n\r\n"); end != std::string::npos) body = end + 4;
    if (size == 0 && body == std::string::npos) return Unavailable("the answer has no end");
    if (body == std::string::npos && answer.size() > kMaxHead)
      return Unavailable("the answer's headers are too long");
  }
  const std::string head = answer.substr(0, body);
  if (!head.starts_with("HTTP/1.") || head.size() < 12) return Unavailable("it is no HTTP answer");
  if (head.substr(8, 4) != " 200")
    return Unavailable("the answer is '" + head.substr(0, head.find('\r')) + "'");
  answer.erase(0, body);
  const bool chunked =
      ToLower(ReplyHeader(head, "transfer-encoding").value_or("")).find("chunked") !=
      std::string::npos;
  std::optional<int64_t> length;
  if (const auto text = ReplyHeader(head, "content-length"); text && !chunked) {
    length = ParseInt64(*text);
    if (!length || *length < 0) return Unavailable("the answer's length is no number");
  }
  for (;;) {
    if (answer.size() > options.max_bytes ||
        (length && static_cast<uint64_t>(*length) > options.max_bytes))
      return Unavailable("the answer has more than " +
                         FormatBytes(static_cast<int64_t>(options.max_bytes)));
    if (length && answer.size() >= static_cast<uint64_t>(*length)) {
      answer.resize(static_cast<size_t>(*length));
      return answer;
    }
    if (chunked) {
      if (std::optional<std::string> content = Dechunk(answer)) return std::move(*content);
    }
    ASSIGN_OR_RETURN(const size_t size, connection.Read(&answer));
    if (size > 0) continue;
    if (length || chunked) return Unavailable("the answer ends too early");
    return answer;
  }
}

}  // namespace

Result<FetchUrl> ParseFetchUrl(std::string_view text) {
  const auto wrong = [&](const std::string& why) {
    return InvalidArgument("'" + std::string(text) + "' is no URL to fetch: " + why,
                           "for example https://login.example.com/.well-known/jwks.json");
  };
  FetchUrl url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return wrong("it begins with neither https:// nor http://");
  }
  for (const char c : rest) {
    if (c <= ' ' || c == '\x7f') return wrong("it has blanks or control characters");
  }
  const size_t slash = rest.find_first_of("/?#");
  const std::string_view authority = rest.substr(0, slash);
  url.target = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash));
  url.target = url.target.substr(0, url.target.find('#'));
  if (url.target.empty() || url.target.front() != '/') url.target = "/" + url.target;
  if (authority.find('@') != std::string_view::npos) return wrong("it names a user");
  std::string_view host = authority, port = url.tls ? "443" : "80";
  const size_t bracket = authority.find(']');
  const size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::optional<int64_t> number = ParseInt64(port);
  if (host.empty()) return wrong("it has no host");
  if (!number || *number < 1 || *number > 65535) return wrong("its port is none");
  url.host = host;
  url.port = port;
  url.host_header = authority;
  in_addr four{};
  const bool loopback =
      host == "localhost" || host == "::1" ||
      (host.starts_with("127.") && ::inet_pton(AF_INET, url.host.c_str(), &four) == 1);
  if (!url.tls && !loopback)
    return wrong("plain HTTP is for loopback alone, as the keys prove who callers are");
  return url;
}

Result<std::string> FetchDocument(const FetchUrl& url, const FetchOptions& options) {
  Result<std::string> body = Fetch(url, options);
  if (!body.ok()) return Failed(url, body.error().message);
  return body;
}

}  // namespace slipway
