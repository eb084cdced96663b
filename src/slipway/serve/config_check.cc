#include <algorithm>
#include <cerrno>
#include <memory>

#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/http/host_rule.h"
#include "slipway/http/listen_address.h"
#include "slipway/http/tls.h"
#include "slipway/serve/config.h"
#include "slipway/serve/jwt_fetch.h"
#include "slipway/serve/jwt_keys.h"

namespace slipway {
namespace {

std::string AddressText(const ListenAddress& address) {
  const bool six = address.host.find(':') != std::string::npos;
  return (six ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

// The first address that others than this machine reach; empty: none.
std::string PublicAddress(const std::vector<ListenAddress>& addresses) {
  for (const ListenAddress& address : addresses)
    if (!IsLoopback(address)) return AddressText(address);
  return "";
}

std::string TextOf(const Error& error) {
  return error.hint.empty() ? error.message : error.message + " (" + error.hint + ")";
}

// Whether there is a file that can be looked into further.
bool CheckReadable(const std::string& key, const std::string& path,
                   std::vector<std::string>* findings) {
  if (path.empty()) return false;
  struct stat state{};
  if (::stat(path.c_str(), &state) != 0) {
    findings->push_back(key + ": " + FileError("read", path, errno).message);
  } else if (!S_ISREG(state.st_mode)) {
    findings->push_back(key + ": " + path + " is no file");
  } else if (::access(path.c_str(), R_OK) != 0) {
    findings->push_back(key + ": " + FileError("read", path, errno).message);
  } else {
    return true;
  }
  return false;
}

// A file of certificates (PEM) of authorities.
void CheckAuthorities(const std::string& key, const std::string& path,
                      std::vector<std::string>* findings) {
  if (!CheckReadable(key, path, findings)) return;
  const std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)> store(X509_STORE_new(),
                                                                      &X509_STORE_free);
  if (store == nullptr || X509_STORE_load_file(store.get(), path.c_str()) != 1)
    findings->push_back(key + ": " + path + " holds no certificates (PEM)");
  ERR_clear_error();
}

void CheckJwt(const JwtOptions& jwt, std::vector<std::string>* findings) {
  if (!jwt.jwks_url.empty() && !jwt.jwks_file.empty())
    findings->push_back("auth.jwt.jwks_url and auth.jwt.jwks_file are both set: set one of them");
  if (!jwt.enabled() &&
      (!jwt.issuer.empty() || !jwt.audience.empty() || !jwt.scopes.empty() || !jwt.ca_file.empty()))
    findings->push_back(
        "auth.jwt says what tokens must be, but not by which keys they are signed: set "
        "auth.jwt.jwks_url or auth.jwt.jwks_file");
  if (!jwt.jwks_url.empty()) {
    if (const auto url = ParseFetchUrl(jwt.jwks_url); !url.ok())
      findings->push_back("auth.jwt.jwks_url: " + TextOf(url.error()));
  }
  if (CheckReadable("auth.jwt.jwks_file", jwt.jwks_file, findings)) {
    const auto check = [&]() -> Status {
      ASSIGN_OR_RETURN(const std::string text, ReadFile(jwt.jwks_file, size_t{1} << 20));
      const auto keys = ParseJwks(text);
      return keys.ok() ? Status() : keys.error();
    };
    if (const Status status = check(); !status.ok())
      findings->push_back("auth.jwt.jwks_file: " + jwt.jwks_file + ": " + TextOf(status.error()));
  }
  CheckAuthorities("auth.jwt.ca_file", jwt.ca_file, findings);
}

// Clients refuse one that has expired; the node serves all the same, and SIGHUP reads a new one.
void CheckDates(const std::string& path, std::vector<std::string>* warnings) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> file(BIO_new_file(path.c_str(), "r"), &BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      file == nullptr ? nullptr : PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr),
      &X509_free);
  ERR_clear_error();
  if (certificate == nullptr) return;
  const bool expired = X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0;
  const bool early = X509_cmp_current_time(X509_get0_notBefore(certificate.get())) > 0;
  if (expired || early)
    warnings->push_back("tls.certificate_file: " + path +
                        (expired ? " has expired" : " is not valid yet") +
                        ": clients will refuse it; put a valid one there and send SIGHUP");
}

// That a path, when there is something, is a folder.
void CheckFolder(const std::string& key, const std::string& path,
                 std::vector<std::string>* findings) {
  struct stat state{};
  if (path.empty()) return;
  if (::stat(path.c_str(), &state) == 0 ? !S_ISDIR(state.st_mode) : errno == ENOTDIR)
    findings->push_back(key + ": " + path + " is no folder: name one, or a path that is not there");
}

// Whether the path, or what is there of it, lets this user write; a full disk is another matter.
bool MayWriteBelow(std::string path) {
  while (!path.empty() && ::access(path.c_str(), F_OK) != 0 && path != "/" && path != ".")
    path = DirName(path);
  return path.empty() || ::access(path.c_str(), W_OK | X_OK) == 0;
}

void CheckTls(const NodeConfig& config, std::vector<std::string>* findings,
              std::vector<std::string>* warnings) {
  const TlsOptions& tls = config.tls;
  if (tls.certificate_file.empty() != tls.key_file.empty())
    findings->push_back(
        "tls.certificate_file and tls.key_file belong together: give both, or none");
  if (!tls.client_ca_file.empty() && tls.certificate_file.empty())
    findings->push_back("tls.client_ca_file needs TLS: give tls.certificate_file and tls.key_file");
  const bool certificate = CheckReadable("tls.certificate_file", tls.certificate_file, findings);
  const bool key = CheckReadable("tls.key_file", tls.key_file, findings);
  CheckAuthorities("tls.client_ca_file", tls.client_ca_file, findings);
  if (certificate && key) {  // as the server will load them, which finds what does not match
    TlsOptions pair = tls;
    pair.client_ca_file.clear();
    if (const auto context = HttpTlsContext::Make(pair); !context.ok())
      findings->push_back("tls: " + TextOf(context.error()));
  }
  if (certificate) CheckDates(tls.certificate_file, warnings);
  struct stat state{};
  if (!tls.key_file.empty() && ::stat(tls.key_file.c_str(), &state) == 0 &&
      (state.st_mode & S_IROTH) != 0)
    warnings->push_back("tls.key_file: " + tls.key_file +
                        " can be read by every user of this machine (chmod 600)");
}

// Who reads it administers the node.
void CheckAdminKey(const NodeConfig& config, std::vector<std::string>* warnings) {
  const std::string path = JoinPath(config.home, "admin.key");
  struct stat state{};
  if (::stat(path.c_str(), &state) == 0 && (state.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    warnings->push_back(path + " can be read by other users of this machine (chmod 600)");
}

// Off loopback nothing is open by accident.
void CheckOpen(const NodeConfig& config, std::vector<std::string>* findings,
               std::vector<std::string>* warnings) {
  const bool tls = !config.tls.certificate_file.empty();
  const bool mutual = !config.tls.client_ca_file.empty();
  const std::string scoring = PublicAddress(config.listen);
  const std::string admin =
      config.admin_listen.empty() ? scoring : PublicAddress(config.admin_listen);
  if (!scoring.empty() && config.allow_public && !mutual)
    warnings->push_back("auth.allow_public: whoever reaches " + scoring + " may score");
  if (tls) return;
  // Keys travel where scoring asks for them, and with every request of the admin API.
  const std::string keys = !admin.empty() ? admin : config.allow_public ? "" : scoring;
  if (keys.empty()) return;
  if (config.allow_keys_without_tls) {
    warnings->push_back("auth.allow_keys_without_tls: keys travel unencrypted to " + keys);
    return;
  }
  std::string finding = keys +
                        " is not loopback and has no TLS: keys would travel unencrypted; give "
                        "tls.certificate_file and tls.key_file, or say that it is meant "
                        "(--allow-keys-without-tls, e.g. behind a proxy that ends TLS)";
  if (config.allow_public && config.admin_listen.empty())
    finding += "; for scoring without keys, keep the admin API on loopback (--admin-listen)";
  findings->push_back(std::move(finding));
}

void CheckAddresses(const NodeConfig& config, std::vector<std::string>* findings) {
  if (config.listen.empty())
    findings->push_back("http.listen is empty: the node would answer nobody");
  std::vector<std::string> seen;
  for (const auto* addresses : {&config.listen, &config.admin_listen}) {
    for (const ListenAddress& address : *addresses) {
      const std::string text = AddressText(address);
      if (address.port != 0 && std::find(seen.begin(), seen.end(), text) != seen.end())
        findings->push_back("http.listen and http.admin_listen have " + text + " twice");
      seen.push_back(text);
    }
  }
}

void CheckHosts(const NodeConfig& config, std::vector<std::string>* findings) {
  for (const std::string& host : config.hosts) {
    if (!IsHostName(host))
      findings->push_back("http.hosts: '" + host +
                          "' is no host name: write it as a Host header has it, without scheme, "
                          "port and path, such as fares.example.com");
  }
}

void CheckSizes(const NodeConfig& config, std::vector<std::string>* findings,
                std::vector<std::string>* warnings) {
  const HttpLimits& limits = config.limits;
  if (limits.request_line_bytes > limits.header_bytes)
    findings->push_back(
        "limits.request_line_bytes is above limits.header_bytes, which holds the line too");
  if (static_cast<int64_t>(config.body_bytes) > config.upload_bytes)
    findings->push_back(
        "limits.body_bytes is above limits.upload_bytes: no package is smaller than a request");
  if (config.admission.queue < config.admission.workers)
    findings->push_back("admission.queue is below admission.workers: workers would stand idle");
  if (config.drain_timeout_seconds * 1000 < config.admission.deadline_ms)
    warnings->push_back(
        "drain.timeout_seconds is below admission.deadline_ms: a drain may cut off what waits");
  const QueryLogOptions& log = config.query_log;
  if (log.enabled) CheckFolder("query_log.folder", log.folder, findings);
  if (log.enabled && !MayWriteBelow(log.folder))
    warnings->push_back("query_log.folder: " + log.folder +
                        " cannot be written: records would be dropped and counted");
  if (std::any_of(log.redact.begin(), log.redact.end(),
                  [](const std::string& name) { return Trim(name).empty(); }))
    findings->push_back(
        "query_log.redact has an empty name, which masks nothing: name features, or take it out");
  if (log.enabled && log.total_bytes < 1 << 20)
    warnings->push_back("query_log.total_bytes is below 1 MiB: little will be left to read");
}

}  // namespace

std::vector<std::string> CheckNodeConfig(const NodeConfig& config,
                                         std::vector<std::string>* warnings) {
  std::vector<std::string> findings;
  CheckFolder("--home", config.home, &findings);
  CheckAddresses(config, &findings);
  CheckHosts(config, &findings);
  CheckTls(config, &findings, warnings);
  CheckJwt(config.jwt, &findings);
  CheckOpen(config, &findings, warnings);
  CheckAdminKey(config, warnings);
  CheckSizes(config, &findings, warnings);
  return findings;
}

}  // namespace slipway
