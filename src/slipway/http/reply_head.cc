#include "slipway/http/reply_head.h"

#include <charconv>
#include <ctime>
#include <utility>

#include "slipway/http/header_rules.h"

namespace slipway {

HttpReplyHead::HttpReplyHead(std::string server_name) : server_name_(std::move(server_name)) {
  MakeCommon(0);
}

void HttpReplyHead::MakeCommon(int64_t now_ns) {
  timespec wall{};
  ::clock_gettime(CLOCK_REALTIME, &wall);
  refresh_ns_ = now_ns + 1'000'000'000 - wall.tv_nsec;
  std::tm utc{};
  ::gmtime_r(&wall.tv_sec, &utc);
  // Not strftime: names of days must not follow the locale.
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto two = [](int n) {
    return std::string{static_cast<char>('0' + n / 10 % 10), static_cast<char>('0' + n % 10)};
  };
  common_ = "Server: " + server_name_ + "\r\nDate: " + kDays[utc.tm_wday] + ", " +
            two(utc.tm_mday) + " " + kMonths[utc.tm_mon] + " " +
            std::to_string(utc.tm_year + 1900) + " " + two(utc.tm_hour) + ":" + two(utc.tm_min) +
            ":" + two(utc.tm_sec) + " GMT\r\nX-Content-Type-Options: nosniff\r\n";
  ok_ = "HTTP/1.1 200 OK\r\n" + common_;
}

void HttpReplyHead::Append(const HttpReply& reply, const HttpReplyFraming& framing,
                           HttpByteBuffer* out) const {
  // Room for all at once: fixed lines are short of 256 bytes.
  out->Reserve(256 + common_.size() + reply.content_type.size() + reply.headers.size());
  if (reply.status == 200) {
    out->Append(ok_);
  } else {
    out->Append("HTTP/1.1 ");
    char digits[8];
    const int status = reply.status >= 200 && reply.status <= 599 ? reply.status : 500;
    out->Append({digits, std::to_chars(digits, digits + sizeof digits, status).ptr});
    out->Append(" ");
    out->Append(HttpStatusText(status));
    out->Append("\r\n");
    out->Append(common_);
  }
  if (!HttpStatusHasNoBody(reply.status)) {
    if (!reply.content_type.empty()) {
      out->Append("Content-Type: ");
      out->Append(reply.content_type);
      out->Append("\r\n");
    }
    if (framing.content_length >= 0) {
      out->Append("Content-Length: ");
      char digits[24];
      out->Append(
          {digits, std::to_chars(digits, digits + sizeof digits, framing.content_length).ptr});
      out->Append("\r\n");
    } else if (!framing.http_1_0) {
      out->Append("Transfer-Encoding: chunked\r\n");
    }
  }
  if (!framing.keep_alive) {
    out->Append("Connection: close\r\n");
  } else if (framing.http_1_0) {
    out->Append("Connection: keep-alive\r\n");
  }
  out->Append(reply.headers);
  out->Append("\r\n");
}

bool HttpStatusHasNoBody(int status) { return status == 204 || status == 304; }

}  // namespace slipway
