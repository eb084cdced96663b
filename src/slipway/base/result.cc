#include "slipway/base/result.h"

#include <array>

namespace slipway {
namespace {

constexpr std::array<std::pair<ErrorCode, std::string_view>, 9> kNames = {{
    {ErrorCode::kInvalidArgument, "invalid_argument"},
    {ErrorCode::kNotFound, "not_found"},
    {ErrorCode::kConflict, "conflict"},
    {ErrorCode::kPermissionDenied, "permission_denied"},
    {ErrorCode::kCorruption, "corruption"},
    {ErrorCode::kUnavailable, "unavailable"},
    {ErrorCode::kDeadlineExceeded, "deadline_exceeded"},
    {ErrorCode::kCancelled, "cancelled"},
    {ErrorCode::kInternal, "internal"},
}};

}  // namespace

std::string_view ErrorCodeName(ErrorCode code) {
  for (const auto& [c, name] : kNames) {
    if (c == code) return name;
  }
  return "internal";
}

ErrorCode ErrorCodeFromName(std::string_view name) {
  for (const auto& [code, n] : kNames) {
    if (n == name) return code;
  }
  return ErrorCode::kInternal;
}

Error Error::Within(std::string_view context) const {
  return {code, std::string(context) + ": " + message, hint};
}

Error InvalidArgument(std::string message, std::string hint) {
  return {ErrorCode::kInvalidArgument, std::move(message), std::move(hint)};
}
Error NotFound(std::string message, std::string hint) {
  return {ErrorCode::kNotFound, std::move(message), std::move(hint)};
}
Error Conflict(std::string message, std::string hint) {
  return {ErrorCode::kConflict, std::move(message), std::move(hint)};
}
Error PermissionDenied(std::string message, std::string hint) {
  return {ErrorCode::kPermissionDenied, std::move(message), std::move(hint)};
}
Error Corruption(std::string message, std::string hint) {
  return {ErrorCode::kCorruption, std::move(message), std::move(hint)};
}
Error Unavailable(std::string message, std::string hint) {
  return {ErrorCode::kUnavailable, std::move(message), std::move(hint)};
}
Error DeadlineExceeded(std::string message, std::string hint) {
  return {ErrorCode::kDeadlineExceeded, std::move(message), std::move(hint)};
}
Error Cancelled(std::string message, std::string hint) {
  return {ErrorCode::kCancelled, std::move(message), std::move(hint)};
}
Error Internal(std::string message, std::string hint) {
  return {ErrorCode::kInternal, std::move(message), std::move(hint)};
}

}  // namespace slipway
