// Foreign packages: what unpacks also verifies, reads as a manifest alone, and has readable test
// queries or an error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "slipway/base/file.h"
#include "slipway/package/package.h"
#include "slipway/package/test_query.h"

namespace {

// In memory where there is such a folder: a disk would be the fuzzer's speed.
const std::string& Folder() {
  static const slipway::Result<slipway::TempDir> made =
      slipway::TempDir::Make(slipway::IsDirectory("/dev/shm") ? "/dev/shm" : "");
  if (!made.ok()) std::abort();
  return made->path();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int fd = ::memfd_create("package", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  static const std::string out = slipway::JoinPath(Folder(), "out");
  if (fd < 0 || ::ftruncate(fd, 0) != 0 ||
      ::pwrite(fd, data, size, 0) != static_cast<ssize_t>(size))
    std::abort();
  slipway::PackageLimits limits;
  limits.total_bytes = 16 << 20;
  const auto manifest = slipway::ReadPackageManifest(path, limits);
  if (!slipway::RemoveAll(out).ok()) std::abort();
  const auto unpacked = slipway::UnpackPackage(path, out, limits);
  if (!unpacked.ok()) return 0;
  if (!manifest.ok() || !slipway::VerifyPackageFolder(out).ok()) std::abort();
  if (slipway::ManifestToJson(*manifest) != slipway::ManifestToJson(*unpacked)) std::abort();
  (void)slipway::ReadTestQueries(out);
  return 0;
}
