// What `lineage` and `model lineage` share.
#pragma once

#include <string>

#include "slipway/cli/commands.h"

namespace slipway {

struct LineageOptions {
  std::string ref;      // a version; or
  std::string request;  // an answer's id
  std::string deployment, query_log;
};

void AddLineageOptions(CLI::App* command, LineageOptions* options);
Result<int> RunLineage(Context& context, const LineageOptions& options);

}  // namespace slipway
