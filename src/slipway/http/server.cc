// The plain parts of server.h: values.
#include "slipway/http/server.h"

#include "slipway/http/header_rules.h"

namespace slipway {

std::string_view HttpRequest::Header(std::string_view lower_case_name) const {
  for (const HttpHeader& header : headers) {
    if (SameHttpName(header.name, lower_case_name)) return header.value;
  }
  return {};
}

void HttpReply::AddHeader(std::string_view name, std::string_view value) {
  headers.append(name).append(": ").append(value).append("\r\n");
}

void HttpReply::Clear() {
  status = 200;
  content_type = "application/json";
  body.clear();
  file.clear();
  close = false;
  overloaded = false;
  headers.clear();
}

void HttpHandler::DescribeRefusal(int status, std::string_view reason, const HttpRequest* head,
                                  HttpReply* reply) {
  (void)status;  // on the status line
  (void)head;
  reply->content_type = "application/json";
  reply->body = R"({"message":")";
  for (const char c : reason) {
    if (c != '"' && c != '\\' && c >= ' ') reply->body += c;
  }
  reply->body += "\"}\n";
}

}  // namespace slipway
