// The writing half of a connection: answers, backlogs, the end.
#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "slipway/http/connection.h"
#include "slipway/http/loop.h"

namespace slipway {
namespace {

constexpr size_t kCopiedBody = 16 << 10;    // larger bodies are sent from where they lie
constexpr size_t kBatchedBytes = 64 << 10;  // of answers to pipelined requests
constexpr int64_t kLingerNs = 5'000'000'000;
constexpr int64_t kDrainLingerNs = 1'000'000'000;
// An idle connection that is closed at once may lose the request that is on its way to it.
constexpr int64_t kDrainIdleNs = 1'000'000'000;
constexpr int64_t kDayNs = int64_t{86'400} * 1'000'000'000;

int64_t Nanoseconds(double seconds) { return static_cast<int64_t>(seconds * 1e9); }

}  // namespace

HttpBacklog::~HttpBacklog() {
  if (file >= 0) ::close(file);
}

void HttpConnection::Answer(HttpReply* reply) {
  HttpByteBuffer& out = loop_->out();
  int file = -1;
  int64_t size = static_cast<int64_t>(reply->body.size());
  if (!reply->file.empty()) {
    struct stat info{};
    file = ::open(reply->file.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0 || ::fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
      if (file >= 0) ::close(file);
      file = -1;
      reply->Clear();
      loop_->handler()->DescribeRefusal(500, "the file of the answer cannot be read", nullptr,
                                        reply);
      reply->status = 500;
      size = static_cast<int64_t>(reply->body.size());
    } else {
      size = info.st_size;
    }
  }
  if (reply->overloaded) loop_->LetGather();
  const int64_t most = loop_->limits().requests_per_connection;
  const bool keep_alive =
      keep_alive_ && !reply->close && !loop_->draining() && (most == 0 || requests_ < most);
  loop_->reply_head().Append(
      *reply, {.content_length = size, .keep_alive = keep_alive, .http_1_0 = http_1_0_}, &out);
  if (!keep_alive) state_ = State::kFinishing;
  if (is_head_ || HttpStatusHasNoBody(reply->status)) {
    if (file >= 0) ::close(file);
  } else if (file >= 0) {
    FlushFile(file, size);
  } else if (reply->body.size() > kCopiedBody) {
    Flush(&reply->body);
  } else {
    out.Append(reply->body);
    if (out.size() > kBatchedBytes) Flush(nullptr);
  }
}

// Bytes of both that went; 0: the peer must read first; negative: it has gone.
ssize_t HttpConnection::Send(std::string_view head, std::string_view body, bool more) {
  if (tls_ != nullptr) {
    size_t sent = 0;
    for (std::string_view piece : {head, body}) {
      while (!piece.empty()) {
        const ssize_t n = tls_->Write(piece);
        if (n == HttpTlsSession::kAgain) return static_cast<ssize_t>(sent);
        if (n <= 0) return -1;
        piece.remove_prefix(static_cast<size_t>(n));
        sent += static_cast<size_t>(n);
      }
    }
    return static_cast<ssize_t>(sent);
  }
  const int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
  for (;;) {
    ssize_t n = 0;
    if (body.empty()) {
      n = ::send(fd_, head.data(), head.size(), flags);
    } else {
      iovec pieces[2] = {{const_cast<char*>(head.data()), head.size()},
                         {const_cast<char*>(body.data()), body.size()}};
      msghdr message{};
      message.msg_iov = pieces;
      message.msg_iovlen = 2;
      n = ::sendmsg(fd_, &message, flags);
    }
    if (n >= 0) return n;
    if (errno == EINTR) continue;
    // Out of buffers passes; the write limit ends it otherwise.
    return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? 0 : -1;
  }
}

void HttpConnection::Flush(std::string* large_body) {
  HttpByteBuffer& out = loop_->out();
  if (state_ == State::kClosed) return out.clear();
  const std::string_view head = out.view();
  const std::string_view body = large_body != nullptr ? *large_body : std::string_view();
  if (head.empty() && body.empty()) return;
  const ssize_t n = Send(head, body, false);
  if (n < 0) {
    out.clear();
    return Close();
  }
  loop_->counts().bytes_out.Add(n);
  const auto sent = static_cast<size_t>(n);
  if (sent < head.size() + body.size()) {
    backlog_ = std::make_unique<HttpBacklog>();
    if (sent < head.size()) backlog_->head = head.substr(sent);
    if (large_body != nullptr) backlog_->body = std::move(*large_body);
    backlog_->body_sent = sent < head.size() ? 0 : sent - head.size();
    backlog_->since_ns = progress_ns_ = loop_->now_ns();
  }
  out.clear();
}

void HttpConnection::FlushFile(int file, int64_t size) {
  HttpByteBuffer& out = loop_->out();
  if (state_ == State::kClosed) {
    ::close(file);
    return out.clear();
  }
  backlog_ = std::make_unique<HttpBacklog>();
  backlog_->head = out.view();
  backlog_->file = file;
  backlog_->file_end = size;
  backlog_->since_ns = progress_ns_ = loop_->now_ns();
  out.clear();
  FlushBacklog();
}

bool HttpConnection::FlushBytes() {
  HttpBacklog& left = *backlog_;
  while (left.head_sent < left.head.size() || left.body_sent < left.body.size()) {
    const ssize_t n = Send(std::string_view(left.head).substr(left.head_sent),
                           std::string_view(left.body).substr(left.body_sent), left.file >= 0);
    if (n < 0) {
      Close();
      return false;
    }
    if (n == 0) {
      ArmTimer();
      return false;
    }
    loop_->counts().bytes_out.Add(n);
    left.taken += n;
    progress_ns_ = loop_->now_ns();
    const size_t of_head = std::min(static_cast<size_t>(n), left.head.size() - left.head_sent);
    left.head_sent += of_head;
    left.body_sent += static_cast<size_t>(n) - of_head;
  }
  return true;
}

bool HttpConnection::FlushBacklog() {
  if (!FlushBytes()) return false;
  if (backlog_->file >= 0 && !SendFile()) return false;
  backlog_.reset();
  return true;
}

bool HttpConnection::SendFile() {
  constexpr int64_t kTurnBytes = 4 << 20;  // then others have their turn
  HttpBacklog& left = *backlog_;
  const int64_t until = left.file_at + kTurnBytes;
  while (left.file_at < left.file_end) {
    if (left.file_at >= until) {
      ArmTimer();
      loop_->Again(this);
      return false;
    }
    if (tls_ != nullptr) {
      // Through the backlog's own bytes, so that a write that must be tried again finds the same.
      left.body.resize(
          static_cast<size_t>(std::min<int64_t>(64 << 10, left.file_end - left.file_at)));
      const ssize_t got = ::pread(left.file, left.body.data(), left.body.size(), left.file_at);
      if (got <= 0) {  // the file is shorter than it was
        Close();
        return false;
      }
      left.body.resize(static_cast<size_t>(got));
      left.body_sent = 0;
      left.file_at += got;
      if (!FlushBytes()) return false;
      continue;
    }
    off_t offset = left.file_at;
    const ssize_t n =
        ::sendfile(fd_, left.file, &offset,
                   static_cast<size_t>(std::min(kTurnBytes, left.file_end - left.file_at)));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      ArmTimer();
      return false;
    }
    if (n <= 0) {  // the peer has gone, or the file is shorter than it was
      Close();
      return false;
    }
    left.file_at += n;
    left.taken += n;
    loop_->counts().bytes_out.Add(n);
    progress_ns_ = loop_->now_ns();
  }
  return true;
}

void HttpConnection::FinishTurn() {
  Flush(nullptr);
  if (state_ == State::kClosed) return;
  if (input_ != nullptr && input_->empty()) loop_->ReturnInput(std::move(input_));
  if (backlog_ == nullptr && state_ == State::kFinishing) return Finish();
  ArmTimer();
}

void HttpConnection::Finish() {
  if (tls_ != nullptr) tls_->Shutdown();
  const bool unread = linger_ || input_ != nullptr || readable_;
  if (!unread || peer_closed_) return Close();
  // A close with bytes unread is a reset, which may take the answer away from the peer.
  ::shutdown(fd_, SHUT_WR);
  input_.reset();
  state_ = State::kLingering;
  since_ns_ = loop_->now_ns();
  ArmTimer();
  readable_ = true;
  Linger();
}

void HttpConnection::Linger() {
  constexpr int kReads = 16;
  for (int i = 0; readable_ && i < kReads; ++i) {
    const ssize_t n = ::recv(fd_, nullptr, 256 << 10, MSG_TRUNC | MSG_DONTWAIT);
    if (n > 0 || (n < 0 && errno == EINTR)) continue;
    if (n == 0 || errno != EAGAIN) return Close();
    readable_ = false;
  }
  if (readable_) loop_->Again(this);
}

// What so many bytes may take.
int64_t HttpConnection::FairNs(int64_t bytes) const {
  const double rate = loop_->limits().min_bytes_per_second;
  return rate <= 0 ? kDayNs : std::min(kDayNs, Nanoseconds(static_cast<double>(bytes) / rate));
}

void HttpConnection::ArmTimer() {
  const HttpLimits& limits = loop_->limits();
  const int64_t now = loop_->now_ns();
  int64_t deadline = now + kDayNs;
  if (state_ == State::kLingering) {
    deadline = since_ns_ + (loop_->draining() ? kDrainLingerNs : kLingerNs);
  } else if (backlog_ != nullptr) {
    // One byte now and then is no progress: the answer is held in memory meanwhile.
    const int64_t patience = Nanoseconds(limits.write_seconds);
    deadline = std::min(progress_ns_, backlog_->since_ns + FairNs(backlog_->taken)) + patience;
  } else if (state_ == State::kHandshake) {
    deadline = since_ns_ + Nanoseconds(limits.tls_handshake_seconds);
  } else if (state_ == State::kReading && (input_ == nullptr || input_->empty())) {
    deadline = now + Nanoseconds(limits.idle_seconds);
    if (loop_->draining()) deadline = std::min(deadline, now + kDrainIdleNs);
  } else if (state_ == State::kReading && input_->in_body()) {
    deadline = since_ns_ + Nanoseconds(limits.body_grace_seconds) + FairNs(input_->body_received());
  } else if (state_ == State::kReading) {
    deadline = since_ns_ + Nanoseconds(limits.header_seconds);
  }
  loop_->wheel().Set(this, deadline);
}

void HttpConnection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  HttpTimerWheel::Remove(this);
  if (stream_ != nullptr) {
    stream_->Close();
    stream_.reset();
  }
  if (link_ != nullptr) {
    link_->abandoned.store(true, std::memory_order_relaxed);
    link_->connection = nullptr;
    link_.reset();
    loop_->counts().pending.Add(-1);
  }
  if (input_ != nullptr) loop_->ReturnInput(std::move(input_));
  backlog_.reset();
  spool_.reset();
  tls_.reset();
  ::close(fd_);
  fd_ = -1;
  loop_->Closed(this);
}

}  // namespace slipway
