// The node's configuration: defaults, then a TOML file (HOME/apinode.toml or --config), then the
// environment (SLIPWAY_APINODE_*), then flags. docs/api-node.md has every key.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/http/server.h"
#include "slipway/serve/admission.h"
#include "slipway/serve/jwt.h"
#include "slipway/serve/query_log.h"

namespace slipway {

struct NodeConfig {
  std::string home;
  std::vector<ListenAddress> listen = {{"127.0.0.1", 12000}};
  std::vector<ListenAddress> admin_listen;  // empty: the admin API is on `listen` too
  int loops = 0;
  HttpLimits limits;
  size_t body_bytes = 10 << 20;             // of a user API request
  int64_t upload_bytes = int64_t{4} << 30;  // of an uploaded package
  int64_t max_records = 10'000;             // of one predict-multi
  int json_depth = 64;
  TlsOptions tls;
  // Off loopback, what is open by accident is refused: these two say that it is meant.
  bool allow_public = false;            // scoring without a key off loopback
  bool allow_keys_without_tls = false;  // keys over plain HTTP off loopback
  JwtOptions jwt;                       // of services whose auth is "jwt"
  std::vector<std::string>
      hosts;  // names that a Host header may have besides addresses; empty: any
  AdmissionOptions admission;
  QueryLogOptions query_log;
  double log_sample = 1;  // share of requests in the query log
  std::string log_level = "info";
  bool access_log = false;
  double drain_seconds = 5;           // after SIGTERM: /ready is red, requests are still served
  double drain_timeout_seconds = 30;  // then at most so long for what is in flight
  std::string package;                // --package: import and activate first
};

// Where each value may come from.
struct ConfigSources {
  std::string file;  // empty: HOME/apinode.toml when it is there
  std::map<std::string, std::string> environment;
};
// Whether whoever reaches the node may score what does not ask for keys or tokens itself: it
// listens on loopback alone, or auth.allow_public says so.
bool IsOpen(const NodeConfig& config);
// Whether whoever could connect needs no key for that: it is open, or asks clients for
// certificates.
bool AsksNobody(const NodeConfig& config);
struct LoadedNodeConfig {
  NodeConfig config;  // without what is wrong
  // Everything that is wrong. Errors name the file with line and column, or the variable; unknown
  // keys get a suggestion.
  std::vector<Error> errors;
  std::vector<std::string> warnings;
};
LoadedNodeConfig LoadNodeConfig(NodeConfig base, const ConfigSources& sources);
// What must not be started: open off loopback by accident, unreadable certificates, ... Every
// finding at once; empty: fine. Warnings go to `warnings`.
std::vector<std::string> CheckNodeConfig(const NodeConfig& config,
                                         std::vector<std::string>* warnings);

}  // namespace slipway
