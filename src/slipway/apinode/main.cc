// slipway-apinode: the API node and its administration.
#include "slipway/apinode/commands.h"
#include "slipway/base/standard_descriptors.h"

int main(int argc, char** argv) {
  slipway::EnsureStandardDescriptors();
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && arguments.front() == "admin") {
    arguments.erase(arguments.begin());
    return slipway::RunAdmin(arguments);
  }
  return slipway::RunServe(arguments);
}
