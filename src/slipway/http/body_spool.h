// A request's body in a new file (0600), removed with the object unless it was renamed. Confined to
// one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "slipway/base/result.h"

namespace slipway {

class HttpBodySpool {
 public:
  static Result<std::unique_ptr<HttpBodySpool>> Make(const std::string& folder);
  HttpBodySpool(int fd, std::string path);
  ~HttpBodySpool();
  HttpBodySpool(const HttpBodySpool&) = delete;
  HttpBodySpool& operator=(const HttpBodySpool&) = delete;

  Status Write(std::string_view bytes);
  const std::string& path() const { return path_; }

 private:
  int fd_;
  std::string path_;
};

}  // namespace slipway
