// Drives a request parser over bytes cut anywhere: for its tests and its fuzzer.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/http/request_parser.h"

namespace slipway {

// What a connection would have seen: one line for each request ("POST /a?b [Name=value,...] body")
// and "refused STATUS" at the end if it came to that.
class HttpParserRun {
 public:
  explicit HttpParserRun(const HttpLimits* limits, size_t max_body = 1 << 20, bool spool = false)
      : parser_(limits), max_body_(max_body), spool_(spool) {}

  void Feed(std::string_view bytes) {
    while (!bytes.empty() && !refused_) {
      const std::span<char> space = parser_.Space();
      const size_t n = std::min(space.size(), bytes.size());
      std::memcpy(space.data(), bytes.data(), n);
      parser_.Commit(n);
      bytes.remove_prefix(n);
      Drive();
    }
  }
  const std::vector<std::string>& lines() const { return lines_; }
  bool refused() const { return refused_; }
  std::string_view reason() const { return parser_.refusal().reason; }
  const HttpRequestParser& parser() const { return parser_; }

 private:
  void Drive() {
    while (parser_.unparsed() > 0 || head_) {
      const HttpRequestParser::Step step = parser_.Parse();
      head_ = step == HttpRequestParser::Step::kHead;
      if (head_) parser_.SetMaxBody(max_body_);
      if (step == HttpRequestParser::Step::kBad) {
        lines_.push_back("refused " + std::to_string(parser_.refusal().status));
        refused_ = true;
        return;
      }
      const bool complete = step == HttpRequestParser::Step::kRequest;
      if (spool_ && (complete || parser_.in_body())) {
        spooled_ += parser_.BodyBytes();
        parser_.DropBodyBytes();
      }
      if (step == HttpRequestParser::Step::kMore) return;
      if (complete) Complete();
    }
  }

  void Complete() {
    HttpRequest request;
    std::vector<HttpHeader> headers;
    parser_.Describe(&request, &headers);
    std::string line(request.method);
    line += ' ';
    line += request.path;
    if (!request.query.empty()) line.append("?").append(request.query);
    line += " [";
    for (const HttpHeader& header : headers) {
      if (line.back() != '[') line += ',';
      line.append(header.name).append("=").append(header.value);
    }
    line += "] ";
    line += spool_ ? std::string_view(spooled_) : request.body;
    if (!parser_.keep_alive()) line += " (last)";
    lines_.push_back(std::move(line));
    spooled_.clear();
    parser_.Next();
  }

  HttpRequestParser parser_;
  const size_t max_body_;
  const bool spool_;
  bool head_ = false, refused_ = false;
  std::string spooled_;
  std::vector<std::string> lines_;
};

}  // namespace slipway
