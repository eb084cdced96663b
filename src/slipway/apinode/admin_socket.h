// A blocking connection, plain or TLS, with timeouts. For admin_client.cc. Confined to one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "slipway/base/result.h"

struct ssl_ctx_st;
struct ssl_st;

namespace slipway {

struct AdminSocketOptions {
  std::string host, port;
  bool tls = false;
  std::string ca_file;
  std::string certificate_file, certificate_key_file;  // of this client; empty: none
  bool insecure = false;
  double timeout_seconds = 600;
};

class AdminSocket {
 public:
  static Result<std::unique_ptr<AdminSocket>> Connect(const AdminSocketOptions& options);
  ~AdminSocket();
  AdminSocket(const AdminSocket&) = delete;
  AdminSocket& operator=(const AdminSocket&) = delete;

  Status WriteAll(std::string_view bytes);
  // 0: the peer has closed.
  Result<size_t> Read(char* buffer, size_t size);

 private:
  AdminSocket() = default;
  Status StartTls(const AdminSocketOptions& options);
  Status UseCertificate(const AdminSocketOptions& options);
  // Why TLS failed; says so when the node wants a certificate of this client.
  Error TlsError(const std::string& what) const;

  int fd_ = -1;
  ssl_ctx_st* context_ = nullptr;
  ssl_st* ssl_ = nullptr;
  bool has_certificate_ = false;
};

}  // namespace slipway
