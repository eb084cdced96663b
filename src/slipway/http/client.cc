#include "slipway/http/client.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/http/address_rules.h"
#include "slipway/http/libcurl.h"

namespace slipway {
namespace {

constexpr size_t kMaxHeadBytes = 256 << 10;
constexpr size_t kMaxErrorBody = 1 << 20;  // of an answer that is not 2xx
constexpr size_t kMaxIdleHandles = 16;

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("!#$%&'*+-.^_`|~", c) != nullptr;
  });
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

// "POST http://host:1/path": queries may hold secrets.
std::string Name(const HttpCall& call) {
  return call.method + " " +
         call.url.substr(0, std::min(call.url.find_first_of("?#"), size_t{300}));
}

Status Check(const HttpCall& call) {
  if (!IsToken(call.method)) return InvalidArgument("'" + call.method + "' is no HTTP method");
  const std::string scheme = ToLower(call.url.substr(0, call.url.find("://")));
  if ((scheme != "http" && scheme != "https") || HasControl(call.url) ||
      call.url.find(' ') != std::string::npos) {
    return InvalidArgument("'" + call.url.substr(0, std::min(call.url.find('?'), size_t{200})) +
                               "' is no URL that can be called",
                           "write it as http://HOST:PORT/PATH or https://HOST:PORT/PATH");
  }
  const std::string rest = call.url.substr(scheme.size() + 3);
  if (rest.substr(0, rest.find_first_of("/?#")).find('@') != std::string::npos)
    return InvalidArgument("a URL must not hold a name or a password", "send them in a header");
  for (const auto& [name, value] : call.headers) {
    if (!IsToken(name) || HasControl(value))
      return InvalidArgument("the header '" + name.substr(0, 60) + "' cannot be sent");
  }
  if (!call.body_file.empty() && !call.body.empty())
    return InvalidArgument("a request has a body or a body file, not both");
  return {};
}

class OpenFile {
 public:
  OpenFile() = default;
  ~OpenFile() { Close(); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  Status Open(const std::string& path, int flags) {
    fd_ = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    if (fd_ < 0) return FileError("open", path, errno);
    return {};
  }
  int Close() {
    const int result = fd_ >= 0 ? ::close(fd_) : 0;
    fd_ = -1;
    return result;
  }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

}  // namespace

// What libcurl's callbacks see of a request. They are C's: none may throw.
struct HttpClient::Exchange {
  const HttpCall* call = nullptr;
  bool public_only = false;
  bool drop_redirects = false;  // a redirect that is followed: its body is nobody's
  HttpAnswer answer;
  OpenFile from, to;
  size_t head_bytes = 0;
  Status failure;  // what a callback found, more exact than libcurl's code

  size_t Fail(Error error) noexcept {
    if (failure.ok()) failure = Status(std::move(error));
    return static_cast<size_t>(-1);
  }

  size_t OnHeader(std::string_view line) {
    head_bytes += line.size();
    if (head_bytes > kMaxHeadBytes) return Fail(Unavailable("the answer's head is too large"));
    if (line.starts_with("HTTP/")) {  // of an interim answer, or the final one
      answer.headers.clear();
      const size_t blank = line.find(' ');
      answer.status = blank == std::string_view::npos
                          ? 0
                          : static_cast<int>(ParseInt64(line.substr(blank + 1, 3)).value_or(0));
      return line.size();
    }
    if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
      answer.headers[ToLower(Trim(line.substr(0, colon)))] = Trim(line.substr(colon + 1));
    }
    return line.size();
  }

  size_t OnBody(std::string_view bytes) {
    if (drop_redirects && answer.status >= 300 && answer.status < 400) return bytes.size();
    answer.bytes += static_cast<int64_t>(bytes.size());
    const bool elsewhere = answer.ok() && (call->on_bytes || to.fd() >= 0);
    size_t limit = call->max_answer_bytes;
    if (!answer.ok()) limit = limit == 0 ? kMaxErrorBody : std::min(limit, kMaxErrorBody);
    if (limit != 0 && static_cast<size_t>(answer.bytes) > limit)
      return Fail(
          Unavailable("the answer is larger than " + FormatBytes(static_cast<int64_t>(limit))));
    if (!elsewhere) {
      answer.body.append(bytes);
    } else if (call->on_bytes) {
      if (!call->on_bytes(bytes)) return Fail(Cancelled("the request was ended"));
    } else {
      for (std::string_view rest = bytes; !rest.empty();) {
        const ssize_t n = ::write(to.fd(), rest.data(), rest.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return Fail(FileError("write", call->answer_file, errno));
        rest.remove_prefix(static_cast<size_t>(n));
      }
    }
    return bytes.size();
  }

  static size_t Header(char* bytes, size_t size, size_t count, void* self) noexcept try {
    return static_cast<Exchange*>(self)->OnHeader({bytes, size * count});
  } catch (...) {
    return 0;
  }
  static size_t Write(char* bytes, size_t size, size_t count, void* self) noexcept try {
    return static_cast<Exchange*>(self)->OnBody({bytes, size * count});
  } catch (...) {
    return 0;
  }
  static size_t Read(char* space, size_t size, size_t count, void* self) noexcept {
    const ssize_t n = ::read(static_cast<Exchange*>(self)->from.fd(), space, size * count);
    return n < 0 ? CURL_READFUNC_ABORT : static_cast<size_t>(n);
  }
  // A connection that the server had closed meanwhile: the body is sent again from its begin.
  static int Seek(void* self, curl_off_t offset, int origin) noexcept {
    const off_t at = ::lseek(static_cast<Exchange*>(self)->from.fd(), offset, origin);
    return at < 0 ? CURL_SEEKFUNC_FAIL : CURL_SEEKFUNC_OK;
  }
  static int Progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept {
    const auto* cancel = static_cast<Exchange*>(self)->call->cancel;
    return cancel != nullptr && cancel->load() ? 1 : 0;
  }
  static curl_socket_t OpenSocket(void* self, curlsocktype, curl_sockaddr* address) noexcept try {
    auto* exchange = static_cast<Exchange*>(self);
    if (exchange->public_only && !IsPublicSocketAddress(&address->addr)) {
      exchange->Fail(PermissionDenied("its address is not public"));
      return CURL_SOCKET_BAD;
    }
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  } catch (...) {
    return CURL_SOCKET_BAD;
  }
};

namespace {

Error Describe(const Libcurl& curl, CURLcode code, const char* detail) {
  const std::string reason = *detail != '\0' ? detail : curl.easy_strerror(code);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return DeadlineExceeded("no answer in time: " + reason);
    case CURLE_ABORTED_BY_CALLBACK:
      return Cancelled("the request was cancelled");
    case CURLE_PEER_FAILED_VERIFICATION:
      return Unavailable("the server's certificate is not trusted: " + reason,
                         "give the CA that signed it");
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return InvalidArgument("this URL cannot be called: " + reason);
    default:
      return Unavailable(reason);
  }
}

}  // namespace

std::string HttpAnswer::Header(const std::string& lower_case_name) const {
  const auto found = headers.find(lower_case_name);
  return found == headers.end() ? "" : found->second;
}

HttpClient::HttpClient(HttpClientOptions options) : options_(std::move(options)) {}

HttpClient::~HttpClient() {
  const MutexLock lock(mutex_);
  for (void* handle : idle_) (*LoadLibcurl())->easy_cleanup(handle);
}

Result<HttpAnswer> HttpClient::SendOnce(void* handle, const HttpCall& call, const std::string& url,
                                        bool follow, std::string* next) {
  ASSIGN_OR_RETURN(const Libcurl* library, LoadLibcurl());
  const Libcurl& curl = *library;
  Exchange exchange;
  exchange.call = &call;
  exchange.public_only = options_.public_addresses_only;
  exchange.drop_redirects = follow;
  const std::string part = call.answer_file + ".part";
  if (!call.answer_file.empty())
    RETURN_IF_ERROR(exchange.to.Open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW));

  curl.easy_reset(handle);
  CURLcode refused = CURLE_OK;
  const auto set = [&](CURLoption option, auto value) {
    const CURLcode code = curl.easy_setopt(handle, option, value);
    if (code != CURLE_OK) refused = code;
  };
  const auto milliseconds = [](double seconds) {
    return static_cast<long>(std::clamp(seconds * 1000, 1.0, 2e9));
  };
  char detail[CURL_ERROR_SIZE] = "";
  set(CURLOPT_ERRORBUFFER, detail);
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  set(CURLOPT_PROXY, "");
  set(CURLOPT_NETRC, long{CURL_NETRC_IGNORED});
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_USERAGENT, options_.user_agent.c_str());
  set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(options_.connect_seconds));
  const double total = call.total_seconds >= 0 ? call.total_seconds : options_.total_seconds;
  if (total > 0) set(CURLOPT_TIMEOUT_MS, milliseconds(total));
  if (call.idle_seconds > 0) {
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(call.idle_seconds)));
  }
  set(CURLOPT_SSL_VERIFYPEER, options_.insecure ? 0L : 1L);
  set(CURLOPT_SSL_VERIFYHOST, options_.insecure ? 0L : 2L);
  if (!options_.ca_file.empty()) set(CURLOPT_CAINFO, options_.ca_file.c_str());
  if (!options_.certificate_file.empty()) {
    set(CURLOPT_SSLCERT, options_.certificate_file.c_str());
    set(CURLOPT_SSLKEY, options_.key_file.c_str());
  }
  set(CURLOPT_OPENSOCKETFUNCTION, &Exchange::OpenSocket);
  set(CURLOPT_OPENSOCKETDATA, &exchange);
  set(CURLOPT_HEADERFUNCTION, &Exchange::Header);
  set(CURLOPT_HEADERDATA, &exchange);
  set(CURLOPT_WRITEFUNCTION, &Exchange::Write);
  set(CURLOPT_WRITEDATA, &exchange);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &Exchange::Progress);
  set(CURLOPT_XFERINFODATA, &exchange);

  if (call.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (!call.body_file.empty()) {
    RETURN_IF_ERROR(exchange.from.Open(call.body_file, O_RDONLY));
    ASSIGN_OR_RETURN(const int64_t size, FileSize(call.body_file));
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
    set(CURLOPT_READFUNCTION, &Exchange::Read);
    set(CURLOPT_READDATA, &exchange);
    set(CURLOPT_SEEKFUNCTION, &Exchange::Seek);
    set(CURLOPT_SEEKDATA, &exchange);
  } else if (!call.body.empty() || call.method == "POST" || call.method == "PUT" ||
             call.method == "PATCH") {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
    set(CURLOPT_POSTFIELDS, call.body.empty() ? "" : call.body.data());
  }
  if (call.method != "HEAD") set(CURLOPT_CUSTOMREQUEST, call.method.c_str());

  curl_slist* lines = nullptr;
  bool has_type = false;
  for (const auto& [name, value] : call.headers) {
    has_type |= ToLower(name) == "content-type";
    // libcurl takes "Name;" for a header without a value.
    lines = curl.slist_append(lines, (value.empty() ? name + ";" : name + ": " + value).c_str());
  }
  if (!has_type) lines = curl.slist_append(lines, "Content-Type:");  // none of libcurl's own
  set(CURLOPT_HTTPHEADER, lines);
  CURLcode code = refused != CURLE_OK ? refused : curl.easy_perform(handle);
  curl.easy_setopt(handle, CURLOPT_HTTPHEADER, static_cast<curl_slist*>(nullptr));
  curl.slist_free_all(lines);

  const auto failed = [&](Error error) {
    if (!call.answer_file.empty()) ::unlink(part.c_str());
    return error;
  };
  if (!exchange.failure.ok()) return failed(exchange.failure.error());
  if (code != CURLE_OK) return failed(Describe(curl, code, detail));
  if (!call.answer_file.empty()) {
    if (!exchange.answer.ok()) {
      ::unlink(part.c_str());
    } else if (exchange.to.Close() != 0 ||
               std::rename(part.c_str(), call.answer_file.c_str()) != 0) {
      return failed(FileError("write", call.answer_file, errno));
    }
  }
  if (follow && exchange.answer.status >= 300 && exchange.answer.status < 400) {
    const char* to = nullptr;
    curl.easy_getinfo(handle, CURLINFO_REDIRECT_URL, &to);
    if (to != nullptr) *next = to;
  }
  return std::move(exchange.answer);
}

Result<HttpAnswer> HttpClient::Send(const HttpCall& call) {
  RETURN_IF_ERROR(Check(call));
  const auto with_name = [&](const Error& error) { return error.Within(Name(call)); };
  auto library = LoadLibcurl();
  if (!library.ok()) return with_name(library.error());
  void* handle = nullptr;
  {
    const MutexLock lock(mutex_);
    if (!idle_.empty()) {
      handle = idle_.back();
      idle_.pop_back();
    }
  }
  if (handle == nullptr) handle = (*library)->easy_init();
  if (handle == nullptr) return with_name(Unavailable("libcurl gives no handle"));
  const bool may_follow = call.redirects > 0 && (call.method == "GET" || call.method == "HEAD");
  std::string url = call.url, next;
  Result<HttpAnswer> answer = SendOnce(handle, call, url, may_follow, &next);
  for (int left = call.redirects; answer.ok() && !next.empty(); --left) {
    if (left == 0) {
      answer = Unavailable("more than " + std::to_string(call.redirects) + " redirects");
    } else if (!SameOrigin(url, next)) {
      answer = PermissionDenied("it redirects to another host, which is not followed");
    } else {
      url = std::exchange(next, "");
      answer = SendOnce(handle, call, url, true, &next);
    }
  }
  {
    const MutexLock lock(mutex_);
    if (idle_.size() < kMaxIdleHandles) {
      idle_.push_back(handle);
      handle = nullptr;
    }
  }
  if (handle != nullptr) (*library)->easy_cleanup(handle);
  if (!answer.ok()) return with_name(answer.error());
  return answer;
}

}  // namespace slipway
