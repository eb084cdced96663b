// multipart/form-data on disk: takes one field's file out of a spooled body, streaming, so that an
// upload of gigabytes needs no memory. Foreign bytes: everything but the file itself is bounded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "slipway/base/result.h"

namespace slipway {

bool IsMultipart(std::string_view content_type);

// Writes the content of the first part named `field` of the body in `path` to `target`, a new file
// (0600). Names of files that the client gives are not looked at. Gives its size.
// kInvalidArgument: no multipart, no such part, cut short; the target is then gone.
Result<int64_t> ExtractMultipartFile(const std::string& path, std::string_view content_type,
                                     std::string_view field, const std::string& target);

}  // namespace slipway
