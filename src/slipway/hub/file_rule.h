// Which files of this machine callers over HTTP may have read: those below the allowed folders, and
// never those of the hub's own home. Immutable.
#pragma once

#include <string>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

class FileRule {
 public:
  FileRule() = default;  // allows nothing
  // The folders must exist, and none may be the home or lie in it (kInvalidArgument).
  static Result<FileRule> Make(const std::vector<std::string>& folders, const std::string& home);

  // Paths and globs that a caller names: below an allowed folder as they are written, and so is
  // each real file that they lead to now. kPermissionDenied otherwise.
  Status CheckNamed(const std::vector<std::string>& paths) const;
  // Those of a dataset that is there. What is written as below an allowed folder may have been
  // named by a caller, and its links may have changed since: checked again. Everything else was
  // named on the home itself.
  Status CheckStored(const std::vector<std::string>& paths) const;

 private:
  bool IsWrittenBelow(const std::string& path) const;
  bool LeadsBelow(const std::string& path) const;
  bool LeadsBelow(const std::vector<std::string>& files) const;
  Error Refusal(const std::string& path) const;

  std::vector<std::string> written_;  // the folders as given, and as they really are
  std::vector<std::string> real_;
  std::string home_;
};

}  // namespace slipway
