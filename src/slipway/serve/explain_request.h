// The `explanations` member of a predict request. A null or absent member means the endpoint's own.
#pragma once

#include <optional>
#include <string_view>

#include "slipway/base/result.h"
#include "slipway/serve/request_scan.h"

namespace slipway {

struct ExplainRequest {
  bool enabled = false;
  int most = 5;
};

// Reads the member that the scanner stands before into *ask, which holds the endpoint's own. False:
// the scanner's error, or *error.
bool ReadExplainRequest(RequestScanner* scanner, ExplainRequest* ask, std::optional<Error>* error);
// Whether the body likely asks for explanations, without parsing it: for the estimate of its cost.
bool LikelyExplained(std::string_view body, bool by_default);

}  // namespace slipway
