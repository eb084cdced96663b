// An API node for a moment: slipway-apinode in a temporary home, on a free port of loopback, gone
// with the object. Confined to one thread.
#pragma once

#include <memory>
#include <string>

#include <sys/types.h>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/deploy/node_client.h"
#include "slipway/http/client.h"

namespace slipway {

class TrialNode {
 public:
  // Starts the program beside this one (or $SLIPWAY_APINODE) and waits until it is ready.
  // kUnavailable: it is not there or does not start; its own words are in the hint.
  static Result<std::unique_ptr<TrialNode>> Start();
  ~TrialNode();
  TrialNode(const TrialNode&) = delete;
  TrialNode& operator=(const TrialNode&) = delete;

  // Imports the package without giving it traffic.
  Status Import(const std::string& package, const std::string& service);
  // Runs its test queries: a list of {"endpoint", "name", "ok", "answer", "expected", "difference",
  // "milliseconds"}.
  Result<Json> Test(const std::string& service, const std::string& generation);

 private:
  TrialNode() = default;

  TempDir folder_;
  pid_t pid_ = -1;
  HttpClient http_;
  std::unique_ptr<NodeClient> client_;
};

}  // namespace slipway
