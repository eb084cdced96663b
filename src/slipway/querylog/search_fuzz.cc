// Any file as a query log: it is looked through to its end, or refused, within its memory.
#include <cstdint>
#include <cstdlib>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include "slipway/querylog/search.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int fd = ::memfd_create("log", 0);
  if (fd < 0 || ::write(fd, data, size) != static_cast<ssize_t>(size)) return 0;
  const auto found = slipway::FindInQueryLog("/proc/self/fd/" + std::to_string(fd),
                                             {.request_id = "mine", .most_lines = 3});
  ::close(fd);
  if (!found.ok()) return 0;
  if (found->lines.size() > 3 || found->count < static_cast<int64_t>(found->lines.size()))
    std::abort();
  for (const slipway::Json& line : found->lines) {
    if (line["request_id"] != "mine") std::abort();
  }
  (void)slipway::LastRequest(found->lines);
  return 0;
}
