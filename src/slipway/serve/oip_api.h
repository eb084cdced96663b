// The Open Inference Protocol v2 over REST, below /v2: health, metadata, infer, repository index,
// statistics. A model is a service (with one endpoint that predicts) or SERVICE.ENDPOINT; a version
// is a generation. docs/open-inference.md.
#pragma once

#include <memory>
#include <string_view>

#include "slipway/http/server.h"
#include "slipway/serve/tabular_call.h"

namespace slipway {

// Thread-safe.
class OipApi {
 public:
  // `calls` must outlive it.
  OipApi(NodeParts* parts, TabularCalls* calls);
  ~OipApi();

  static bool Owns(std::string_view path) { return path == "/v2" || path.starts_with("/v2/"); }
  // REQUIRES: Owns(path), duplicate slashes collapsed, no trailing one.
  HttpOutcome Handle(std::string_view path, const HttpRequest& request, HttpReply* reply,
                     HttpExchange* exchange);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slipway
