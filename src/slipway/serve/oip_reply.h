// Answers of the Open Inference Protocol v2: outputs as JSON or as bytes behind it, metadata.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/http/server.h"
#include "slipway/serve/oip_request.h"
#include "slipway/serve/tabular_answers.h"

namespace slipway {

// Which outputs a request asks for. kInvalidArgument: one that there is not. Before anything is
// scored.
Status CheckOipOutputs(const OipRequest& request, const EndpointColumns& columns);

// Fills the reply's body (and its headers, when it has binary tensors). kInvalidArgument: a row
// without a label has no place in a binary tensor of whole numbers.
Status WriteOipAnswer(const OipRequest& request, std::string_view model, std::string_view version,
                      const EndpointColumns& columns, const TabularAnswers& answers,
                      HttpReply* reply);

// `inputs` and `outputs` of a model's metadata.
Json OipInputsJson(const EndpointColumns& columns);
Json OipOutputsJson(const EndpointColumns& columns);

}  // namespace slipway
