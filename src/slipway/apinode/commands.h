// What slipway-apinode does: serve, and administer a running node.
#pragma once

#include <string>
#include <vector>

namespace slipway {

// Serves until SIGTERM or SIGINT. `arguments` without the program's name. Gives the exit code.
int RunServe(const std::vector<std::string>& arguments);
// `slipway-apinode admin ...`: arguments after `admin`.
int RunAdmin(const std::vector<std::string>& arguments);

}  // namespace slipway
