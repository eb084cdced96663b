// Starts slipway-apinode on this machine: the program beside this one (or $SLIPWAY_APINODE), on
// loopback, with settings from nowhere but its home and the command line.
#pragma once

#include <atomic>
#include <string>

#include <sys/types.h>

#include "slipway/base/result.h"

namespace slipway {

struct NodeProcessOptions {
  std::string home;  // exists
  std::string log;   // a file for its messages; replaced
  int port = 0;      // 0: a free one
  // Ends with this process; else it is a session of its own, and outlives it.
  bool dies_with_parent = false;
  const std::atomic<bool>* cancel = nullptr;  // set: kCancelled
};

// The running node's process: it has said that it is ready. kUnavailable: the program is not there,
// or it does not start; its own words are in the hint, and no process is left.
Result<pid_t> StartNodeProcess(const NodeProcessOptions& options);

}  // namespace slipway
