// The status line and headers of an answer. The Date is made once a second. Confined to one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "slipway/http/byte_buffer.h"
#include "slipway/http/server.h"

namespace slipway {

struct HttpReplyFraming {
  int64_t content_length = 0;  // of the body that follows, or that GET would have sent; -1: it is
                               // not known, the body comes in chunks (HTTP/1.0: to the end)
  bool keep_alive = true;
  bool http_1_0 = false;
};

class HttpReplyHead {
 public:
  explicit HttpReplyHead(std::string server_name);
  // Once per turn of the loop.
  void Refresh(int64_t now_ns) {
    if (now_ns >= refresh_ns_) MakeCommon(now_ns);
  }
  void Append(const HttpReply& reply, const HttpReplyFraming& framing, HttpByteBuffer* out) const;

 private:
  void MakeCommon(int64_t now_ns);

  const std::string server_name_;
  std::string common_;  // the lines that every answer has
  std::string ok_;      // and the status line of most before them
  int64_t refresh_ns_ = 0;
};

// Whether answers of this status have no body at all.
bool HttpStatusHasNoBody(int status);

}  // namespace slipway
