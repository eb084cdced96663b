// An HTTP/1.1 server: one epoll loop per thread (SO_REUSEPORT), a kept parser (llhttp, strict), one
// write per answer, no allocation per request once a connection is warm. Knows no business word.
//
// A handler runs on the loop's thread and answers at once, or defers: then the request is moved out
// of the connection and whoever holds it answers from any thread. Requests of one connection are
// answered in order (pipelining); while one is deferred, the connection is not read.
//
// Foreign bytes: bounded by HttpLimits; what RFC 9112 forbids (both or several lengths, obs-fold,
// bare CR, a missing or second Host, ...) is answered with 400 and the connection closed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

// Bytes after a request's body that may be read (their content is arbitrary): what simdjson wants.
inline constexpr size_t kHttpPadding = 64;

struct HttpHeader {
  std::string_view name;  // as sent
  std::string_view value;
};

// A request as it lies in its connection's buffer: valid until the handler returns (or, deferred,
// as long as its HttpPending).
struct HttpRequest {
  std::string_view method;  // "GET"
  std::string_view path;    // as sent, still percent-encoded; begins with '/'
  std::string_view query;   // as sent, without the '?'
  std::span<const HttpHeader> headers;
  std::string_view body;       // whole, without chunk framing
  std::string_view body_file;  // instead of `body` when PlanBody named a folder
  std::string_view remote;     // the peer's address without its port
  bool remote_is_loopback = false;
  bool tls = false;
  std::string_view client_subject;  // of a verified client certificate, RFC 2253; else empty
  int64_t arrived_ns = 0;           // steady clock, when its last byte was read

  // The value of a header by its lower-case name; empty when absent. Names compare without case.
  std::string_view Header(std::string_view lower_case_name) const;
};

// An answer. Reused: what it holds keeps its capacity. Date, Content-Length and Connection are the
// server's.
struct HttpReply {
  int status = 200;
  std::string_view content_type = "application/json";  // must outlive the answer: a literal
  std::string body;
  std::string file;    // not empty: the body is this file's content
  bool close = false;  // close the connection after it
  // Refused because there is too much to do: the loop may let requests gather for a millisecond, so
  // that refusing them leaves the core to those that are answered.
  bool overloaded = false;
  std::string headers;  // further lines, each ending in "\r\n"; AddHeader writes them

  // REQUIRES: no CR, LF or NUL in either.
  void AddHeader(std::string_view name, std::string_view value);
  void Clear();
};

// What a handler decides when the head is complete, before any of the body is read.
struct HttpBodyPlan {
  size_t max_bytes = size_t{10} << 20;  // more: 413, as early as it is known
  // Not empty: the body is written to a new file (0600) in this folder, removed after the answer
  // unless the handler renamed it.
  std::string spool_folder;
  bool refuse = false;  // the reply given to PlanBody is the answer; the connection closes
};

// An answer without an end in sight: written from any thread, never waits. What the peer has not
// read is bounded: one that falls too far behind is dropped. Destroyed without End: as after it.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  // False: the peer has gone or was dropped; nothing written from now on arrives.
  virtual bool Write(std::string_view bytes) = 0;
  virtual void End() = 0;
};

// Of a stream's bytes that wait for their reader.
inline constexpr size_t kHttpStreamBytes = size_t{256} << 10;

// A request taken out of its connection. Send() exactly once, from any thread, and then nothing
// reads its body any more; destroyed without it answers 500. When the connection has gone
// meanwhile, the answer is dropped.
class HttpPending {
 public:
  virtual ~HttpPending() = default;
  virtual const HttpRequest& request() const = 0;
  virtual HttpReply* reply() = 0;
  // The peer has closed, or its sending half: Send is still tried, the effort may be spared.
  virtual bool abandoned() const = 0;
  virtual void Send() = 0;
  // Instead of Send: the reply's status and headers are sent, its body is what is written to the
  // stream. The connection ends with it.
  virtual std::shared_ptr<HttpStream> SendStream() = 0;
};

// What a handler may do with a request besides answering it.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual int loop() const = 0;  // 0 .. HttpServer::loops() - 1
  // Moves the request out; the handler then returns kDeferred. The HttpRequest given to Handle is
  // dead; read pending->request().
  virtual std::unique_ptr<HttpPending> Defer() = 0;
};

enum class HttpOutcome { kReplied, kDeferred };

// Called on the loops' threads, at the same time by several loops. Must not throw and not block.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // For every request, also one without a body; the checks of Handle are not to rest on it.
  virtual HttpBodyPlan PlanBody(const HttpRequest& head, HttpReply* refusal) = 0;
  virtual HttpOutcome Handle(const HttpRequest& request, HttpReply* reply,
                             HttpExchange* exchange) = 0;
  // About once a second on every loop, also on idle ones.
  virtual void Tick(int loop) { (void)loop; }
  // The answer of the server itself to bytes that are no request, to too much and to too late:
  // fills the reply's body for this status (400, 408, 413, 414, 431, 501, 503, 505, ...). `head`:
  // the request without its body when that much was read, else nullptr.
  virtual void DescribeRefusal(int status, std::string_view reason, const HttpRequest* head,
                               HttpReply* reply);
};

// Defaults: docs/api-node.md; RFC 9112 and common practice of nginx and Apache.
struct HttpLimits {
  size_t request_line_bytes = 16 << 10;  // 414
  size_t header_bytes = 32 << 10;        // all of them, 431
  int headers = 100;                     // 431
  int chunks = 1 << 16;                  // 413
  int chunk_extension_bytes = 256;       // of one request, 400
  double header_seconds = 10;            // from the first byte to the end of the head, 408
  double body_grace_seconds = 20;        // and then at least min_bytes_per_second, 408
  double min_bytes_per_second = 500;
  double idle_seconds = 75;             // keep-alive
  double write_seconds = 20;            // the same grace for the peer's reading: closed
  int connections = 10'000;             // beyond: accepted, answered 503 and closed
  int connections_per_address = 0;      // 0: no limit; loopback is never limited
  int64_t requests_per_connection = 0;  // 0: no limit
  double tls_handshake_seconds = 10;
};

struct TlsOptions {
  std::string certificate_file, key_file;  // PEM; empty: no TLS
  std::string client_ca_file;              // not empty: clients must show a certificate of these
};

struct ListenAddress {
  std::string host = "127.0.0.1";  // an address or a name
  int port = 0;                    // 0: any free one
};

struct HttpServerOptions {
  std::vector<ListenAddress> listen;
  int loops = 0;  // 0: one per core that this process may use
  HttpLimits limits;
  TlsOptions tls;
  std::string server_name = "slipway";
};

// Counters since the start, and what is so now. A snapshot.
struct HttpStats {
  int64_t accepted = 0, open = 0, requests = 0, bytes_in = 0, bytes_out = 0;
  int64_t refused_connections = 0;  // over a limit
  int64_t bad_requests = 0;         // no HTTP, or forbidden
  int64_t timeouts = 0;             // 408 and silent closes of slow peers
  int64_t accept_errors = 0;        // out of file descriptors, mostly
  int64_t pending = 0;              // deferred now
};

// Thread-safe. The destructor closes everything at once; StopAccepting and WaitIdle first for a
// graceful end.
class HttpServer {
 public:
  // `handler` must outlive the server. Errors say which address could not be had and why.
  static Result<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                   HttpHandler* handler);
  virtual ~HttpServer() = default;
  virtual int loops() const = 0;
  virtual std::vector<ListenAddress> addresses() const = 0;  // with the ports that were had
  // Closes the listeners; every answer from now on ends its connection. Connections that stay idle
  // are closed after a second: a request may be on its way to them.
  virtual void StopAccepting() = 0;
  // Waits until no connection is left; false after `seconds`.
  virtual bool WaitIdle(double seconds) = 0;
  // Reads the certificate and key again for new connections; on an error the old ones stay.
  virtual Status ReloadTls() = 0;
  virtual HttpStats stats() const = 0;
};

}  // namespace slipway
