// A small HTTP/1.1 client for administration: one connection per call, blocking, http and https.
// Confined to one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"

namespace slipway {

struct AdminClientOptions {
  std::string url;      // "http://127.0.0.1:12000", a path may follow
  std::string key;      // sent as Bearer; empty: none
  std::string ca_file;  // PEM of who signed the node's certificate; empty: the system's
  std::string certificate_file, certificate_key_file;  // PEM: this client's own; empty: none
  std::string epoch;                                   // of X-Slipway-Epoch; empty: none
  bool insecure = false;                               // whatever certificate the node shows
  double timeout_seconds = 600;                        // without a byte from the node
};

struct AdminAnswer {
  int status = 0;
  std::string body;
};

class AdminClient {
 public:
  // kInvalidArgument: no URL.
  static Result<AdminClient> Make(AdminClientOptions options);

  // `path` begins with '/'. Errors are of the connection; see Call for those of the node.
  Result<AdminAnswer> Send(std::string_view method, const std::string& path,
                           std::string_view body) const;
  // The content of a file as the body, streamed.
  Result<AdminAnswer> SendFile(std::string_view method, const std::string& path,
                               const std::string& file) const;
  // The answer's JSON; an answer of 400 and above is the error that it describes.
  Result<Json> Call(std::string_view method, const std::string& path,
                    const Json& body = Json()) const;
  Result<Json> CallWithFile(std::string_view method, const std::string& path,
                            const std::string& file) const;
  const std::string& url() const { return options_.url; }

 private:
  AdminClient() = default;
  Result<AdminAnswer> Exchange(std::string_view method, const std::string& path,
                               std::string_view body, int body_fd, int64_t body_bytes) const;

  AdminClientOptions options_;
  bool tls_ = false;
  std::string host_, port_, prefix_;
};

// Percent-encoded, for one part of a path.
std::string EncodePathPart(std::string_view text);

}  // namespace slipway
