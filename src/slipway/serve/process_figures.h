// What the system says of this process, from /proc.
#pragma once

#include <cstdint>

namespace slipway {

struct ProcessFigures {
  double cpu_seconds = 0, start_time_seconds = 0;
  int64_t resident_bytes = 0, virtual_bytes = 0, open_fds = 0, max_fds = 0;
};
// Zeros where the system does not say.
ProcessFigures ReadProcessFigures();

}  // namespace slipway
