// Stray files: what a crash can leave in the home. They are removed only once they are old, since a
// young one may be somebody's work in progress.
#pragma once

#include <string>

#include "slipway/registry/home.h"

namespace slipway {

// True when the file or folder was last changed at least `seconds` ago.
bool IsOlderThan(const std::string& path, double seconds);
// Removes it when it is old; true when it is gone because of this call.
bool RemoveIfOld(const std::string& path, double seconds);

// What the registry has let go of. While a backup reads it stays, as a stray file.
void RemoveUnlessBackup(const Home& home, const std::string& path);

}  // namespace slipway
