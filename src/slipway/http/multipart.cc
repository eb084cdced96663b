#include "slipway/http/multipart.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "slipway/base/file.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr size_t kChunk = 256 << 10;
constexpr size_t kMaxPartHead = 16 << 10;
constexpr int kMaxParts = 100;

Error Bad(std::string message) {
  return InvalidArgument("the multipart body " + std::move(message),
                         "send the package as the body, or as a form with the file in the field "
                         "'file' (curl -F file=@PACKAGE.zip)");
}

// The value of a parameter of a header, unquoted: name="file" -> file.
std::string Parameter(std::string_view header, std::string_view name) {
  size_t at = header.find(';');
  while (at != std::string_view::npos) {
    ++at;
    while (at < header.size() && (header[at] == ' ' || header[at] == '\t')) ++at;
    const size_t equal = header.find('=', at);
    if (equal == std::string_view::npos) return "";
    const std::string key = ToLower(Trim(header.substr(at, equal - at)));
    std::string value;
    size_t end = equal + 1;
    if (end < header.size() && header[end] == '"') {
      for (++end; end < header.size() && header[end] != '"'; ++end) {
        if (header[end] == '\\' && end + 1 < header.size()) ++end;
        value.push_back(header[end]);
      }
      at = header.find(';', end);
    } else {
      at = header.find(';', end);
      value = std::string(Trim(header.substr(end, at == std::string_view::npos ? at : at - end)));
    }
    if (key == name) return value;
  }
  return "";
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// The body as a window that slides; never larger than a chunk and a bit.
class Window {
 public:
  Window(int fd, const std::string& path) : fd_(fd), path_(path) {}
  std::string_view view() const { return std::string_view(bytes_).substr(begin_); }
  void Drop(size_t n) { begin_ += n; }
  // False: the file has ended.
  Result<bool> More() {
    if (begin_ > 0) bytes_.erase(0, begin_);
    begin_ = 0;
    const size_t size = bytes_.size();
    bytes_.resize(size + kChunk);
    ssize_t n = 0;
    do n = ::read(fd_, bytes_.data() + size, kChunk);
    while (n < 0 && errno == EINTR);
    bytes_.resize(size + static_cast<size_t>(n > 0 ? n : 0));
    if (n < 0) return FileError("read", path_, errno);
    return n > 0;
  }

 private:
  int fd_;
  const std::string& path_;
  std::string bytes_;
  size_t begin_ = 0;
};

// Moves everything up to `mark` to `out` (-1: drops it), then past the mark.
Result<int64_t> CopyUntil(Window* window, std::string_view mark, int out,
                          const std::string& target) {
  int64_t total = 0;
  const auto flush = [&](size_t n) -> Status {
    std::string_view bytes = window->view().substr(0, n);
    total += static_cast<int64_t>(n);
    while (out >= 0 && !bytes.empty()) {
      const ssize_t written = ::write(out, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return FileError("write", target, errno);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    window->Drop(n);
    return {};
  };
  for (;;) {
    const std::string_view view = window->view();
    const size_t at = view.find(mark);
    if (at != std::string_view::npos) {
      RETURN_IF_ERROR(flush(at));
      window->Drop(mark.size());
      return total;
    }
    // The mark's beginning may be the window's end.
    if (view.size() >= mark.size()) RETURN_IF_ERROR(flush(view.size() - mark.size() + 1));
    ASSIGN_OR_RETURN(const bool more, window->More());
    if (!more) return Bad("is cut short: its last boundary is missing");
  }
}

Status Need(Window* window, size_t bytes) {
  while (window->view().size() < bytes) {
    ASSIGN_OR_RETURN(const bool more, window->More());
    if (!more) return Bad("is cut short");
  }
  return {};
}

// The part's head: up to the empty line.
Result<std::string> ReadPartHead(Window* window) {
  for (;;) {
    const size_t end = window->view().substr(0, kMaxPartHead).find("\r\n\r\n");
    if (end != std::string_view::npos) {
      std::string head(window->view().substr(0, end));
      window->Drop(end + 4);
      return head;
    }
    if (window->view().size() >= kMaxPartHead) return Bad("has a part with too long a head");
    ASSIGN_OR_RETURN(const bool more, window->More());
    if (!more) return Bad("is cut short within a part's head");
  }
}

std::string FieldName(std::string_view head) {
  for (const std::string& line : Split(head, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    if (ToLower(Trim(std::string_view(line).substr(0, colon))) != "content-disposition") continue;
    return Parameter(Trim(std::string_view(line).substr(colon + 1)), "name");
  }
  return "";
}

Result<int64_t> Extract(Window* window, const std::string& boundary, std::string_view field,
                        int out, const std::string& target) {
  // The first boundary may stand at the very beginning, without the line end before it.
  RETURN_IF_ERROR(Need(window, boundary.size() + 4));
  const std::string mark = "\r\n--" + boundary;
  if (window->view().starts_with(std::string_view(mark).substr(2))) {
    window->Drop(mark.size() - 2);
  } else {
    ASSIGN_OR_RETURN(const int64_t preamble, CopyUntil(window, mark, -1, target));
    (void)preamble;
  }
  std::optional<int64_t> found;
  for (int part = 0; part < kMaxParts; ++part) {
    RETURN_IF_ERROR(Need(window, 2));
    if (window->view().starts_with("--")) {
      if (found) return *found;
      return Bad("has no field '" + std::string(field) + "'");
    }
    // Blanks may follow a boundary, also across two pieces of the file.
    while (window->view()[0] == ' ' || window->view()[0] == '\t') {
      window->Drop(1);
      RETURN_IF_ERROR(Need(window, 2));
    }
    if (!window->view().starts_with("\r\n")) return Bad("has bytes after a boundary");
    window->Drop(2);
    std::string head;
    RETURN_IF_ERROR(Need(window, 2));
    if (window->view().starts_with("\r\n")) {
      window->Drop(2);  // no headers
    } else {
      ASSIGN_OR_RETURN(head, ReadPartHead(window));
    }
    const bool wanted = FieldName(head) == field;
    if (wanted && found) return Bad("has the field '" + std::string(field) + "' twice");
    ASSIGN_OR_RETURN(const int64_t size, CopyUntil(window, mark, wanted ? out : -1, target));
    if (wanted) found = size;
  }
  return Bad("has more than " + std::to_string(kMaxParts) + " parts");
}

}  // namespace

bool IsMultipart(std::string_view content_type) {
  return ToLower(Trim(content_type.substr(0, content_type.find(';')))) == "multipart/form-data";
}

Result<int64_t> ExtractMultipartFile(const std::string& path, std::string_view content_type,
                                     std::string_view field, const std::string& target) {
  const std::string boundary = Parameter(content_type, "boundary");
  if (!IsMultipart(content_type) || boundary.empty() || boundary.size() > 200)
    return Bad("has no boundary in its Content-Type");
  const Descriptor in(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (in.get() < 0) return FileError("open", path, errno);
  Result<int64_t> size = int64_t{0};
  {
    const Descriptor out(::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (out.get() < 0) return FileError("create", target, errno);
    Window window(in.get(), path);
    size = Extract(&window, boundary, field, out.get(), target);
  }
  if (!size.ok()) ::unlink(target.c_str());
  return size;
}

}  // namespace slipway
