// MLflow's scoring protocol: POST /invocations, GET /ping, /health and /version, so that what was
// written for `mlflow models serve` works. docs/open-inference.md.
#pragma once

#include <memory>
#include <string_view>

#include "slipway/http/server.h"
#include "slipway/serve/tabular_call.h"

namespace slipway {

// Thread-safe.
class MlflowApi {
 public:
  // `calls` must outlive it.
  MlflowApi(NodeParts* parts, TabularCalls* calls);
  ~MlflowApi();

  static bool Owns(std::string_view path) {
    return path == "/invocations" || path.starts_with("/invocations/") || path == "/ping" ||
           path == "/health" || path == "/version";
  }
  // REQUIRES: Owns(path). The model: /invocations/SERVICE[/ENDPOINT], else ?service=S&endpoint=E,
  // else the only one that there is.
  HttpOutcome Handle(std::string_view path, const HttpRequest& request, HttpReply* reply,
                     HttpExchange* exchange);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slipway
