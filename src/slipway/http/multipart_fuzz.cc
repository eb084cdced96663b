// Any bytes as a form: the field's content comes out whole, or an error and no file. And any bytes
// in a form that is well made: they come out as they went in. The first line is the Content-Type.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <sys/mman.h>
#include <unistd.h>

#include "slipway/base/file.h"
#include "slipway/http/multipart.h"

namespace slipway {
namespace {

void Check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

std::string Target() { return "/dev/shm/slipway-multipart-fuzz-" + std::to_string(::getpid()); }

// What came out; false: an error.
bool Extract(std::string_view body, std::string_view content_type, std::string* content) {
  const int fd = ::memfd_create("form", 0);
  if (fd < 0 || ::write(fd, body.data(), body.size()) != static_cast<ssize_t>(body.size()))
    ::_exit(1);
  const std::string target = Target();
  ::unlink(target.c_str());
  const auto size =
      ExtractMultipartFile("/proc/self/fd/" + std::to_string(fd), content_type, "file", target);
  ::close(fd);
  if (!size.ok()) {
    Check(!PathExists(target), "an error left a file");
    Check(!size.error().message.empty(), "an error that says nothing");
    return false;
  }
  const auto read = ReadFile(target);
  ::unlink(target.c_str());
  Check(read.ok(), "no file");
  Check(static_cast<size_t>(*size) == read->size(), "the size is another one");
  *content = *read;
  return true;
}

constexpr size_t kChunk = size_t{256} << 10;  // that it reads at a time

// `before`: bytes of a preamble, so that the form lies anywhere in a chunk.
void RoundTrip(std::string_view bytes, size_t before) {
  const std::string boundary = "x" + std::to_string(bytes.size()) + "Z";
  if (("\r\n" + std::string(bytes)).find("\r\n--" + boundary) != std::string::npos) return;
  const std::string preamble = before == 0 ? "" : std::string(before, '-') + "\r\n";
  const std::string body = preamble + "--" + boundary +
                           "\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nfile\r\n--" +
                           boundary +
                           "\r\nContent-Disposition: form-data; name=\"file\"; "
                           "filename=\"a.zip\"\r\nContent-Type: application/zip\r\n\r\n" +
                           std::string(bytes) + "\r\n--" + boundary + "--\r\n";
  std::string content;
  Check(Extract(body, "multipart/form-data; boundary=" + boundary, &content),
        "a good form is refused");
  Check(content == bytes, "the content is another one");
}

}  // namespace
}  // namespace slipway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace slipway;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(bytes.find('\n'), bytes.size());
  const std::string_view type = bytes.substr(0, line);
  const std::string_view body = bytes.substr(std::min(line + 1, bytes.size()));
  std::string content;
  if (Extract(body, type, &content)) {
    Check(IsMultipart(type), "no form, and taken");
    Check(body.find(content) != std::string_view::npos, "bytes that were not sent");
  }
  RoundTrip(body, 0);
  if (size > 0 && data[0] % 16 == 0) RoundTrip(body, kChunk - std::min(size, kChunk));
  return 0;
}
