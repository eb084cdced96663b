// Child processes: spawn with a pipe for messages, wait, stop. No shell is ever involved.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "slipway/base/result.h"

namespace slipway {

struct ProcessOptions {
  std::vector<std::string> argv;  // argv[0] is the executable's path
  std::string log_path;           // stdout and stderr are appended to it
  // Called with each complete line that the child writes to file descriptor 3.
  std::function<void(std::string_view)> on_line;
  const std::atomic<bool>* cancel = nullptr;  // set: SIGTERM, then SIGKILL after `grace_seconds`
  std::function<bool()> also_cancel;          // polled about five times a second
  double grace_seconds = 5;
  int64_t max_memory_bytes = 0;  // of its own (RLIMIT_DATA, which its children inherit); 0: any
  double max_seconds = 0;        // then as if cancelled; 0: any
  int nice = 0;                  // added to this process's own
};

struct ProcessExit {
  int code = -1;  // exit status, or -1 when a signal ended it
  int signal = 0;
  bool cancelled = false;
  bool out_of_time = false;  // ended because of max_seconds
  int64_t peak_rss_bytes = 0;
};

// Runs the child to its end. It dies with this process (PR_SET_PDEATHSIG), has its own process
// group (a Ctrl-C in the terminal reaches only the parent) and standard input from /dev/null.
Result<ProcessExit> RunProcess(const ProcessOptions& options);

// This machine's name, in small letters; "" when it has none.
std::string HostName();

// "exit status 3", "killed by signal 9 (Killed)".
std::string DescribeExit(const ProcessExit& exit);

}  // namespace slipway
