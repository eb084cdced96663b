// HOME/space.reserve: space that a full disk leaves for one thing alone, writing down a deletion,
// which then gives back more. Thread-safe: callers order their own writes.
#pragma once

#include <string>

#include "slipway/base/result.h"

namespace slipway {

// Whether a failed write (FileError) found no space, or no quota.
bool IsDiskFull(const Error& error);

class SpaceReserve {
 public:
  explicit SpaceReserve(const std::string& home);
  // Makes it again when it is not there whole; without space there is none.
  void Fill() const;
  // Gives its space back. False: there was none.
  bool Use() const;

 private:
  const std::string path_;
};

}  // namespace slipway
