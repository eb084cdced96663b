// Naming a service or a package on the command line: PROJECT/SERVICE, PROJECT/SERVICE@vN, a file.
#pragma once

#include <string>

#include "slipway/base/result.h"
#include "slipway/cli/context.h"

namespace slipway {

struct ServiceRef {
  std::string project, service;
  std::string package = "latest";  // or "v3"
  bool stated = false;             // the package was named

  std::string Path(const std::string& rest = "") const;  // of the hub's API
  std::string PackagePath(const std::string& rest = "") const;
};
Result<ServiceRef> ParseServiceRef(const std::string& text);

// An existing file, or anything that begins with / or ./, is a file.
bool NamesFile(const std::string& text);

// "1 test query", "1,250 test queries".
std::string QueryCount(int64_t n);

// `service test`.
Result<int> TestService(Context& context, const std::string& text);
// `service show FILE`: verifies the whole package.
Result<int> ShowPackageFile(Context& context, const std::string& path);

}  // namespace slipway
