#include "slipway/http/body_spool.h"

#include <cerrno>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "slipway/base/file.h"

namespace slipway {

Result<std::unique_ptr<HttpBodySpool>> HttpBodySpool::Make(const std::string& folder) {
  std::string path = JoinPath(folder, "upload-XXXXXX");
  const int fd = ::mkostemp(path.data(), O_CLOEXEC);  // 0600, and new
  if (fd < 0) return FileError("create", path, errno);
  return std::make_unique<HttpBodySpool>(fd, std::move(path));
}

HttpBodySpool::HttpBodySpool(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

HttpBodySpool::~HttpBodySpool() {
  ::close(fd_);
  ::unlink(path_.c_str());
}

Status HttpBodySpool::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return FileError("write", path_, errno);
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

}  // namespace slipway
