// What the load generator is asked to do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace slipway::load {

struct Options {
  std::string host = "127.0.0.1";
  int port = 0;
  std::string path = "/";
  std::vector<std::string> headers;
  std::vector<std::string> bodies;  // sent one after the other, round and round
  // A 2xx answer must hold every text of exactly one of these (tab-separated in the file); empty:
  // any will do.
  std::vector<std::vector<std::string>> expected;
  int connections = 16;
  double rate = 0;  // requests a second, whatever the answers do; 0: each answer brings the next
  double seconds = 5;
  int64_t requests = 0;         // ends after so many; 0: by seconds alone
  double deadline_ms = 0;       // for "good": 2xx within it; 0: no deadline
  double timeout_seconds = 10;  // an answer that takes longer is lost
  double window_seconds = 0;    // > 0: p50, p99 and counts per window as well
  std::string stop_file;        // ends when it exists
};

}  // namespace slipway::load
