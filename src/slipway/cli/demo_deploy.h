// The demo's real-time half: package, publish, deploy to a local API node, five test queries.
#pragma once

#include <string>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/cli/context.h"

namespace slipway {

// The test queries' outcomes, as `deployment test` gives them. The node is stopped at the end.
// kUnavailable when there is no slipway-apinode beside this program.
Result<Json> DeployDemo(Context& context, const std::string& project);
// A table of the five trips and their fares.
std::string DemoFaresTable(const Json& outcomes);

}  // namespace slipway
