// What a request about a deployment asks for: generations with their shares, settings, a canary.
#pragma once

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/deploy/canary.h"
#include "slipway/registry/deployments.h"

namespace slipway {

class Hub;

// What the body asks for ("version" or "weights", "settings"), on top of what is wanted now.
// REQUIRES: a body that its key table passed.
Result<DeploymentSpec> ReadWish(Hub& hub, const DeploymentRecord& record, const Json& body);

Result<CanaryOptions> ReadCanary(const Json& json);

}  // namespace slipway
