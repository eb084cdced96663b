#include "slipway/serve/space_reserve.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "slipway/base/file.h"

namespace slipway {
namespace {

constexpr int64_t kReserveBytes = 1 << 20;  // desired.json of thousands of generations

}  // namespace

bool IsDiskFull(const Error& error) {
  return error.code == ErrorCode::kUnavailable &&
         (error.message.find(std::strerror(ENOSPC)) != std::string::npos ||
          error.message.find(std::strerror(EDQUOT)) != std::string::npos);
}

SpaceReserve::SpaceReserve(const std::string& home) : path_(JoinPath(home, "space.reserve")) {}

void SpaceReserve::Fill() const {
  const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const int failed = ::posix_fallocate(fd, 0, kReserveBytes);
  ::close(fd);
  if (failed != 0) ::unlink(path_.c_str());
}

bool SpaceReserve::Use() const { return ::unlink(path_.c_str()) == 0; }

}  // namespace slipway
