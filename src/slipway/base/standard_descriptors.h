// What the first lines of main need.
#pragma once

namespace slipway {

// Opens /dev/null as those of 0, 1 and 2 that are closed: what is opened later must not get their
// numbers, and with them what is printed.
void EnsureStandardDescriptors();

}  // namespace slipway
