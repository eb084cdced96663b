#include "slipway/http/header_rules.h"

#include <charconv>

#include <llhttp.h>

namespace slipway {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlpha(char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; }

}  // namespace

bool SameHttpName(std::string_view a, std::string_view lower_case) {
  if (a.size() != lower_case.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (Lower(a[i]) != Lower(lower_case[i])) return false;
  }
  return true;
}

bool ParseHttpLength(std::string_view text, uint64_t* length) {
  if (text.empty() || text.size() > 19) return false;
  for (const char c : text) {
    if (!IsDigit(c)) return false;
  }
  return std::from_chars(text.data(), text.data() + text.size(), *length).ec == std::errc();
}

bool IsHttpHost(std::string_view value) {
  if (value.size() > 260) return false;
  size_t at = 0;
  if (value.starts_with('[')) {
    const size_t end = value.find(']');
    if (end == std::string_view::npos || end < 3) return false;
    for (size_t i = 1; i < end; ++i) {
      const char c = value[i];
      if (!IsDigit(c) && !IsAlpha(c) && c != ':' && c != '.' && c != '%') return false;
    }
    at = end + 1;
  } else {
    while (at < value.size() && value[at] != ':') {
      const char c = value[at];
      if (!IsDigit(c) && !IsAlpha(c) && c != '-' && c != '.' && c != '_' && c != '~') return false;
      ++at;
    }
  }
  if (at == value.size()) return true;
  if (value[at] != ':' || value.size() - at > 6) return false;
  for (++at; at < value.size(); ++at) {
    if (!IsDigit(value[at])) return false;
  }
  return true;
}

bool IsHttpTarget(std::string_view target) {
  for (const char c : target) {
    if (c <= ' ' || c >= 127 || c == '#' || c == '"' || c == '<' || c == '>' || c == '\\') {
      return false;
    }
  }
  return true;
}

bool SplitAbsoluteHttpTarget(std::string_view target, std::string_view* authority,
                             std::string_view* rest) {
  size_t scheme = 0;
  if (target.size() > 7 && SameHttpName(target.substr(0, 7), "http://")) {
    scheme = 7;
  } else if (target.size() > 8 && SameHttpName(target.substr(0, 8), "https://")) {
    scheme = 8;
  } else {
    return false;
  }
  const size_t slash = target.find('/', scheme);
  if (slash == std::string_view::npos) return false;
  *authority = target.substr(scheme, slash - scheme);
  *rest = target.substr(slash);
  return IsHttpHost(*authority) && !authority->empty();
}

bool EndsInHttpToken(std::string_view list, std::string_view lower_case) {
  if (list.size() <= lower_case.size()) return SameHttpName(list, lower_case);
  const size_t at = list.size() - lower_case.size();
  const char before = list[at - 1];
  return SameHttpName(list.substr(at), lower_case) &&
         (before == ',' || before == ' ' || before == '\t') &&
         list.substr(0, at).find(',') != std::string_view::npos;
}

bool IsServedHttpMethod(uint8_t method) { return !HttpMethodName(method).empty(); }

std::string_view HttpMethodName(uint8_t method) {
  switch (method) {
    case HTTP_GET:
      return "GET";
    case HTTP_HEAD:
      return "HEAD";
    case HTTP_POST:
      return "POST";
    case HTTP_PUT:
      return "PUT";
    case HTTP_DELETE:
      return "DELETE";
    case HTTP_OPTIONS:
      return "OPTIONS";
    case HTTP_PATCH:
      return "PATCH";
    case HTTP_TRACE:  // these two for handlers to answer 405; nothing echoes
      return "TRACE";
    case HTTP_QUERY:
      return "QUERY";
    default:
      return {};
  }
}

bool BeginsLikeHttpMethod(std::string_view bytes) {
  while (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
  for (const char c : bytes) {
    if (!IsAlpha(c) && c != '-' && c != ' ') return false;
  }
  return !bytes.empty() && IsAlpha(bytes[0]);
}

std::string_view HttpStatusText(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 423:
      return "Locked";
    case 424:
      return "Failed Dependency";
    case 425:
      return "Too Early";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
}

}  // namespace slipway
