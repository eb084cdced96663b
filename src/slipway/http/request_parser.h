// One request at a time out of a connection's bytes: llhttp in strict mode over its own buffer, so
// that names, values and body are views where they lie. Knows no socket. Confined to one thread.
//
//   Space -> (bytes read there) -> Commit -> Parse, which says what came:
//   kMore     the bytes are used up, the request is not complete
//   kHead     the head is complete and allowed; SetMaxBody may lower the limit; Parse goes on
//   kRequest  complete: Describe it, then Next
//   kBad      refused: refusal() says how; nothing more is read
//
// The body's length is found by llhttp and held against our own reading of the header lines: what
// the two do not agree on is refused. Memory: the head's limits, plus the body's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <llhttp.h>

#include "slipway/http/server.h"

namespace slipway {

struct HttpRefusal {
  int status = 0;
  std::string_view reason;  // good as long as the parser reads no further
};

class HttpRequestParser {
 public:
  enum class Step { kMore, kHead, kRequest, kBad };

  static constexpr size_t kInitialBytes = 16 << 10;

  // `limits` must outlive it.
  explicit HttpRequestParser(const HttpLimits* limits);
  ~HttpRequestParser();
  HttpRequestParser(const HttpRequestParser&) = delete;
  HttpRequestParser& operator=(const HttpRequestParser&) = delete;

  // Room for the next bytes, never empty. Moves what is there: earlier views die.
  std::span<char> Space();
  void Commit(size_t n) { end_ += n; }
  Step Parse();
  // After kHead.
  void SetMaxBody(size_t bytes) { max_body_ = bytes; }
  // After kHead or kRequest: the views into the buffer; `headers` receives the lines.
  void Describe(HttpRequest* request, std::vector<HttpHeader>* headers) const;
  // After kRequest: forgets it; bytes of the next one stay.
  void Next();
  // Moves the bytes behind a complete request to an empty parser.
  void MoveRestTo(HttpRequestParser* other);
  // Forgets all; gives memory beyond `keep_bytes` back.
  void Reset(size_t keep_bytes);

  // For bodies that go elsewhere: what of the body has come and was not taken yet.
  std::string_view BodyBytes() const;
  void DropBodyBytes();

  const HttpRefusal& refusal() const { return refusal_; }
  bool empty() const { return begin_ == end_; }
  size_t unparsed() const { return end_ - parsed_; }
  size_t capacity() const { return capacity_; }
  // Of the request at hand, from kHead on.
  bool keep_alive() const { return keep_alive_; }
  bool http_1_0() const { return http_1_0_; }
  bool is_head() const { return parser_.method == HTTP_HEAD; }
  bool has_body() const { return framing_ == Framing::kChunked || body_left_ != 0; }
  bool in_body() const { return state_ == State::kBody; }
  // The head of the request at hand is read and allowed, also when its body was refused then.
  bool head_read() const { return head_read_; }
  bool expects_continue() const { return expects_continue_; }
  int64_t body_received() const;
  bool is_options_of_server() const { return options_of_server_; }

 private:
  enum class State { kHead, kHeadDone, kBody, kComplete, kBad };
  enum class Framing { kLength, kChunked };
  // Offsets from begin_: the buffer may move while the head comes in.
  struct Field {
    uint32_t name, name_size, value, value_size;
  };
  struct Callbacks;

  Step ParseHead();
  Step ParseBody();
  Step Refuse(int status, std::string_view reason);
  Step RefuseByParser(llhttp_errno_t error);
  Step CheckHead();
  bool CheckField(std::string_view name, std::string_view value);
  bool CheckTarget();
  int OnField(const char* at, size_t size);
  int OnValue(const char* at, size_t size);
  int Stop(int status, std::string_view reason);  // from inside llhttp
  // "the body is larger than 10 bytes", the refusal's text.
  std::string_view Beyond(std::string_view what, uint64_t limit, std::string_view unit = " bytes");
  char* base() const { return data_ + begin_; }
  std::string_view NameOf(const Field& field) const;
  std::string_view ValueOf(const Field& field) const;

  const HttpLimits* limits_;
  char* data_ = nullptr;  // capacity_ + kHttpPadding bytes
  size_t capacity_ = 0;
  size_t begin_ = 0;   // of the request at hand
  size_t parsed_ = 0;  // llhttp has seen what lies before
  size_t end_ = 0;     // of what was received

  State state_ = State::kHead;
  llhttp_t parser_{};
  HttpRefusal refusal_;
  std::string beyond_;  // Beyond's
  std::vector<Field> fields_;
  uint32_t url_ = 0, url_size_ = 0;
  uint32_t path_ = 0, path_size_ = 0, query_ = 0, query_size_ = 0;
  size_t head_size_ = 0;  // from begin_

  // What the header lines say.
  int hosts_ = 0, lengths_ = 0, encodings_ = 0, authorizations_ = 0;
  uint32_t host_ = 0, host_size_ = 0;
  uint64_t stated_length_ = 0;
  bool keep_alive_ = false, http_1_0_ = false, expects_continue_ = false;
  bool options_of_server_ = false, head_read_ = false;

  Framing framing_ = Framing::kLength;
  size_t max_body_ = 0;
  uint64_t body_left_ = 0;   // kLength: what DropBodyBytes did not take yet
  uint64_t body_taken_ = 0;  // by DropBodyBytes
  size_t body_size_ = 0;     // kChunked: compacted behind the head
  int64_t chunks_ = 0, extension_bytes_ = 0;
  uint64_t framing_bytes_ = 0;  // kChunked: all that is no body
};

}  // namespace slipway
