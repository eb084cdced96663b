#include "slipway/http/request_parser.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "slipway/http/header_rules.h"

namespace slipway {

// llhttp's hooks; its `data` is the parser.
struct HttpRequestParser::Callbacks {
  static HttpRequestParser* Of(llhttp_t* parser) {
    return static_cast<HttpRequestParser*>(parser->data);
  }
  static int Url(llhttp_t* parser, const char* at, size_t size) {
    HttpRequestParser* self = Of(parser);
    if (self->url_size_ == 0) self->url_ = static_cast<uint32_t>(at - self->base());
    self->url_size_ += static_cast<uint32_t>(size);
    return 0;
  }
  static int Field(llhttp_t* parser, const char* at, size_t size) {
    return Of(parser)->OnField(at, size);
  }
  static int Value(llhttp_t* parser, const char* at, size_t size) {
    return Of(parser)->OnValue(at, size);
  }
  static int HeadersComplete(llhttp_t* parser) {
    parser->upgrade = 0;  // no protocol is switched to: the request is read as it stands
    return HPE_PAUSED;
  }
  static int ChunkHeader(llhttp_t* parser) {
    HttpRequestParser* self = Of(parser);
    if (++self->chunks_ > self->limits_->chunks) {
      return self->Stop(413, self->Beyond("the body comes in more than",
                                          static_cast<uint64_t>(self->limits_->chunks), " chunks"));
    }
    const uint64_t have = self->body_taken_ + self->body_size_;
    if (parser->content_length > self->max_body_ ||
        have + parser->content_length > self->max_body_) {
      return self->Stop(413, self->Beyond("the body is larger than", self->max_body_));
    }
    return 0;
  }
  static int ChunkExtension(llhttp_t* parser, const char*, size_t size) {
    HttpRequestParser* self = Of(parser);
    self->extension_bytes_ += static_cast<int64_t>(size);
    if (self->extension_bytes_ > self->limits_->chunk_extension_bytes) {
      return self->Stop(400, "chunk extensions are too long");
    }
    return 0;
  }
  static int Body(llhttp_t* parser, const char* at, size_t size) {
    HttpRequestParser* self = Of(parser);
    if (size > self->max_body_ -
                   std::min<uint64_t>(self->max_body_, self->body_taken_ + self->body_size_)) {
      return self->Stop(413, self->Beyond("the body is larger than", self->max_body_));
    }
    char* to = self->base() + self->head_size_ + self->body_size_;
    if (to != at) std::memmove(to, at, size);
    self->body_size_ += size;
    return 0;
  }
  static int MessageComplete(llhttp_t*) { return HPE_PAUSED; }

  static const llhttp_settings_t* Settings() {
    static const llhttp_settings_t settings = [] {
      llhttp_settings_t made;
      llhttp_settings_init(&made);
      made.on_url = Url;
      made.on_header_field = Field;
      made.on_header_value = Value;
      made.on_headers_complete = HeadersComplete;
      made.on_chunk_header = ChunkHeader;
      made.on_chunk_extension_name = ChunkExtension;
      made.on_chunk_extension_value = ChunkExtension;
      made.on_body = Body;
      made.on_message_complete = MessageComplete;
      return made;
    }();
    return &settings;
  }
};

HttpRequestParser::HttpRequestParser(const HttpLimits* limits) : limits_(limits) {
  llhttp_init(&parser_, HTTP_REQUEST, Callbacks::Settings());
  parser_.data = this;
  fields_.reserve(32);
}

HttpRequestParser::~HttpRequestParser() { std::free(data_); }

std::span<char> HttpRequestParser::Space() {
  if (end_ == capacity_ && begin_ > 0) {
    std::memmove(data_, base(), end_ - begin_);
    end_ -= begin_;
    parsed_ -= begin_;
    begin_ = 0;
  }
  if (end_ == capacity_) {
    // A body of known length: at once what it takes, up to a size that costs little when it never
    // comes; beyond, twofold steps as it comes.
    size_t wanted = std::max(kInitialBytes, capacity_ * 2);
    if (state_ == State::kBody && framing_ == Framing::kLength) {
      const uint64_t needed = head_size_ + body_left_;
      const uint64_t once = std::max<uint64_t>(wanted, size_t{1} << 20);
      wanted = std::max<size_t>(std::min<uint64_t>(needed, once), capacity_ + 1);
    }
    void* moved = std::realloc(data_, wanted + kHttpPadding);
    if (moved == nullptr) throw std::bad_alloc();
    data_ = static_cast<char*>(moved);
    capacity_ = wanted;
  }
  return {data_ + end_, capacity_ - end_};
}

HttpRequestParser::Step HttpRequestParser::Parse() {
  switch (state_) {
    case State::kHead:
      return ParseHead();
    case State::kHeadDone:
      state_ = State::kBody;
      [[fallthrough]];
    case State::kBody:
      return ParseBody();
    case State::kComplete:
      return Step::kRequest;
    case State::kBad:
      break;
  }
  return Step::kBad;
}

HttpRequestParser::Step HttpRequestParser::ParseHead() {
  const char* from = data_ + parsed_;
  const llhttp_errno_t error = llhttp_execute(&parser_, from, end_ - parsed_);
  if (error == HPE_OK) {
    parsed_ = end_;
    const size_t have = end_ - begin_;
    if (fields_.empty() && have > limits_->request_line_bytes) {
      return Refuse(414, Beyond("the request line is longer than", limits_->request_line_bytes));
    }
    const size_t line = fields_.empty() ? have : fields_.front().name;
    if (have - line > limits_->header_bytes)
      return Refuse(431, Beyond("the headers are larger than", limits_->header_bytes));
    return Step::kMore;
  }
  if (error != HPE_PAUSED) return RefuseByParser(error);
  parsed_ = static_cast<size_t>(llhttp_get_error_pos(&parser_) - data_);
  head_size_ = parsed_ - begin_;
  return CheckHead();
}

HttpRequestParser::Step HttpRequestParser::CheckHead() {
  if (parser_.http_major != 1 || parser_.http_minor > 1) {
    return Refuse(505, "this server speaks HTTP/1.1");
  }
  http_1_0_ = parser_.http_minor == 0;
  if (!IsServedHttpMethod(parser_.method)) return Refuse(501, "this method is not supported");
  // llhttp takes more blanks and line ends around the method, and knows relatives of HTTP.
  std::string_view line_start(base(), head_size_);
  while (line_start.starts_with("\r\n")) line_start.remove_prefix(2);
  const std::string_view method = HttpMethodName(parser_.method);
  const auto method_at = static_cast<size_t>(line_start.data() - base());
  if (!line_start.starts_with(method) || method_at + method.size() + 1 != url_) {
    return Refuse(400, "the request line is not METHOD, a blank, and a target");
  }
  const std::string_view protocol(base() + url_ + url_size_, std::min<size_t>(8, head_size_));
  if (protocol != " HTTP/1.") return Refuse(400, "this is no HTTP request");
  const size_t line = fields_.empty() ? head_size_ : fields_.front().name;
  if (line > limits_->request_line_bytes)
    return Refuse(414, Beyond("the request line is longer than", limits_->request_line_bytes));
  if (head_size_ - line > limits_->header_bytes)
    return Refuse(431, Beyond("the headers are larger than", limits_->header_bytes));
  for (const Field& field : fields_) {
    if (!CheckField(NameOf(field), ValueOf(field))) return Step::kBad;
  }
  if (hosts_ > 1) return Refuse(400, "the Host header is there twice");
  if (authorizations_ > 1) return Refuse(400, "the Authorization header is there twice");
  if (hosts_ == 0 && !http_1_0_) return Refuse(400, "the Host header is missing");
  if (encodings_ > 0 && (lengths_ > 0 || http_1_0_)) {
    return Refuse(400, lengths_ > 0 ? "Transfer-Encoding and Content-Length contradict each other"
                                    : "HTTP/1.0 has no Transfer-Encoding");
  }
  if (encodings_ > 1) return Refuse(400, "the Transfer-Encoding header is there twice");
  if (lengths_ > 1) return Refuse(400, "the Content-Length header is there twice");
  const bool chunked = (parser_.flags & F_CHUNKED) != 0;
  if (chunked != (encodings_ == 1) || (lengths_ == 1 && parser_.content_length != stated_length_)) {
    return Refuse(400, "the length of the body is not clear");
  }
  if (!CheckTarget()) return Step::kBad;
  framing_ = chunked ? Framing::kChunked : Framing::kLength;
  body_left_ = lengths_ == 1 ? stated_length_ : 0;
  keep_alive_ = llhttp_should_keep_alive(&parser_) != 0;
  state_ = State::kHeadDone;
  head_read_ = true;
  return Step::kHead;
}

bool HttpRequestParser::CheckField(std::string_view name, std::string_view value) {
  switch (name.size()) {
    case 4:
      if (!SameHttpName(name, "host")) break;
      ++hosts_;
      host_ = static_cast<uint32_t>(value.data() - base());
      host_size_ = static_cast<uint32_t>(value.size());
      if (!IsHttpHost(value)) return Refuse(400, "the Host header is no host"), false;
      break;
    case 6:
      if (!SameHttpName(name, "expect")) break;
      if (http_1_0_) break;  // RFC 9110 10.1.1: ignored there
      if (!SameHttpName(value, "100-continue")) {
        return Refuse(417, "only 'Expect: 100-continue' can be met"), false;
      }
      expects_continue_ = true;
      break;
    case 13:
      if (SameHttpName(name, "authorization")) ++authorizations_;
      break;
    case 14:
      if (!SameHttpName(name, "content-length")) break;
      ++lengths_;
      if (!ParseHttpLength(value, &stated_length_)) {
        return Refuse(400, "Content-Length is no number"), false;
      }
      break;
    case 17:
      if (!SameHttpName(name, "transfer-encoding")) break;
      ++encodings_;
      if (!SameHttpName(value, "chunked")) {
        const bool other = EndsInHttpToken(value, "chunked");
        return Refuse(other ? 501 : 400, other ? "the only transfer coding served is chunked"
                                               : "the transfer coding must be chunked"),
               false;
      }
      break;
    default:
      break;
  }
  return true;
}

bool HttpRequestParser::CheckTarget() {
  std::string_view target(base() + url_, url_size_);
  if (target == "*" && parser_.method == HTTP_OPTIONS) {
    options_of_server_ = true;
    path_ = url_;
    path_size_ = 1;
    return true;
  }
  if (!target.empty() && target[0] != '/') {
    // RFC 9112 3.2.2: the absolute form, here only with the host that Host names.
    std::string_view authority;
    if (!SplitAbsoluteHttpTarget(target, &authority, &target)) {
      return Refuse(400, "the request target must begin with '/'"), false;
    }
    if (!SameHttpName(authority, std::string_view(base() + host_, host_size_))) {
      return Refuse(400, "the request target and the Host header name different hosts"), false;
    }
  }
  if (target.empty() || target[0] != '/' || !IsHttpTarget(target)) {
    return Refuse(400,
                  "the request target must begin with '/' and hold no other characters than "
                  "a URL's"),
           false;
  }
  path_ = static_cast<uint32_t>(target.data() - base());
  const size_t mark = target.find('?');
  path_size_ = static_cast<uint32_t>(std::min(mark, target.size()));
  query_ = path_ + path_size_;
  query_size_ = 0;
  if (mark != std::string_view::npos) {
    ++query_;
    query_size_ = static_cast<uint32_t>(target.size() - mark - 1);
  }
  return true;
}

HttpRequestParser::Step HttpRequestParser::ParseBody() {
  if (framing_ == Framing::kLength) {
    if (body_left_ + body_taken_ > max_body_)
      return Refuse(413, Beyond("the body is larger than", max_body_));
    const size_t have = end_ - begin_ - head_size_;
    parsed_ = begin_ + head_size_ + static_cast<size_t>(std::min<uint64_t>(have, body_left_));
    if (have < body_left_) return Step::kMore;
    state_ = State::kComplete;
    return Step::kRequest;
  }
  if (parsed_ == end_) return Step::kMore;
  llhttp_resume(&parser_);
  const size_t from = parsed_;
  const size_t body_before = body_size_;
  const llhttp_errno_t error = llhttp_execute(&parser_, data_ + parsed_, end_ - parsed_);
  if (error != HPE_OK && error != HPE_PAUSED) return RefuseByParser(error);
  parsed_ = error == HPE_OK ? end_ : static_cast<size_t>(llhttp_get_error_pos(&parser_) - data_);
  // Sizes, extensions and trailers, however they are spelt: zeros and blanks cost us too.
  framing_bytes_ += parsed_ - from - (body_size_ - body_before);
  const uint64_t allowed = 32 * static_cast<uint64_t>(chunks_ + 1) +
                           static_cast<uint64_t>(limits_->chunk_extension_bytes) +
                           limits_->header_bytes;
  if (framing_bytes_ > allowed) return Refuse(400, "the chunks' framing is too long");
  if (error == HPE_PAUSED) {
    state_ = State::kComplete;
    return Step::kRequest;
  }
  parsed_ = end_ = begin_ + head_size_ + body_size_;  // all used up: the next bytes go there
  return Step::kMore;
}

int HttpRequestParser::OnField(const char* at, size_t size) {
  if (state_ != State::kHead) return 0;  // a trailer: read and dropped
  const auto offset = static_cast<uint32_t>(at - base());
  // A name cut by the end of what was received goes on where it stopped; a new one never does.
  if (fields_.empty() || fields_.back().name + fields_.back().name_size != offset) {
    if (static_cast<int>(fields_.size()) >= limits_->headers) {
      return Stop(
          431, Beyond("there are more headers than", static_cast<uint64_t>(limits_->headers), ""));
    }
    fields_.push_back({.name = offset, .name_size = 0, .value = offset, .value_size = 0});
  }
  fields_.back().name_size += static_cast<uint32_t>(size);
  return 0;
}

int HttpRequestParser::OnValue(const char* at, size_t size) {
  if (state_ != State::kHead || fields_.empty()) return 0;
  Field& field = fields_.back();
  const auto offset = static_cast<uint32_t>(at - base());
  if (field.value_size == 0) field.value = offset;
  if (field.value + field.value_size != offset) return Stop(400, "a header value is folded");
  field.value_size += static_cast<uint32_t>(size);
  return 0;
}

std::string_view HttpRequestParser::Beyond(std::string_view what, uint64_t limit,
                                           std::string_view unit) {
  beyond_.assign(what).append(" ").append(std::to_string(limit)).append(unit);
  return beyond_;
}

int HttpRequestParser::Stop(int status, std::string_view reason) {
  refusal_ = {status, reason};
  return HPE_USER;
}

HttpRequestParser::Step HttpRequestParser::Refuse(int status, std::string_view reason) {
  refusal_ = {status, reason};
  keep_alive_ = false;
  state_ = State::kBad;
  return Step::kBad;
}

HttpRequestParser::Step HttpRequestParser::RefuseByParser(llhttp_errno_t error) {
  if (refusal_.status != 0) return Refuse(refusal_.status, refusal_.reason);  // ours
  const bool version_read = parser_.http_major != 0 || parser_.http_minor != 0;
  const bool version_served = parser_.http_major == 1 && parser_.http_minor <= 1;
  if (error == HPE_PAUSED_H2_UPGRADE ||
      (error == HPE_INVALID_VERSION && version_read && !version_served)) {
    return Refuse(505, "this server speaks HTTP/1.1");
  }
  if (error == HPE_INVALID_METHOD) {
    // What llhttp has looked at, so that the answer does not depend on how the bytes were cut.
    const auto seen = static_cast<size_t>(llhttp_get_error_pos(&parser_) - base()) + 1;
    const std::string_view text(base(), std::min(seen, end_ - begin_));
    if (BeginsLikeHttpMethod(text)) return Refuse(501, "this method is not supported");
  }
  const char* reason = llhttp_get_error_reason(&parser_);
  return Refuse(400, reason != nullptr && *reason != 0 ? reason : "this is no HTTP request");
}

std::string_view HttpRequestParser::NameOf(const Field& field) const {
  return {base() + field.name, field.name_size};
}

std::string_view HttpRequestParser::ValueOf(const Field& field) const {
  std::string_view value(base() + field.value, field.value_size);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  return value;
}

void HttpRequestParser::Describe(HttpRequest* request, std::vector<HttpHeader>* headers) const {
  headers->clear();
  for (const Field& field : fields_) headers->push_back({NameOf(field), ValueOf(field)});
  request->headers = *headers;
  request->method = HttpMethodName(parser_.method);
  request->path = {base() + path_, path_size_};
  request->query = {base() + query_, query_size_};
  request->body = state_ == State::kComplete ? BodyBytes() : std::string_view();
}

std::string_view HttpRequestParser::BodyBytes() const {
  const char* body = base() + head_size_;
  if (framing_ == Framing::kChunked) return {body, body_size_};
  const size_t have = end_ - begin_ - head_size_;
  return {body, static_cast<size_t>(std::min<uint64_t>(have, body_left_))};
}

void HttpRequestParser::DropBodyBytes() {
  const size_t n = BodyBytes().size();
  body_taken_ += n;
  if (framing_ == Framing::kChunked) {
    body_size_ = 0;
    if (state_ != State::kComplete) parsed_ = end_ = begin_ + head_size_;
    return;
  }
  char* body = base() + head_size_;
  std::memmove(body, body + n, end_ - begin_ - head_size_ - n);
  end_ -= n;
  parsed_ -= n;
  body_left_ -= n;
}

int64_t HttpRequestParser::body_received() const {
  return state_ == State::kBody ? static_cast<int64_t>(body_taken_ + BodyBytes().size()) : 0;
}

void HttpRequestParser::Next() {
  begin_ = parsed_;
  if (begin_ == end_) begin_ = parsed_ = end_ = 0;
  state_ = State::kHead;
  llhttp_reset(&parser_);
  fields_.clear();
  refusal_ = {};
  url_size_ = path_size_ = query_size_ = 0;
  head_size_ = 0;
  hosts_ = lengths_ = encodings_ = authorizations_ = 0;
  host_size_ = 0;
  keep_alive_ = http_1_0_ = expects_continue_ = options_of_server_ = head_read_ = false;
  framing_ = Framing::kLength;
  max_body_ = 0;
  body_left_ = body_taken_ = stated_length_ = 0;
  body_size_ = 0;
  chunks_ = extension_bytes_ = 0;
  framing_bytes_ = 0;
}

void HttpRequestParser::MoveRestTo(HttpRequestParser* other) {
  size_t left = end_ - parsed_;
  const char* from = data_ + parsed_;
  while (left > 0) {
    const std::span<char> space = other->Space();
    const size_t n = std::min(left, space.size());
    std::memcpy(space.data(), from, n);
    other->Commit(n);
    from += n;
    left -= n;
  }
  end_ = parsed_;
}

void HttpRequestParser::Reset(size_t keep_bytes) {
  parsed_ = end_;
  Next();
  if (capacity_ > keep_bytes) {
    std::free(data_);
    data_ = nullptr;
    capacity_ = 0;
  }
}

}  // namespace slipway
