// The `dispatch` of a request body, read before an endpoint is chosen.
#pragma once

#include <optional>
#include <string_view>

#include "slipway/base/result.h"
#include "slipway/serve/request_scan.h"
#include "slipway/serve/service_table.h"

namespace slipway {

// {"dispatch": {"forcedGeneration": "v1"} or {"dispatchKey": "k"}}; nulls are absent. Confined to
// one thread.
class DispatchReader {
 public:
  // Most bodies have none, which costs one search. kHttpPadding readable bytes follow `body`. The
  // views live until the next call, and as long as the body.
  std::optional<Error> Read(std::string_view body, Dispatch* dispatch);

 private:
  std::optional<Error> ReadMember(RequestScanner* scanner, Dispatch* dispatch);
  TextArena arena_;
};

}  // namespace slipway
