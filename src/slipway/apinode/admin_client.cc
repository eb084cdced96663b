#include "slipway/apinode/admin_client.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "slipway/apinode/admin_socket.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr size_t kMaxAnswer = size_t{256} << 20;

Error BadAnswer(const std::string& url) {
  return Unavailable("'" + url + "' does not answer as an API node does",
                     "is it the address of a slipway-apinode?");
}

// The answer as it comes in: head, then the body by its length, by chunks, or to the end.
class AnswerReader {
 public:
  AnswerReader(AdminSocket* socket, const std::string& url) : socket_(socket), url_(url) {}

  Result<AdminAnswer> Read() {
    AdminAnswer answer;
    std::string head;
    do {  // 100 Continue and its like come before the answer
      ASSIGN_OR_RETURN(head, ReadHead());
      const std::optional<int64_t> status = head.starts_with("HTTP/1.") && head.size() >= 12
                                                ? ParseInt64(head.substr(9, 3))
                                                : std::nullopt;
      if (!status) return BadAnswer(url_);
      answer.status = static_cast<int>(*status);
    } while (answer.status < 200);
    std::string length, encoding;
    for (const std::string& line : Split(head, '\n')) {
      const size_t colon = line.find(':');
      if (colon == std::string::npos) continue;
      const std::string name = ToLower(Trim(std::string_view(line).substr(0, colon)));
      const std::string value(Trim(std::string_view(line).substr(colon + 1)));
      if (name == "content-length") length = value;
      if (name == "transfer-encoding") encoding = ToLower(value);
    }
    if (encoding == "chunked") {
      ASSIGN_OR_RETURN(answer.body, ReadChunks());
    } else if (!length.empty()) {
      const std::optional<int64_t> bytes = ParseInt64(length);
      if (!bytes || *bytes < 0) return BadAnswer(url_);
      ASSIGN_OR_RETURN(answer.body, ReadExactly(static_cast<size_t>(*bytes)));
    } else if (answer.status != 204) {
      for (;;) {
        ASSIGN_OR_RETURN(const bool more, More());
        if (!more) break;
      }
      answer.body = std::move(bytes_);
    }
    return answer;
  }

 private:
  Result<bool> More() {
    if (bytes_.size() > kMaxAnswer) return Unavailable("the node's answer is too large");
    char buffer[1 << 16];
    ASSIGN_OR_RETURN(const size_t n, socket_->Read(buffer, sizeof buffer));
    bytes_.append(buffer, n);
    return n > 0;
  }
  Status Need() {
    ASSIGN_OR_RETURN(const bool more, More());
    if (!more) return Unavailable("the node closed the connection before its answer was complete");
    return {};
  }
  Result<std::string> ReadExactly(size_t n) {
    if (n > kMaxAnswer) return Unavailable("the node's answer is too large");
    while (bytes_.size() < n) RETURN_IF_ERROR(Need());
    std::string out = bytes_.substr(0, n);
    bytes_.erase(0, n);
    return out;
  }
  Result<std::string> ReadTo(std::string_view mark) {
    size_t at = 0;
    while ((at = bytes_.find(mark)) == std::string::npos) {
      if (bytes_.size() > (1 << 20)) return BadAnswer(url_);
      RETURN_IF_ERROR(Need());
    }
    std::string out = bytes_.substr(0, at);
    bytes_.erase(0, at + mark.size());
    return out;
  }
  Result<std::string> ReadHead() { return ReadTo("\r\n\r\n"); }
  Result<std::string> ReadChunks() {
    std::string out;
    for (;;) {
      ASSIGN_OR_RETURN(const std::string size_line, ReadTo("\r\n"));
      size_t size = 0;
      for (char c : size_line) {
        if (c == ';') break;  // extensions
        const char lower = static_cast<char>(c | 0x20);
        if (c >= '0' && c <= '9') {
          size = size * 16 + static_cast<size_t>(c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
          size = size * 16 + static_cast<size_t>(lower - 'a' + 10);
        } else {
          return BadAnswer(url_);
        }
        if (size > kMaxAnswer) return Unavailable("the node's answer is too large");
      }
      if (size == 0) return out;  // trailers end with the connection
      ASSIGN_OR_RETURN(const std::string piece, ReadExactly(size + 2));
      out.append(piece, 0, size);
    }
  }

  AdminSocket* socket_;
  const std::string& url_;
  std::string bytes_;
};

Result<Json> JsonOf(const AdminAnswer& answer, const std::string& url) {
  Result<Json> json = ParseJson(answer.body, {.max_bytes = kMaxAnswer, .max_depth = 256});
  if (answer.status < 400) {
    if (!json.ok()) return BadAnswer(url);
    return json;
  }
  Error error;
  if (!json.ok() || !json->is_object() || FindMember(*json, "message") == nullptr) {
    error = BadAnswer(url);
    error.message += ": status " + std::to_string(answer.status);
    return error;
  }
  error.code = ErrorCodeFromName(json->value("code", ""));
  error.message = json->value("message", "");
  error.hint = json->value("hint", "");
  return error;
}

}  // namespace

Result<AdminClient> AdminClient::Make(AdminClientOptions options) {
  AdminClient client;
  std::string_view rest = options.url;
  if (rest.starts_with("https://")) {
    client.tls_ = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return InvalidArgument("'" + options.url + "' is no address of a node",
                           "write it as http://HOST:PORT or https://HOST:PORT");
  }
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos) {
    client.prefix_ = rest.substr(slash);
    while (!client.prefix_.empty() && client.prefix_.back() == '/') client.prefix_.pop_back();
    rest = rest.substr(0, slash);
  }
  client.port_ = client.tls_ ? "443" : "80";
  const size_t bracket = rest.find(']');
  const size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    client.port_ = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
  }
  if (rest.starts_with('[') && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
  client.host_ = rest;
  if (client.host_.empty() || !ParseInt64(client.port_))
    return InvalidArgument("'" + options.url + "' is no address of a node",
                           "write it as http://HOST:PORT or https://HOST:PORT");
  for (char c : options.key) {
    if (c < 0x21 || c > 0x7e)
      return InvalidArgument("the key has characters that no key has",
                             "the key file holds the key alone, on one line");
  }
  client.options_ = std::move(options);
  return client;
}

Result<AdminAnswer> AdminClient::Send(std::string_view method, const std::string& path,
                                      std::string_view body) const {
  return Exchange(method, path, body, -1, static_cast<int64_t>(body.size()));
}

Result<AdminAnswer> AdminClient::SendFile(std::string_view method, const std::string& path,
                                          const std::string& file) const {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError("open", file, errno);
  struct stat info{};
  Result<AdminAnswer> answer = Internal("unreached");
  if (::fstat(fd, &info) != 0) {
    answer = FileError("look at", file, errno);
  } else if (!S_ISREG(info.st_mode)) {
    answer = InvalidArgument("'" + file + "' is not a file");
  } else {
    answer = Exchange(method, path, {}, fd, info.st_size);
  }
  ::close(fd);
  return answer;
}

Result<AdminAnswer> AdminClient::Exchange(std::string_view method, const std::string& path,
                                          std::string_view body, int body_fd,
                                          int64_t body_bytes) const {
  AdminSocketOptions socket_options;
  socket_options.host = host_;
  socket_options.port = port_;
  socket_options.tls = tls_;
  socket_options.ca_file = options_.ca_file;
  socket_options.certificate_file = options_.certificate_file;
  socket_options.certificate_key_file = options_.certificate_key_file;
  socket_options.insecure = options_.insecure;
  socket_options.timeout_seconds = options_.timeout_seconds;
  ASSIGN_OR_RETURN(const std::unique_ptr<AdminSocket> socket, AdminSocket::Connect(socket_options));
  const bool is_v6 = host_.find(':') != std::string::npos;
  std::string head(method);
  head += " " + prefix_ + path + " HTTP/1.1\r\nHost: " + (is_v6 ? "[" + host_ + "]" : host_) + ":" +
          port_ + "\r\nUser-Agent: slipway-apinode-admin\r\nConnection: close\r\nAccept: */*\r\n";
  if (!options_.key.empty()) head += "Authorization: Bearer " + options_.key + "\r\n";
  if (!options_.epoch.empty()) head += "X-Slipway-Epoch: " + options_.epoch + "\r\n";
  if (body_bytes > 0)
    head +=
        body_fd >= 0 ? "Content-Type: application/zip\r\n" : "Content-Type: application/json\r\n";
  if (method != "GET") head += "Content-Length: " + std::to_string(body_bytes) + "\r\n";
  head += "\r\n";
  // What the node refuses it may answer before it has read the body: its answer, not the broken
  // pipe, tells why.
  Status sent = socket->WriteAll(head);
  if (sent.ok() && body_fd < 0) sent = socket->WriteAll(body);
  std::string buffer(body_fd >= 0 ? 1 << 18 : 0, '\0');
  for (int64_t left = body_bytes; sent.ok() && body_fd >= 0 && left > 0;) {
    const size_t want = static_cast<size_t>(std::min<int64_t>(left, 1 << 18));
    const ssize_t n = ::read(body_fd, buffer.data(), want);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Unavailable("the package could not be read to its end");
    sent = socket->WriteAll(std::string_view(buffer).substr(0, static_cast<size_t>(n)));
    left -= n;
  }
  Result<AdminAnswer> answer = AnswerReader(socket.get(), options_.url).Read();
  if (!answer.ok() && !sent.ok() && answer.error().hint.empty()) return std::move(sent).error();
  return answer;
}

Result<Json> AdminClient::Call(std::string_view method, const std::string& path,
                               const Json& body) const {
  ASSIGN_OR_RETURN(const AdminAnswer answer,
                   Send(method, path, body.is_null() ? "" : DumpJson(body)));
  return JsonOf(answer, options_.url);
}

Result<Json> AdminClient::CallWithFile(std::string_view method, const std::string& path,
                                       const std::string& file) const {
  ASSIGN_OR_RETURN(const AdminAnswer answer, SendFile(method, path, file));
  return JsonOf(answer, options_.url);
}

std::string EncodePathPart(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
  return out;
}

}  // namespace slipway
