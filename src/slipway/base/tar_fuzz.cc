// Foreign archives: read to their end, or refused; never more in memory than one piece.
#include <cstdint>
#include <cstdio>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include "slipway/base/tar.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int fd = ::memfd_create("tar", 0);
  if (fd < 0 || ::write(fd, data, size) != static_cast<ssize_t>(size)) return 0;
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  int64_t bytes = 0;
  (void)slipway::ReadTar(path,
                         {.on_entry = [](const slipway::TarEntry&) { return slipway::Status(); },
                          .on_bytes =
                              [&](std::string_view piece) {
                                bytes += static_cast<int64_t>(piece.size());
                                return slipway::Status();
                              },
                          .on_end = [](const slipway::TarEntry&) { return slipway::Status(); }})
      .ok();
  if (bytes > static_cast<int64_t>(size)) __builtin_trap();
  ::close(fd);
  return 0;
}
