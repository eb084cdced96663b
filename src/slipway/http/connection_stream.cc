// The answer that goes on: what others write to a stream is sent in chunks as the peer reads. The
// connection ends with the stream.
#include <charconv>
#include <utility>

#include "slipway/http/connection.h"
#include "slipway/http/loop.h"

namespace slipway {

void HttpConnection::OnStreamBegin(HttpReply* reply, std::shared_ptr<HttpStreamBuffer> stream) {
  if (state_ != State::kDeferred) return stream->Close();
  stream_ = std::move(stream);
  loop_->reply_head().Append(
      *reply, {.content_length = -1, .keep_alive = false, .http_1_0 = http_1_0_}, &loop_->out());
  Flush(nullptr);
  if (state_ == State::kClosed) return;
  state_ = State::kStreaming;
  keep_alive_ = false;
  linger_ = true;
  if (is_head_) {
    stream_->Close();
    stream_.reset();
    link_.reset();
    loop_->counts().pending.Add(-1);
    state_ = State::kFinishing;
    return FinishTurn();
  }
  OnStream();
}

void HttpConnection::OnStream() {
  if (state_ != State::kStreaming) return;
  if (backlog_ == nullptr) return PumpStream();  // else when the peer has read what it has
  // Too far behind is not worth waiting for.
  ArmTimer();
}

void HttpConnection::PumpStream() {
  // Whoever listens to events has nothing more to say: a closed half is a peer that has gone.
  if (peer_closed_) return Close();
  std::string bytes;
  bool ended = false, dropped = false;
  stream_->Take(&bytes, &ended, &dropped);
  if (dropped) return Close();
  HttpByteBuffer& out = loop_->out();
  if (!bytes.empty() && !http_1_0_) {
    char size[24];
    const char* const end = std::to_chars(size, size + sizeof size, bytes.size(), 16).ptr;
    out.Append({size, end});
    out.Append("\r\n");
    out.Append(bytes);
    out.Append("\r\n");
  } else {
    out.Append(bytes);
  }
  if (ended) {
    if (!http_1_0_) out.Append("0\r\n\r\n");
    stream_->Close();
    stream_.reset();
    link_.reset();
    loop_->counts().pending.Add(-1);
    state_ = State::kFinishing;
    return FinishTurn();
  }
  Flush(nullptr);
  if (state_ != State::kClosed) ArmTimer();
}

}  // namespace slipway
