#include "slipway/apinode/commands.h"
#include "slipway/http/server.h"
#include "slipway/serve/node.h"

namespace slipway {

int RunServe(const std::vector<std::string>&) { return 0; }

}  // namespace slipway
